"""A tiny suite of real parts, plugin files, and the program itself."""

import gc
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from msbench.cli.app import main
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.run.device import limit_threads
from msbench.run.driver import preload_modules
from msbench.run.processes import _context
from msbench.spec import Part, Suite, Trial

limit_threads(1)

TINY = """
seeds = 2
baseline = "adamw"
limit = 600
{top}

[training]
passes = 12
batch_size = 8
validations = 2

[throughput]
rounds = 2
steps = 2

[[task]]
name = "numbers-fr"
below = 200
examples = 200

[[model]]
name = "encoder-decoder"
width = 16
layers = 1
heads = 2

[[optimizer]]
name = "adamw"
lr = 3e-3

[[optimizer]]
name = "sam"
base = {{ name = "adamw", lr = 3e-3 }}

[[decoder]]
name = "greedy"

[[decoder]]
name = "beam"
width = 2
{bottom}
"""


def pytest_collection_finish() -> None:
    """What is imported now is no garbage: collections, such as those that statsmodels makes in
    every call, need not look through all of torch."""
    gc.freeze()


@pytest.fixture(scope="session")
def registry() -> Registry:
    """What is installed."""
    return load_plugins()


@pytest.fixture(scope="session")
def write_tiny() -> Callable[..., Path]:
    """Writes the tiny suite into a folder, as `write_suite` does."""

    def write(folder: Path, top: str = "", bottom: str = "", **replacements: str) -> Path:
        text = TINY.format(top=top, bottom=bottom)
        for old, new in replacements.items():
            assert old in text
            text = text.replace(old, new)
        path = folder / "tiny.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def write_suite(tmp_path: Path, write_tiny: Callable[..., Path]) -> Callable[..., Path]:
    """Writes the tiny suite, with more text at its top or bottom, or with pieces replaced."""
    return partial(write_tiny, tmp_path)


@pytest.fixture
def write_plugin(tmp_path: Path) -> Callable[..., str]:
    """Writes a plugin file and returns its path."""

    def write(text: str, name: str = "mine.py") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs msbench in a process and an empty folder; checks its exit code, shows no traceback."""

    def run(*words: str | Path, check: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "msbench", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == check, done.stdout + done.stderr
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


@pytest.fixture(scope="session")
def modules(registry: Registry) -> list[str]:
    """What trials of the tiny suite import, and those of most others."""
    names = ["numbers-fr", "encoder-decoder", "cross-entropy", "adamw", "sam", "greedy", "beam"]
    return preload_modules(registry, [e for e in registry.entries.values() if e.name in names])


@pytest.fixture
def server(modules: list[str]) -> None:
    """The server that this process forks workers from has imported what they need.

    Whoever starts it decides what that is, and the workers of all later tests would pay for less.
    """
    _context(modules)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls msbench in this process and an empty folder; checks its exit code.

    Its workers are those of a program, but their server is started once for many tests.
    """
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path, check: int = 0) -> Result:
        done = CliRunner().invoke(main, [*map(str, words)])
        assert done.exit_code == check, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done

    return call


@pytest.fixture
def tiny(write_suite: Callable[..., Path]) -> Suite:
    """The tiny suite."""
    return load_suite(str(write_suite()))


@pytest.fixture(scope="session")
def fingerprint(registry: Registry) -> Callable[[Part], str]:
    """What plans need to know of the real data."""
    return lambda part: str(registry.build("task", part)().fingerprint())


@pytest.fixture
def trials(tiny: Suite, registry: Registry, fingerprint: Callable[[Part], str]) -> list[Trial]:
    """Its trials."""
    return plan(tiny, registry, (), fingerprint)
