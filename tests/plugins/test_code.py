"""Identity of parts: what of code and libraries counts, and what does not."""

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from msbench.plugins import code, libraries
from msbench.plugins.code import code_of
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry

PLUGIN = """
import msbench

@msbench.hookimpl
def register_schedules(register):
    register("counted", "counted_plugin.factors:schedule")
"""

FACTORS = '''
"""How fast."""
import counted_core
import counted_library
import counted_loose
import counted_shared.b
from counted_plugin.numbers import HALF

def schedule():
    """A constant."""
    return lambda spent: HALF
'''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an installed plugin of three modules, and a library that it imports."""
    monkeypatch.setenv("MSBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "counted_plugin"
    package.mkdir()
    (package / "__init__.py").write_text(PLUGIN)
    (package / "factors.py").write_text(FACTORS)
    (package / "numbers.py").write_text("HALF = 0.5\n")
    (tmp_path / "counted_library.py").write_text("")
    (tmp_path / "counted_core.py").write_text("x = 1\n")
    (tmp_path / "counted_loose.py").write_text("import counted_far\n")
    (tmp_path / "counted_far.py").write_text("x = 1\n")
    (tmp_path / "counted_shared").mkdir()
    points = "[msbench]\ncounted = counted_plugin\n"
    files = "counted_plugin/__init__.py counted_core.py"
    distribution(tmp_path, "counted-plugin", points, files=files)
    distribution(tmp_path, "counted-library")
    for each in "ab":
        (tmp_path / f"counted_shared/{each}.py").write_text("")
        distribution(tmp_path, f"counted-shared-{each}", files=f"counted_shared/{each}.py")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("counted_")]:
        del sys.modules[name]


def distribution(
    site: Path, name: str, points: str = "", version: str = "1.0", files: str = ""
) -> None:
    """Writes the metadata of a distribution."""
    about = site / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(points)
    (about / "RECORD").write_text("".join(f"{file},,\n" for file in files.split()))


def version() -> str:
    """The version of the plugin's part, in what would be another process."""
    libraries.distributions_of.cache_clear()
    return load_plugins().find("schedule", "counted").full_version


EDITS: dict[str, Callable[[Path], object]] = {
    "a value in another module": lambda site: (site / "counted_plugin/numbers.py").write_text(
        "HALF = 0.25\n"
    ),
    "a file of data": lambda site: (site / "counted_plugin/table.csv").write_text("1,2\n"),
    "the version of a library": lambda site: distribution(site, "counted-library", version="2.0"),
    "another package of the plugin": lambda site: (site / "counted_core.py").write_text("x = 2\n"),
    "what a loose file imports": lambda site: (site / "counted_far.py").write_text("x = 2\n"),
    "one of two that share a name": lambda site: distribution(
        site, "counted-shared-b", files="counted_shared/b.py", version="2.0"
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_a_part_depends_on_is_its_version(site: Path, edit: str) -> None:
    before = version()
    assert before.startswith("1.0/")
    assert version() == before
    EDITS[edit](site)
    assert version() != before


def test_comments_docstrings_and_layout_do_not_count(site: Path) -> None:
    before = version()
    (site / "counted_plugin/factors.py").write_text(
        FACTORS.replace("How fast.", "How slow.").replace("A constant.", "A number.") + "\n# done\n"
    )
    assert version() == before


def test_a_library_without_a_distribution_counts_by_its_files(site: Path) -> None:
    for file in (site / "counted_library-1.0.dist-info").iterdir():
        file.unlink()
    (site / "counted_library-1.0.dist-info").rmdir()
    before = version()
    (site / "counted_library.py").write_text("x = 1\n")
    assert version() != before


def test_of_msbench_what_makes_numbers_counts(registry: Registry) -> None:
    loss = registry.find("loss", "cross-entropy").code
    assert "msbench.builtin.losses.pointwise" in loss.sources
    assert "msbench.data.task" in loss.sources, "msbench.Batch stands there"
    assert "torch" in loss.libraries
    learner = registry.find("learner", "torch").code
    assert {"msbench.run.train", "msbench.run.trial"} <= set(learner.sources)
    for entry in registry.entries.values():
        if entry.plugin == "msbench" and entry.kind not in ("command", "launcher"):
            rooms = {name.split(".")[1] for name in entry.code.sources}
            assert rooms <= {"builtin", "data", "run"}, entry.name
            assert "msbench.run.driver" not in entry.code.sources, entry.name
            assert not entry.code.libraries.keys() & {"rich", "pydantic", "click"}


def test_a_damaged_memory_is_no_memory(site: Path, tmp_path: Path) -> None:
    before = version()
    code._read.cache_clear()
    for file in (tmp_path / "cache").glob("*.json"):
        file.write_bytes(file.read_bytes()[:-20] + b"0" * 20)
    assert version() == before


def test_what_a_type_checker_imports_does_not_count(site: Path) -> None:
    (site / "counted_plugin/numbers.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy\nHALF = 0.5\n"
        "if not TYPE_CHECKING:\n    import pandas\n"
    )
    counted = code_of(["counted_plugin"]).libraries
    assert counted["counted_library"] == "1.0"
    assert counted["counted_shared"] == "counted-shared-a 1.0, counted-shared-b 1.0"
    assert "pandas" in counted
    assert "numpy" not in counted


@pytest.mark.parametrize("deep", ["+".join(["[1]"] * 3000), "x" + ".f()" * 3000])
def test_expressions_that_are_too_deep_to_follow_still_count(site: Path, deep: str) -> None:
    (site / "counted_plugin/numbers.py").write_text(f"HALF = 0.5\ndef f(x): return {deep}\n")
    before = version()
    (site / "counted_plugin/numbers.py").write_text(f"HALF = 0.25\ndef f(x): return {deep}\n")
    assert version() != before


def test_the_lists_of_all_files_are_read_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the next process; half a second each, on the first run after an installation."""
    (site / "cache").mkdir()  # now, since it changes the folder of what is installed
    asked = []

    def listed() -> Mapping[str, list[str]]:
        asked.append(1)
        return packages_distributions()

    monkeypatch.setattr(libraries, "packages_distributions", listed)
    for _process in range(2):
        libraries.distributions_of.cache_clear()
        libraries._providers.cache_clear()
        assert [*libraries.distributions_of("counted_core")] == ["counted-plugin"]
        assert [*libraries.distributions_of("counted_shared")] == [
            *("counted-shared-a", "counted-shared-b")
        ]
    assert asked == [1]
