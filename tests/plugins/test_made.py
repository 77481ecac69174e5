"""Packages that `msbench new` makes: tested, run, and listed lazily, as if they were installed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from made import forget_installed, make_all, name_of, remember_first_loads, runnable

import msbench

ROOT = Path(__file__).parents[2]

NAMES = [name_of(*each) for each in runnable()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """All packages, on the path of this process and of those that it starts."""
    folders = make_all(tmp_path_factory.mktemp("made"))
    with pytest.MonkeyPatch.context() as patch:
        paths = [*map(str, folders.values()), str(ROOT)]
        patch.setenv("PYTHONPATH", os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]))
        for path in paths[:-1]:
            patch.syspath_prepend(path)
        remember_first_loads(folders.values())
        forget_installed()
        yield folders
    forget_installed()


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
    """But for the checks of the contract, which take longest: those of the schedule alone."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-k", "not contract or schedule", *(str(each / "tests") for each in made.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(made) - 1} deselected" in done.stdout


@pytest.mark.templates
def test_they_keep_the_contract(made: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "msbench", "check", *(each.name for each in made.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_their_suites_run(
    name: str, made: dict[str, Path], call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shortened, since that they learn is seen in a few passes of one seed."""
    monkeypatch.chdir(made[name])
    suite = Path(f"{name}.toml").read_text()
    for long, short in {"seeds = 2": "seeds = 1", "passes = 60": "passes = 16"}.items():
        assert long in suite
        suite = suite.replace(long, short)
    Path("short.toml").write_text(suite)
    done = call("run", "short.toml")
    records = [r for r in msbench.read(Path("results/short")).records if r.is_trial]
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
heavy = {"numpy", "torch", "tensorflow", "keras", "jax", "transformers", "sklearn"} & {*sys.modules}
assert not heavy, heavy
"""


def test_listing_them_imports_no_framework(made: dict[str, Path]) -> None:
    """But for the first time, when each is loaded in a process of its own."""
    done = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {name for name in NAMES if f" {name} " in done.stdout} == {*NAMES}
