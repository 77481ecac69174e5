"""Facts of planning: the same plan as without them, and none that could be out of date."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msbench.errors import SuiteError
from msbench.plan.known import FACTS, keep_known, known_fingerprint
from msbench.plan.suite import load_suite
from msbench.plan.trials import expected
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.run.driver import fingerprint_of
from msbench.spec import Choice, Kind

DRY_RUN = """
import sys
from msbench.cli import main
main(["run", "quick", "--dry-run", "--out", sys.argv[1]], standalone_mode=False)
print([name for name in ("torch", "scipy", "sklearn") if name in sys.modules])
"""

PLUGIN = """
import msbench


@msbench.hookimpl
def register_schedules(register):
    register("steady", steady)


def steady(level: {type} = 1):
    return lambda spent: float(level)
"""

SUITE = """
training = { passes = 2, batch_size = 2 }
task = [{ name = "numbers-fr", below = 200, examples = 200 }]
model = [{ name = "encoder-decoder" }]
optimizer = [{ name = "adamw" }]
schedule = [{ name = "steady", level = LEVEL }]
decoder = [{ name = "greedy" }]
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of facts, in a cache of its own, which all that is made up here is kept in."""
    keep_known()
    monkeypatch.setenv("MSBENCH_CACHE", str(tmp_path / "cache"))
    yield tmp_path / f"cache/{FACTS}.json"
    keep_known()


def test_a_plan_that_was_made_before_imports_no_framework(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRY_RUN, str(tmp_path)]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(2)]
    (*first, _), (*second, imported) = [run.stdout.splitlines() for run in runs]
    assert first == second
    assert imported == "[]"


def test_facts_are_what_is_found_out_without_them(cache: Path) -> None:
    registry, suite = load_plugins(), load_suite("decoding")
    cold, warm = (
        expected(suite, load_plugins(), (), lambda part: "data") for _ in range(2)
    )  # of two registries, of which the second finds the facts
    assert cache.is_file()
    assert [trial.key for trial in cold] == [trial.key for trial in warm]
    assert cold == warm
    choices = (*suite.models, *suite.yardsticks)
    models = {registry.resolve("model", choice).json for choice in choices}
    assert {trial.model.json for trial in warm} == models


def planned(folder: Path, plugin: str, level: str) -> Any:
    """The schedule of a suite that uses the plugin."""
    file, suite = folder / "steady.py", folder / "steady.toml"
    file.write_text(plugin)
    suite.write_text(SUITE.replace("LEVEL", level))
    trials = expected(load_suite(str(suite)), load_plugins([str(file)]), (), lambda part: "data")
    return trials[0].schedule


def test_other_code_is_asked_again(tmp_path: Path, cache: Path) -> None:
    whole, broken = (PLUGIN.replace("{type}", each) for each in ("int", "float"))
    first = planned(tmp_path, whole, "2")
    assert planned(tmp_path, whole, "2") == first
    assert planned(tmp_path, broken, "2").version != first.version
    assert planned(tmp_path, broken, "2.5").options == {"level": 2.5}
    with pytest.raises(SuiteError, match="valid integer"):
        planned(tmp_path, whole, "2.5")


def test_what_is_wrong_is_told_every_time(tmp_path: Path, cache: Path) -> None:
    for _ in range(2):
        with pytest.raises(SuiteError, match="valid integer"):
            planned(tmp_path, PLUGIN.replace("{type}", "int"), '"two"')


def test_a_damaged_file_of_facts_is_no_fact(tmp_path: Path, cache: Path) -> None:
    plugin = PLUGIN.replace("{type}", "int")
    first = planned(tmp_path, plugin, "2")
    cache.write_bytes(cache.read_bytes().replace(b'"level": 2', b'"level": 3'))
    assert planned(tmp_path, plugin, "2") == first


def resolved(registry: Registry, kind: Kind, choice: Choice) -> Any:
    return registry.resolve(kind, choice)


def test_only_fixed_data_are_fingerprinted_once(tmp_path: Path, cache: Path) -> None:
    registry = load_plugins()
    numbers = resolved(registry, "task", Choice("numbers-fr", {"below": 200, "examples": 200}))
    assert known_fingerprint(registry, numbers, lambda: "first") == "first"
    assert known_fingerprint(registry, numbers, lambda: "second") == "first"
    file = tmp_path / "texts.csv"
    file.write_text("text,label\n" + "".join(f"text {n},{n % 2}\n" for n in range(40)))
    own = Choice("files", {"train": str(file), "kind": "classify"})
    files = resolved(registry, "task", own)
    mixed = resolved(registry, "task", Choice("mixture", {"of": [own, Choice("numbers-fr")]}))
    for part in (files, mixed):
        assert known_fingerprint(registry, part, lambda: "first") == "first"
        assert known_fingerprint(registry, part, lambda: "second") == "second"


def test_no_fact_hides_that_an_archive_is_missing(cache: Path) -> None:
    registry = load_plugins()
    part = resolved(registry, "task", Choice("bbc-news"))
    known_fingerprint(registry, part, lambda: "known")
    assert fingerprint_of(registry, part, fetch=None) == ""
