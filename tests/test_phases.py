"""Phases: stages of training one after the other, and budgets in other units than passes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msbench.errors import SuiteError
from msbench.plan import plan
from msbench.plugins import Registry
from msbench.runner import run
from msbench.spec import Part, Trial
from msbench.suite import load_suite

Write = Callable[..., Path]

TWO = """
[[phase]]
passes = 4
loss = { name = "cross-entropy" }
optimizer = { name = "sgd", lr = 0.1 }
schedule = { name = "linear" }

[[phase]]
"""


def results(trial: Trial) -> dict[str, Any]:
    record = run(trial)
    assert record.status == "ok", record.reason
    return {**record.results, "seconds": 0}


@pytest.fixture
def phased(write_suite: Write, registry: Registry, fingerprint: Any) -> list[Trial]:
    path = write_suite(**{"[throughput]": TWO + "[throughput]"})
    return plan(load_suite(str(path)), registry, (), fingerprint)


def test_phases_take_over_what_they_leave_open(phased: list[Trial]) -> None:
    first, second = phased[0].stages()
    assert (first.optimizer.name, second.optimizer.name) == ("sgd", "adamw")
    assert (first.schedule.name, second.schedule.name) == ("linear", "constant")
    assert (first.passes, second.passes) == (4, 8)
    assert Trial.of({**_plain(phased[0])}) == phased[0]


def _plain(trial: Trial) -> dict[str, Any]:
    import json
    from dataclasses import asdict

    return dict(json.loads(json.dumps(asdict(trial))))


def test_phases_follow_each_other_within_the_budget(phased: list[Trial]) -> None:
    by_name = {trial.optimizer.name: results(trial) for trial in phased if trial.seed == 0}
    curves = {name: each["training"]["curve"] for name, each in by_name.items()}
    assert [(p["passes"], p["phase"]) for p in curves["adamw"]] == [(2, 0), (4, 0), (8, 1), (12, 1)]
    assert [(p["passes"], p["phase"]) for p in curves["sam"]] == [(2, 0), (4, 0), (8, 1), (12, 1)]
    # One opening for all: their curves are one until the second phase, and then no longer.
    for shared in (0, 1):
        assert (
            curves["adamw"][shared]["validation_loss"] == curves["sam"][shared]["validation_loss"]
        )
    assert curves["adamw"][2]["validation_loss"] != curves["sam"][2]["validation_loss"]


def test_two_phases_of_plain_sgd_are_one(phased: list[Trial]) -> None:
    """SGD has no memory and the batches go on, so cutting its training in two changes nothing."""
    sgd = replace(phased[0].phases[0].optimizer, options={**_sgd_options(phased), "lr": 0.1})
    whole = replace(phased[0], phases=(), optimizer=sgd)
    cut = replace(
        whole,
        phases=(
            replace(whole.stages()[0], passes=4, loss=None, optimizer=None, schedule=None),
            replace(whole.stages()[0], passes=0),
        ),
    )
    a, b = results(whole), results(cut)
    assert (
        a["training"]["curve"][-1]["validation_loss"]
        == b["training"]["curve"][-1]["validation_loss"]
    )
    assert a["compute"]["flops"] == pytest.approx(b["compute"]["flops"])


def _sgd_options(phased: list[Trial]) -> dict[str, Any]:
    part: Part = phased[0].phases[0].optimizer
    return dict(part.options)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("passes = 4\n", "", r"phase\[1\].passes: missing; only the last goes without"),
        ("passes = 4\n", "passes = 12\n", "nothing is left for the last phase"),
        ('"sgd", lr', '"sdg", lr', r"phase\[1\].optimizer: unknown optimizer 'sdg'; did you mean"),
        ("lr = 0.1", "lr = -1.0", r"phase\[1\].optimizer: .*greater than 0, not -1.0"),
        ('"cross-entropy"', '"argmax"', r"phase\[1\].loss: unknown loss"),
        ("[[phase]]\n\n", "[[phase]]\npasses = 8\n", "takes what is left of the budget"),
        ("passes = 12\n", "steps = 12\n", "needs a budget in passes, not in steps"),
    ],
)
def test_bad_phases_are_refused(
    old: str, new: str, expected: str, write_suite: Write, registry: Registry
) -> None:
    path = write_suite(**{"[throughput]": TWO + "\n[throughput]"})
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SuiteError, match=expected):
        plan(load_suite(str(path)), registry, (), lambda part: "data")


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ("passes = 12\nsteps = 3\n", "one budget, in passes or steps, not in both"),
        ("accumulate = 9\n", "accumulate 9 is more parts than a batch of 8"),
        ("clip = -1\n", "clip: Input should be greater than or equal to 0"),
        ("seconds = inf\n", "seconds: Input should be a finite number"),
    ],
)
def test_bad_budgets_are_refused(training: str, expected: str, write_suite: Write) -> None:
    path = write_suite(**{"passes = 12\n": training})
    with pytest.raises(SuiteError, match=expected):
        load_suite(str(path))


def test_a_budget_in_steps_costs_more_passes(
    write_suite: Write, registry: Registry, fingerprint: Any
) -> None:
    path = write_suite(**{"passes = 12\n": "steps = 6\n"})
    trials = plan(load_suite(str(path)), registry, (), fingerprint)
    runs = {t.optimizer.name: results(t)["training"] for t in trials if t.seed == 0}
    assert {name: (r["steps"], r["passes"]) for name, r in runs.items()} == {
        "adamw": (6, 6),
        "sam": (6, 12),
    }


def test_a_budget_in_seconds_ends_in_time(
    write_suite: Write, registry: Registry, fingerprint: Any
) -> None:
    path = write_suite(**{"passes = 12\n": "seconds = 0.5\n"})
    trial = plan(load_suite(str(path)), registry, (), fingerprint)[0]
    training = results(trial)["training"]
    assert 0.2 < training["seconds"] <= 0.55
    assert training["steps"] > 5
    assert len(training["curve"]) == 2


def test_a_task_may_have_a_budget_in_a_unit_of_its_own(write_suite: Write) -> None:
    path = write_suite(**{"examples = 200": "examples = 200\ntraining = { steps = 7 }"})
    assert load_suite(str(path)).training["numbers-fr"].budget == ("steps", 7)


def test_compute_is_counted(trials: list[Trial]) -> None:
    compute = {t.optimizer.name: run(t).results for t in trials if t.seed == 0}
    adamw, sam = compute["adamw"]["compute"], compute["sam"]["compute"]
    # Equal passes: about as many operations (batches differ in length), in half the steps.
    assert sam["flops"] == pytest.approx(adamw["flops"], rel=0.15)
    # Two moments for every weight, of four bytes each, and a step count for every tensor.
    weights = compute["adamw"]["parameters"]
    assert 8 * weights <= adamw["optimizer_bytes"] <= 8 * weights + 400
    assert adamw["sent_bytes"] == 0
