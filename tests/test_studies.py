"""Reference records are remade, and outputs compared but for what was changed on purpose."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msbench import read

ROOT = Path(__file__).parent.parent


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a module of studies/."""
    monkeypatch.syspath_prepend(str(ROOT / "studies"))
    return importlib.import_module


def test_references_are_remade(write_suite: Callable[..., Path], tmp_path: Path) -> None:
    suite = write_suite(**{"seeds = 2": "seeds = 1", "rounds = 2": "rounds = 1"})
    reference = tmp_path / "results/reference/tiny"
    reference.mkdir(parents=True)
    (reference / "trials.jsonl").write_text("{}\n")  # what is replaced
    script = [sys.executable, str(ROOT / "studies/references.py"), str(suite)]
    script += ["--results", str(tmp_path / "results")]
    subprocess.run(script, check=True, cwd=tmp_path)
    keys = [record.key for record in read(reference / "trials.jsonl").records]
    assert len(keys) == 2
    assert keys == sorted(keys)
    assert len(read(reference / "throughput.jsonl").records) == 1
    assert not (tmp_path / "results/remade/tiny").exists()


def test_the_cheapest_suite_is_first(study: Callable[[str], Any]) -> None:
    costs = study("references").costs(ROOT / "results/reference", [])
    seconds = [seconds for _, seconds in costs.values()]
    assert len(costs) > 10
    assert seconds == sorted(seconds)
    named = study("references").costs(ROOT / "results/reference", ["optimizers", "new", "quick"])
    assert list(named) == ["quick", "optimizers", "new"]


TEXT = """TRAINING

task    optimizer    first ms    gap
------  -----------  ----------  ------
news    adamw        1           -0.52
        sgd          2           0.03

vs adamw, sees 0.1
Speed: median.
Ranks: 1 is best."""

MARKDOWN = "| task | gap |\n|:---|:---|\n| a\\|b | 0.5 |\n| c | 0 |"

HTML = (
    '<table><tr><th scope="col">task</th><th scope="col">gap</th></tr>'
    "<tr><td>news</td><td>-0.5</td></tr></table>"
    '<div class="pictures"><figure>b curves-0</figure><figure>a curves-1</figure></div>'
    '<a href="#ladder">'
)


@pytest.mark.parametrize(
    ("style", "old", "new"),
    [
        (
            "text",
            TEXT,
            TEXT.replace("first ms  ", "TTFT ms   ")
            .replace("-0.52", "0.52")
            .replace("0.03", "-0.03")
            .replace("sees", "MDE")
            .replace("median.", "median.\nTTFT: time to first token."),
        ),
        ("markdown", MARKDOWN, MARKDOWN.replace("0.5", "-0.5")),
        ("latex", "a & gap \\\\\n\\midrule\n b & 1 \\\\", "a & gap \\\\\n\\midrule\n b & -1 \\\\"),
        ("csv", "a,gap\n1,-0.5\n1,0.0", "a,generalization_gap\n1,0.5\n1,-0.0"),
        ("json", '{"a": [{"gap": -0.5}]}', '{"a": [{"generalization_gap": 0.5}]}'),
        (
            "html",
            HTML,
            HTML.replace("-0.5", "0.5")
            .replace(
                "b curves-0</figure><figure>a curves-1", "a curves-0</figure><figure>b curves-1"
            )
            .replace("#ladder", "#decoders"),
        ),
        ("svg", '<g id="cd-3">', '<g id="ranks-3">'),
    ],
)
def test_intended_changes_are_all_that_may_differ(
    style: str, old: str, new: str, study: Callable[[str], Any]
) -> None:
    changes = study("intended_changes")
    assert changes.as_intended(style, old) == changes.canonical(style, new)
    spoilt = new.replace("a", "A", 1).replace('id="', 'id="x')
    assert changes.as_intended(style, old) != changes.canonical(style, spoilt)


def test_outputs_are_judged(study: Callable[[str], Any]) -> None:
    old = {"a": ("text", "x"), "b": ("text", "sees 1"), "c": ("text", "1"), "d": ("text", "")}
    new = {"a": ("text", "x"), "b": ("text", "MDE 1"), "c": ("text", "2")}
    verdicts = [verdict for _, verdict, _ in study("same_outputs").judge(old, new)]
    assert verdicts == ["identical", "changed as intended", "different", "different"]
