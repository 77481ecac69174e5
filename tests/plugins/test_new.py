"""`msbench new`: names that cannot be, what it says, and its templates."""

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from made import every_recipe

from msbench.plugins.scaffold import RECIPES, TEMPLATES, render

ROOT = Path(__file__).parents[2]


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
        (["loss", "lambda"], "'lambda' means something else in Python, or in the new code"),
        (["loss", "sum"], "choose another name, such as 'my-sum'"),
        (["loss", "batch"], "'Batch' means something else"),
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
    used = {
        folder for variants in RECIPES.values() for r in variants.values() for folder in r.folders
    }
    assert used | {"package"} == {path.name for path in TEMPLATES.iterdir()}
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    shipped = {p for pattern in data["msbench.plugins"] for p in TEMPLATES.parent.glob(pattern)}
    assert {path for path in TEMPLATES.rglob("*") if path.is_file()} <= shipped


@pytest.mark.parametrize(("what", "variant"), every_recipe())
def test_nothing_is_left_to_fill_in(what: str, variant: str) -> None:
    for path, text in render(RECIPES[what][variant], "some-part").items():
        assert not {"NAME", "PACKAGE"} & {*Path(path).parts}
        assert "{{" not in text
        assert "{%" not in text
        if path.endswith(".py"):
            ast.parse(text)
        elif path.endswith(".toml"):
            tomllib.loads(text)
