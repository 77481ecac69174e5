"""Phases: stages of training one after the other, and budgets in other units than passes."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.lstm import LSTM
from msbench.builtin.optimizers.torch_optim import sgd
from msbench.builtin.optimizers.wrappers import EMA
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.data.task import Split, Task
from msbench.errors import SuiteError
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.run.job import run_job
from msbench.run.phases import validation_batches
from msbench.spec import Part, Trial, digest, identity, plain

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
    record = run_job(trial)
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
    for trial in (phased[0], replace(phased[0], phases=())):
        assert digest(identity(_plain(trial))) == digest(identity(asdict(trial)))


def _plain(trial: Trial) -> dict[str, Any]:
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
    assert a["compute"]["flops"] == b["compute"]["flops"]


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
        ("[[phase]]\n\n", '[[phase]]\noptimizer = { name = "adamw" }\n', "is never used"),
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
        ("seconds = 600.0\n", "600 seconds needs a limit above it, not 600"),
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
    write_suite: Write, registry: Registry, fingerprint: Any, time_in_passes: Any
) -> None:
    path = write_suite(**{"passes = 12\n": "seconds = 20.5\n"})
    trial = plan(load_suite(str(path)), registry, (), fingerprint)[0]
    training = results(trial)["training"]
    assert training["steps"] == 20
    assert training["seconds"] == pytest.approx(20)
    assert [point["steps"] for point in training["curve"]] == [11, 20]


def test_a_task_may_have_a_budget_in_a_unit_of_its_own(write_suite: Write) -> None:
    path = write_suite(**{"examples = 200": "examples = 200\ntraining = { steps = 7 }"})
    assert load_suite(str(path)).training["numbers-fr"].budget == ("steps", 7)


def test_compute_is_counted(trials: list[Trial]) -> None:
    compute = {t.optimizer.name: run_job(t).results for t in trials if t.seed == 0}
    adamw, sam = compute["adamw"]["compute"], compute["sam"]["compute"]
    # Equal passes: about as many operations (it reads half the batches, which differ in length).
    assert sam["flops"] == pytest.approx(adamw["flops"], rel=0.15)
    # Two moments for every weight, of four bytes each, and a step count for every tensor.
    weights = compute["adamw"]["parameters"]
    assert 8 * weights <= adamw["optimizer_bytes"] <= 8 * weights + 400
    assert adamw["sent_bytes"] == 0


ROWS, LONG, WIDE = 4, 8, 16


def made(model: Any, optimizer: Any = sgd) -> TorchLearner:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, ROWS)
    split = Split(draw.integers(4, 20, (ROWS, LONG)), labels, labels.tolist())
    task = Task("classify", split, split, split, lambda p, r: None, "accuracy", 20, 3)  # type: ignore[arg-type,return-value]
    return TorchLearner(task, model=model, loss=cross_entropy, optimizer=optimizer, seed=0)


def of_one_step(learner: TorchLearner) -> float:
    learner.mode(training=True)
    learner.train_step(learner.task.train.batch(np.arange(ROWS)), nullcontext)
    return learner.flops()


def test_flops_of_an_encoder_are_those_of_its_matrices_and_attention() -> None:
    learner = made(partial(Encoder, width=WIDE, layers=1, heads=2, dropout=0.0))
    flops = of_one_step(learner)
    tokens = ROWS * LONG
    matrices = 12 * WIDE**2 * tokens + 3 * WIDE * ROWS  # q, k, v, out, feed-forward; the head
    attention = 2 * ROWS * LONG**2 * WIDE  # scores, and what is mixed by them
    # Two operations a multiplication; backward twice as many as forward.
    assert flops == pytest.approx(3 * 2 * (matrices + attention), rel=0.01)


def test_flops_of_an_lstm_are_counted() -> None:
    learner = made(partial(LSTM, width=WIDE, layers=1, dropout=0.0))
    assert of_one_step(learner) > 3 * 2 * ROWS * LONG * 4 * WIDE * WIDE


def test_measuring_memory_leaves_no_trace_even_if_it_fails() -> None:
    learner = made(
        partial(Encoder, width=WIDE, layers=1, heads=2), lambda m: EMA(m, partial(sgd, lr=0.5))
    )
    batch = learner.task.train.batch(np.arange(ROWS))
    learner.mode(training=True)
    learner.train_step(batch)
    learner.mode(training=False)
    before = {name: each.clone() for name, each in learner.model.state_dict().items()}
    learner.peak_memory(batch)
    learner._makes = lambda: lambda model, batch: 1 / 0, sgd  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        learner.peak_memory(batch)
    assert not learner.model.training
    for name, each in learner.model.state_dict().items():
        assert torch.equal(each, before[name])


def test_a_trial_whose_memory_cannot_be_measured_is_kept(
    phased: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary, measure = results(phased[0]), TorchLearner.peak_memory
    calls = iter((True, False))  # in the first of two phases

    def fails_first(learner: TorchLearner, batch: Any) -> float:
        return 1 / 0 if next(calls) else measure(learner, batch)

    monkeypatch.setattr(TorchLearner, "peak_memory", fails_first)
    record = run_job(phased[0])
    assert record.status == "ok", record.reason
    assert Record.from_json(record.to_json()).results["peak_memory"] is None
    assert record.results["losses"] == ordinary["losses"]


def test_local_workers_weights_are_counted_once() -> None:
    from msbench.builtin.optimizers.local_sgd import local_sgd

    learner = made(
        partial(Encoder, width=WIDE, layers=1, heads=2),
        partial(local_sgd, base=sgd, workers=4, every=2),
    )
    learner.mode(training=True)
    learner.train_step(learner.task.train.batch(np.arange(ROWS)))
    # Three workers beside the one in the model, and where they met; no gradients before a meeting.
    assert learner.optimizer_bytes() == pytest.approx(4 * 4 * learner.parameters(), rel=0.01)


def test_validation_is_of_so_many_examples_and_of_all_by_default(phased: list[Trial]) -> None:
    trial, task = phased[0], numbers_fr(below=200, examples=200)
    whole = validation_batches(trial, task)
    assert sum(len(batch.rows) for batch in whole) == len(task.validation)
    some = replace(trial, training=replace(trial.training, validation_examples=7))
    rows = sorted(row for batch in validation_batches(some, task) for row in batch.rows)
    assert rows == np.linspace(0, len(task.validation) - 1, 7).astype(int).tolist()
    assert some.key != trial.key
    assert "validation_examples" not in plain(trial)["training"], "as records of before"
