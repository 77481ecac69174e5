"""docs/plugins.md, "A plugin in ten minutes": its commands and its code, one after the other."""

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from made import forget_installed, install, remember_first_loads

import msbench

ROOT = Path(__file__).parents[2]

BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)


@pytest.fixture
def author(
    call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], str]]:
    """Does a command of the tutorial as its reader would; what pip does is done by hand."""

    def do(command: str) -> str:
        program, *words = shlex.split(command)
        if program == "cd":
            monkeypatch.chdir(words[0])
        elif program == "pip":
            folder = Path.cwd()
            install(folder)
            monkeypatch.syspath_prepend(str(folder))
            path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
            monkeypatch.setenv("PYTHONPATH", path)
            remember_first_loads([folder])
        else:
            assert program == "msbench", command
            forget()
            return call(*words).output
        return ""

    yield do
    forget()


def forget() -> None:
    """What a program of its own would not know."""
    forget_installed()
    for name in [name for name in sys.modules if name.startswith("msbench_my_optimizer")]:
        del sys.modules[name]


def test_the_tutorial_runs(author: Callable[[str], str], tmp_path: Path) -> None:
    text = (ROOT / "docs/plugins.md").read_text()
    section = text.partition("## A plugin in ten minutes")[2].partition("\n## ")[0]
    outputs = {}
    for language, block in BLOCK.findall(section):
        if language == "sh":
            outputs |= {command: author(command) for command in block.splitlines()}
        else:
            name = block.partition("\n")[0].removeprefix("# ")
            assert Path(name).is_file(), name  # what is there already is replaced
            Path(name).write_text(block)
            remember_first_loads([Path.cwd()])
    assert len(outputs) == 5
    for program in ("run", "compare"):
        (output,) = (outputs[command] for command in outputs if f"msbench {program}" in command)
        assert re.search(r"^numbers-fr\b.*my-optimizer", output, re.DOTALL | re.MULTILINE)
    records = msbench.read(Path("results/my-optimizer")).records
    assert {record.status for record in records} == {"ok"}
    versions = {(part["name"], part["version"]) for r in records for part in [r.trial["optimizer"]]}
    assert sorted(name for name, _ in versions) == ["adamw", "my-optimizer", "my-optimizer"]


def test_the_transcript_is_of_these_commands() -> None:
    text = (ROOT / "results/reference/first-plugin.txt").read_text()
    shown = re.findall(r"^\$ (.*)", text, re.MULTILINE)
    (first, *_) = BLOCK.findall((ROOT / "docs/plugins.md").read_text())
    assert shown == first[1].splitlines()
    assert len(shown) <= 5
    assert re.search(r"^# took less than \d+ minutes?$", text, re.MULTILINE)
