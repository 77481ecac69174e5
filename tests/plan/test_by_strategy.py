"""What a suite says of one strategy: options by task, and a budget counted in steps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from handmade import results

from msbench.compare.comparison import compare
from msbench.plan.suite import load_suite
from msbench.plan.trials import Fingerprint, measurements, plan
from msbench.plugins.registry import Registry
from msbench.records.record import record
from msbench.run.job import run_job
from msbench.spec import display_name, job_from_json, job_to_json

Write = Callable[..., Path]
Problems = Callable[..., list[str]]

TWO_TASKS = '\n[[task]]\nname = "numbers-de"\nbelow = 200\nexamples = 200\n'
SAM = 'base = { name = "adamw", lr = 3e-3 }'


def no_data(part: Any) -> str:
    return "data"


def test_options_by_task(write_suite: Write, registry: Registry) -> None:
    own = 'per_task.numbers-de = { "base.lr" = 0.5, rho = 0.3 }'
    path = write_suite(bottom=TWO_TASKS, **{SAM: f"{SAM}\n{own}"})
    trials = plan(load_suite(str(path)), registry, (), no_data)
    found = {
        (
            trial.task.name,
            trial.optimizer.options["base"].options["lr"],
            trial.optimizer.options["rho"],
        )
        for trial in trials
        if trial.optimizer.name == "sam"
    }
    assert found == {("numbers-fr", 3e-3, 0.05), ("numbers-de", 0.5, 0.3)}
    assert len(trials) == 8


def test_options_by_task_are_of_no_part_of_other_suites(
    write_suite: Write, registry: Registry
) -> None:
    """A trial is what its options are, wherever the suite says them."""
    plain = plan(load_suite(str(write_suite())), registry, (), no_data)
    moved = {"lr = 3e-3\n": "per_task.numbers-fr = { lr = 3e-3 }\n"}
    assert plan(load_suite(str(write_suite(**moved))), registry, (), no_data) == plain


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("per_task.numbrs = { lr = 1.0 }", "no task 'numbrs' in this suite; did you mean"),
        ('per_task.numbers-fr = { "base.lr" = 1.0 }', "has no such base"),
        ("per_task.numbers-fr = { lrr = 1.0 }", "did you mean 'lr'?"),
        ("per_task.numbers-fr = 3", "per_task.numbers-fr: "),
        ('tasks = ["numbers-fr"]\nper_task.x = { lr = 1.0 }', "per_task.x: is not among its tasks"),
        ('count = "epochs"', "count: Input should be 'passes' or 'steps'"),
    ],
)
def test_what_is_wrong_is_told(says: str, expected: str, problems: Problems) -> None:
    lines = problems(**{"lr = 3e-3\n": f"lr = 3e-3\n{says}\n"})
    assert any("optimizer[1]" in line and expected in line for line in lines), lines


def test_equal_steps_beside_equal_passes(
    write_suite: Write, registry: Registry, fingerprint: Fingerprint
) -> None:
    again = f'\n[[optimizer]]\nname = "sam"\ncount = "steps"\n{SAM}\n'
    suite = load_suite(str(write_suite(bottom=again)))
    trials = [t for t in plan(suite, registry, (), fingerprint) if t.optimizer.name == "sam"]
    runs = {trial.training.count: run_job(trial) for trial in trials if trial.seed == 0}
    spent = {count: run.trial_results["training"] for count, run in runs.items()}
    assert (spent["passes"]["passes"], spent["passes"]["steps"]) == (12, 6)
    assert (spent["steps"]["passes"], spent["steps"]["steps"]) == (24, 12)
    assert all(job_from_json(job_to_json(trial)) == trial for trial in trials)
    assert len({trial.key for trial in trials}) == 4
    assert "count" not in runs["passes"].job["training"]
    (measured,) = measurements(suite, plan(suite, registry, (), fingerprint))
    assert [display_name(each.optimizer) for each in measured.strategies] == ["adamw", "sam"]


def test_both_budgets_are_rows_of_one_task(write_suite: Write, registry: Registry) -> None:
    again = f'\n[[optimizer]]\nname = "sam"\ncount = "steps"\n{SAM}\n'
    trials = plan(load_suite(str(write_suite(bottom=again))), registry, (), no_data)
    scores = results(trials[0].decoders[:1], [{"bleu": 3.0}])
    records = [
        record(replace(each, decoders=each.decoders[:1]), "ok", results=scores) for each in trials
    ]
    compared = compare(records, "adamw")
    assert {row["task"] for row in compared.accuracy} == {"numbers-fr"}
    names = {row["optimizer"] for row in compared.accuracy}
    assert names == {"adamw", "sam (budget=passes)", "sam (budget=steps)"}
