"""`msbench new`: every package that it makes is installed, tested and run, and listed lazily."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from made import every_recipe, make_all, name_of

import msbench
from msbench.cli import inputs
from msbench.plugins.scaffold import RECIPES, TEMPLATES, render

ROOT = Path(__file__).parents[2]

NAMES = [name_of(*each) for each in every_recipe()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """All packages, on the path of this process and of those that it starts."""
    folders = make_all(tmp_path_factory.mktemp("made"))
    with pytest.MonkeyPatch.context() as patch:
        paths = [*map(str, folders.values()), str(ROOT)]
        patch.setenv("PYTHONPATH", os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]))
        for path in paths[:-1]:
            patch.syspath_prepend(path)
        inputs.installed.cache_clear()
        yield folders
    inputs.installed.cache_clear()


def test_their_code_is_as_clean_as_ours(made: dict[str, Path]) -> None:
    own = json.dumps([folder.name.replace("-", "_") for folder in made.values()])
    config = ["--config", str(ROOT / "pyproject.toml"), "--config", f"src = {own}"]
    config += ["--config", f"lint.isort.known-first-party = {own}"]
    config += ["--config", 'lint.per-file-ignores = { "**/tests/*" = ["S"] }']
    for words in (["check"], ["format", "--check", "--diff"]):
        command = [sys.executable, "-m", "ruff", *words, *config, *map(str, made.values())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_their_own_tests_pass(made: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--import-mode=importlib", *(str(folder / "tests") for folder in made.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_their_suites_run(
    name: str, made: dict[str, Path], call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made[name])
    done = call("run", f"{name}.toml")
    records = msbench.read(Path("results") / name).records
    assert {record.status for record in records} == {"ok"}, done.output
    used = {part["name"] for record in records for part in parts_of(record.trial)}
    assert name in used or "launcher" in name
    curves = [record.results["training"]["curve"] for record in records]
    for curve in curves:
        assert curve[-1]["validation_loss"] < curve[0]["validation_loss"]


def parts_of(trial: object) -> Iterator[dict[str, object]]:
    """Everything in plain data that has a name."""
    if isinstance(trial, dict):
        if "name" in trial:
            yield trial
        for value in trial.values():
            yield from parts_of(value)
    elif isinstance(trial, list):
        for value in trial:
            yield from parts_of(value)


LIST = """
import sys
from msbench.cli import main
main(["list"], standalone_mode=False)
heavy = {"torch", "tensorflow", "keras", "jax", "transformers", "numpy", "sklearn"} & {*sys.modules}
assert not heavy, heavy
"""


def test_listing_them_imports_no_framework(made: dict[str, Path]) -> None:
    """After the first time, when each was loaded in a process of its own."""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", LIST], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert {name for name in NAMES if f" {name} " in done.stdout} == {*NAMES}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["optimiser", "mine"], "there is no 'optimiser'; did you mean 'optimizer'?"),
        (["optimizer", "Mine"], "'Mine' cannot be the name of a part: lower-case words"),
        (["optimizer", "my_own"], "such as 'my-optimizer'"),
        (["optimizer", "-mine"], "No such option"),
        (["optimizer", "mine-"], "cannot be the name of a part"),
        (["optimizer", "../mine"], "cannot be the name of a part"),
        (["optimizer", "m" * 51], "at most 50 characters"),
        (["optimizer", "adamw"], "optimizer 'adamw' is that of plugin msbench"),
        (["wrapper", "adamw"], "optimizer 'adamw' is that of plugin msbench"),
        (["loss", "lambda"], "'lambda' means something else in Python or in the new code"),
        (["loss", "sum"], "choose another name, such as 'my-sum'"),
        (["loss", "batch"], "'batch' means something else"),
        (["optimizer", "mine", "--variant", "two-passes"], "did you mean 'two-pass'?"),
        (["loss", "mine", "--variant", "two-pass"], "loss has no variant 'two-pass'"),
    ],
)
def test_what_cannot_be_made_is_told(
    words: list[str], expected: str, call: Callable[..., Result], tmp_path: Path
) -> None:
    assert expected in call("new", *words, check=2).output
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_is_next_and_overwrites_nothing(
    call: Callable[..., Result], tmp_path: Path
) -> None:
    done = call("new", "schedule", "my-own", "--dir", "a place")
    folder = tmp_path / "a place" / "msbench-my-own"
    assert "cd 'a place/msbench-my-own'" in done.output
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(before) == 6
    again = call("new", "loss", "my-own", "--dir", "a place", check=2)
    assert "msbench-my-own is there already: choose another name" in again.output
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_folder_that_cannot_be_written_is_told(
    call: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert "cannot write" in call("new", "loss", "mine", "--dir", "file", check=74).output


def test_every_template_is_used_and_shipped() -> None:
    import tomllib

    used = {folder for variants in RECIPES.values() for r in variants.values() for folder in r.folders}
    assert used | {"package"} == {path.name for path in TEMPLATES.iterdir()}
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = {p for pattern in data["msbench.plugins"] for p in TEMPLATES.parent.glob(pattern)}
    assert {path for path in TEMPLATES.rglob("*") if path.is_file()} <= shipped


@pytest.mark.parametrize(("what", "variant"), every_recipe())
def test_nothing_is_left_to_fill_in(what: str, variant: str) -> None:
    for path, text in render(RECIPES[what][variant], "some-part").items():
        assert not {"NAME", "PACKAGE"} & {*Path(path).parts}
        assert "{{" not in text
        assert "{%" not in text
