"""Batch sizes that are compared: the first as if it were alone, the others twice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from handmade import results

from msbench.compare.comparison import compare
from msbench.plan.suite import load_suite
from msbench.plan.trials import measurements
from msbench.records.record import record
from msbench.spec import display_name, job_from_json, job_to_json

SIZE = {"batch_size = 8": "batch_size = [8, 32]"}


def test_each_other_size_at_equal_passes_and_equal_examples(planned: Callable[..., Any]) -> None:
    plain, compared = planned(), planned(**SIZE)
    passes = plain[0].training.passes
    assert {trial.key for trial in plain} < {trial.key for trial in compared}
    found = {
        display_name(trial.optimizer): (trial.training.batch_size, trial.training.passes)
        for trial in compared
        if trial.optimizer.name == "adamw"
    }
    assert found == {
        "adamw": (8, passes),
        "adamw, batch 32": (32, passes),
        "adamw, batch 32, equal examples": (32, max(1, round(passes / 4))),
    }
    assert all(job_from_json(job_to_json(trial)) == trial for trial in compared)


def test_they_are_strategies_of_one_task(
    planned: Callable[..., Any], write_suite: Callable[..., Path]
) -> None:
    trials = planned(**SIZE)
    scores = results(trials[0].decoders[:1], [{"bleu": 3.0}])
    records = [
        record(replace(each, decoders=each.decoders[:1]), "ok", results=scores) for each in trials
    ]
    rows = compare(records, "adamw").accuracy
    assert {row["task"] for row in rows} == {"numbers-fr"}
    assert {row["optimizer"] for row in rows} == {display_name(each.optimizer) for each in trials}
    (measured,) = measurements(load_suite(str(write_suite(**SIZE))), trials)
    timed = [display_name(each.optimizer) for each in measured.strategies]
    assert sorted(timed) == ["adamw", "adamw, batch 32", "sam", "sam, batch 32"]


def test_what_is_wrong_with_them(problems: Callable[..., list[str]]) -> None:
    (twice,) = problems(**{"batch_size = 8": "batch_size = [8, 8]"})
    assert twice.startswith("training.batch_size: should be a batch size, or two or more different")
    (steps,) = problems(**SIZE, **{"passes": "steps"})
    assert "a budget in steps has neither" in steps
