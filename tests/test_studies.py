"""Reference records are remade, and outputs compared but for what was changed on purpose."""

import importlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msbench import read
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.spec import display_name

ROOT = Path(__file__).parent.parent


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a module of studies/."""
    monkeypatch.syspath_prepend(str(ROOT / "studies"))
    return importlib.import_module


def test_what_is_learned_tells_decoders_apart(study: Callable[[str], Any]) -> None:
    """Each is of as many seeds as the suite has, and numbers all alike have no interval."""
    learned = study("learned")
    rows = [row for row in learned.rows(learned.REFERENCE) if row["suite"] == "decoding"]
    assert {row["task"] for row in rows} == {"verses-basic", "headlines"}
    assert all(", n = 4, " in row["default (adamw)"] for row in rows)
    about = {"low": 0.0, "high": 1.0}
    assert learned.interval([0.5, 0.5, 0.5], about) == "0.5 (all alike), n = 3"
    assert learned.interval([0.4, 0.5, 0.6], about).startswith("0.5 [0.2")


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
    assert changes.as_intended(style, old) == changes.as_made(style, new)
    spoilt = new.replace("a", "A", 1).replace('id="', 'id="x')
    assert changes.as_intended(style, old) != changes.as_made(style, spoilt)


def test_outputs_are_judged(study: Callable[[str], Any]) -> None:
    old = {"a": ("text", "x"), "b": ("text", "sees 1"), "c": ("text", "1"), "d": ("text", "")}
    new = {"a": ("text", "x"), "b": ("text", "MDE 1"), "c": ("text", "2")}
    verdicts = [verdict for _, verdict, _ in study("same_outputs").judge(old, new)]
    assert verdicts == ["identical", "changed as intended", "different", "different"]


def test_winners_are_written_into_the_suite(
    study: Callable[[str], Any], tmp_path: Path, registry: Registry
) -> None:
    rates = study("quick_rates")
    rows = [
        {"task": "bbc-news", "optimizer": "sgd", "options": {"lr": 0.7, "weight_decay": 0.0}},
        {"task": "headlines", "optimizer": "sam-equal-steps", "options": {"base.lr": 0.006}},
    ]
    text = rates.with_winners(rates.SUITE.read_text(), rows)
    assert rates.with_winners(text, rows) == text
    path = tmp_path / "quick.toml"
    path.write_text(text)
    suite = load_suite(str(path))
    assert suite.tuned_by == "studies/quick_rates.py"
    trials = plan(suite, registry, (), lambda part: "data")
    found = {(t.task.name, display_name(t.optimizer)): t.optimizer.options for t in trials}
    assert found["bbc-news", "sgd"]["lr"] == 0.7
    assert found["headlines", "sam-equal-steps"]["base"].options["lr"] == 0.006
    assert found["headlines", "sam"]["base"].options["lr"] == 1e-3, "adamw's own"
    assert len([each for each in trials if not each.yardstick]) == 18 * len(suite.seeds)


def test_the_search_behind_quick_is_of_all_strategies(
    study: Callable[[str], Any], registry: Registry
) -> None:
    suite = study("quick_rates").untuned(load_suite("quick"), trials=14)
    trials = plan(suite, registry, (), lambda part: "data")
    assert len(trials) == 3 * 6 * 3  # three rates of six strategies on three tasks
    assert all(trial.is_search for trial in trials)
    assert {trial.training.validations for trial in trials} == {1}


def test_the_simulated_search_is_as_good_as_the_documents_say(study: Callable[[str], Any]) -> None:
    searches = study("searches")
    known = searches.of_suite()
    assert len(known) == 54
    assert all(math.isfinite(curve.best) for curve in known)
    rows = {row["search"]: row for row in json.loads(searches.OUT.read_text())["rows"]}
    assert list(rows) == list(searches.METHODS)
    bracket = rows["bracket, best 4, then 2, with 1 more"]
    assert bracket["bbc-news"] < 0.02
    assert bracket["verses-lm"] < 0.01
    for task in searches.TASKS:
        assert bracket[task] < rows["Halton, 14 points"][task]


def test_the_sham_differs_in_its_rate_alone(
    study: Callable[[str], Any], registry: Registry
) -> None:
    trials = plan(study("sham").paired_suite(2), registry, (), lambda part: "data")
    rates = {(t.task.name, t.seed, t.optimizer.label): t.optimizer.options["lr"] for t in trials}
    assert len(rates) == len(trials) == 3 * 2 * 2
    for task, seed, _ in rates:
        larger = rates[task, seed, "sham"] / rates[task, seed, ""]
        assert larger == pytest.approx(1.001)
