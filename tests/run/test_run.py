"""Real runs: pairing, determinism, resuming, isolation, and what is measured."""

import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msbench import PAD
from msbench.data.batches import training_batches
from msbench.plan.suite import load_suite
from msbench.plan.trials import Fingerprint, measurements, plan
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.records.record import Record, record
from msbench.run.job import run_job
from msbench.run.phases import trial_batches
from msbench.run.processes import processes
from msbench.run.trial import make_learner
from msbench.spec import Choice, Job, Suite, Throughput, Trial

pytestmark = pytest.mark.usefixtures("server")

BAD = """
import os, signal, sys, time
import msbench
from torch.optim import SGD

@msbench.hookimpl
def register_optimizers(register):
    for action in (tuples, raises, hangs, segfaults, exits, oom, explodes, idle, talks):
        register(action.__name__, action)

class Bad(SGD):
    def __init__(self, model, action):
        super().__init__(model.parameters(), lr=1e-3)
        self.action = action

    def step(self, closure):
        loss = closure()
        self.action(self)
        return loss

def raises(model):
    def fail(optimizer):
        raise RuntimeError("[bold]no[/bold] such luck")
    return Bad(model, fail)

def hangs(model):
    def sleep(optimizer):
        if os.fork() == 0:
            time.sleep(600)
        time.sleep(600)
    return Bad(model, sleep)

def segfaults(model):
    def die(optimizer):
        if os.fork() == 0:
            time.sleep(600)  # holds the pipe to the driver open
        os.kill(os.getpid(), signal.SIGSEGV)
    return Bad(model, die)

def exits(model):
    def leave(optimizer):
        print("goodbye")
        sys.stdout.flush()
        os._exit(7)
    return Bad(model, leave)

def oom(model):
    def fill(optimizer):
        raise MemoryError("tried to allocate too much")
    return Bad(model, fill)

def explodes(model):
    return SGD(model.parameters(), lr=1e30)

def idle(model):
    return SGD(model.parameters(), lr=0.0)

def tuples(model, betas: tuple[float, ...] = (0.5, 0.9)):
    assert hash(betas)
    return SGD(model.parameters(), lr=betas[0])

def talks(model):
    print("x" * 200_000)
    return SGD(model.parameters(), lr=0.1)
"""


def test_strategies_start_equal_and_see_equal_batches(
    trials: list[Trial], registry: Registry
) -> None:
    task = registry.build("task", trials[0].task)()
    adamw, sam = (t for t in trials if t.seed == 0)
    other = next(t for t in trials if t.seed == 1)
    sums = [make_learner(t, task, registry).checksum() for t in (adamw, sam, other)]
    assert sums[0] == sums[1] != sums[2]

    rows = [
        [next(b).rows.tolist() for _ in range(40)]
        for b in (trial_batches(t, task) for t in (adamw, sam, other))
    ]
    assert rows[0] == rows[1] != rows[2]


def test_shapes_are_few_only_where_each_is_captured(
    trials: list[Trial], registry: Registry
) -> None:
    plain = trials[0]
    task = registry.build("task", plain.task)()

    def lengths(**modes: Any) -> tuple[set[int], list[Any]]:
        batches = trial_batches(replace(plain, **modes), task)
        some = [next(batches) for _ in range(40)]
        return {each.input.shape[1] for each in some}, [each.rows.tolist() for each in some]

    exact, rows = lengths()
    training = plain.training
    assert lengths(training=replace(training, graph=True))[0] == exact, "eager on a CPU"
    assert lengths(training=replace(training, compile=True), device="cuda")[0] == exact
    rounded, same = lengths(training=replace(training, graph=True), device="cuda")
    assert len(rounded) < len(exact)
    assert all(length % 8 == 0 or length == task.train.input.shape[1] for length in rounded)
    assert same == rows


def test_sam_is_counted_at_two_passes(trials: list[Trial]) -> None:
    by_name = {t.optimizer.name: run_job(t).results["training"] for t in trials if t.seed == 0}
    assert (by_name["adamw"]["passes"], by_name["adamw"]["steps"]) == (12, 12)
    assert (by_name["sam"]["passes"], by_name["sam"]["steps"]) == (12, 6)


def test_epochs_cover_the_data_in_new_orders(trials: list[Trial], registry: Registry) -> None:
    split = registry.build("task", trials[0].task)().train
    batches = training_batches(split, 8, np.random.default_rng(0))
    epochs = [[row for _ in range(len(split) // 8) for row in next(batches).rows] for _ in "ab"]
    assert epochs[0] != epochs[1]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) == len(split) // 8 * 8


def test_batches_gathered_together_are_those_gathered_alone(
    trials: list[Trial], registry: Registry
) -> None:
    split = registry.build("task", trials[0].task)().train
    drawn = training_batches(split, 4, np.random.default_rng(0))
    for batch in (next(drawn) for _ in range(200)):  # over several pools
        alone = split.batch(batch.rows)
        assert len(batch.rows) == 4
        assert batch.tokens == alone.tokens
        for name in ("source", "input", "target"):
            assert np.array_equal(getattr(batch, name), getattr(alone, name))
        assert batch.tokens == (batch.source != PAD).sum() + (batch.input != PAD).sum()


def test_rounded_lengths_are_few_and_change_no_example(
    trials: list[Trial], registry: Registry
) -> None:
    split = registry.build("task", trials[0].task)().train
    exact, rounded = (
        training_batches(split, 4, np.random.default_rng(0), round_to) for round_to in (1, 8)
    )
    widths = set()
    for plain, wide in ((next(exact), next(rounded)) for _ in range(200)):
        assert np.array_equal(plain.rows, wide.rows)
        assert plain.tokens == wide.tokens
        assert plain.full == bool((plain.source != PAD).all()), "known from the lengths"
        assert wide.full == bool((wide.source != PAD).all())
        length = plain.source.shape[1]
        assert np.array_equal(wide.source[:, :length], plain.source)
        assert not wide.source[:, length:].any()
        widths.add(wide.source.shape[1])
    longest = split.source.shape[1]
    assert widths <= {*range(8, longest, 8), longest}
    with_shards = [shard for of in (2, 3) for shard in (plain.shard(1, of), wide.shard(1, of))]
    assert all(not s.full or (s.source != PAD).all() for s in with_shards)


def test_identity(write_suite: Callable[..., Path], registry: Registry) -> None:
    def keys(text: str = "", **replacements: str) -> set[str]:
        suite = load_suite(str(write_suite(bottom=text, **replacements)))
        return {t.key for t in plan(suite, registry, (), lambda part: "data")}

    first = keys()
    greedy_first = 'name = "greedy"\n\n[[decoder]]\nname = "beam"\nwidth = 2\n'
    beam_first = keys(
        **{greedy_first: 'name = "beam"\nwidth = 2\n\n[[decoder]]\nname = "greedy"\n'}
    )
    assert beam_first == first, "order in a suite does not matter"
    assert keys(**{"lr = 3e-3\n": "lr = 3e-3\nbeta1 = 0.9\n"}) == first, "defaults are frozen"
    assert keys(**{"limit = 60": "limit = 50"}) == first
    assert not keys(**{"passes = 12": "passes = 13"}) & first
    assert len(keys(**{"lr = 3e-3\n": "lr = 4e-3\n"}) & first) == 2, "only adamw's trials change"
    more = keys('\n[[optimizer]]\nname = "sgd"\n')
    assert more > first


def test_identity_holds_data_versions_threads_and_type(trials: list[Trial]) -> None:
    trial = trials[0]
    others = [
        replace(trial, data="other"),
        replace(trial, threads=2),
        replace(trial, dtype="float64"),
        replace(trial, optimizer=replace(trial.optimizer, version="9")),
        replace(trial, seed=99),
    ]
    assert len({trial.key, *(other.key for other in others)}) == 6


def test_plan_leaves_out_what_has_a_record(
    tiny: Suite, registry: Registry, trials: list[Trial]
) -> None:
    fingerprint = lambda part: trials[0].data  # noqa: E731
    assert plan(tiny, registry, (), fingerprint) == trials
    left = plan(tiny, registry, [record(trials[1], "ok")], fingerprint)
    assert left == [trials[0], *trials[2:]]


def records_of(launched: Iterable[Job | Record]) -> Iterator[Record]:
    return (each for each in launched if isinstance(each, Record))


@pytest.fixture
def bad(write_plugin: Callable[..., str]) -> str:
    """The plugin of every way to go wrong."""
    return write_plugin(BAD, "bad.py")


@pytest.fixture
def suite_of(tiny: Suite) -> Callable[..., Suite]:
    """The tiny suite with other optimizers and one seed."""
    return lambda *choices: replace(tiny, optimizers=choices, seeds=(0,), baseline="")


@pytest.fixture
def trials_of(
    bad: str, suite_of: Callable[..., Suite], fingerprint: Fingerprint
) -> Callable[..., list[Trial]]:
    """The trials of optimizers by name, those of `bad` included."""

    def trials(*names: str) -> list[Trial]:
        return plan(suite_of(*map(Choice, names)), load_plugins([bad]), (), fingerprint)

    return trials


def test_every_bad_end_is_a_record_and_the_rest_go_on(
    bad: str, trials_of: Callable[..., list[Trial]]
) -> None:
    jobs = trials_of("tuples", "raises", "segfaults", "exits", "oom", "explodes", "talks", "adamw")
    launched = processes(workers=2)(
        jobs, partial(run_job, files=(bad,)), limit=600.0, preload=["torch._dynamo"]
    )
    records = {r.job["optimizer"]["name"]: r for r in records_of(launched)}
    said = {name: (r.status, r.reason) for name, r in records.items()}
    assert len(said) == 8
    assert said["adamw"] == ("ok", "")
    assert said["talks"] == ("ok", "")
    assert said["tuples"] == ("ok", ""), "a tuple must survive the way to the worker"
    assert said["raises"][0] == "failed"
    assert "RuntimeError: [bold]no[/bold] such luck (bad.py:" in said["raises"][1]
    assert said["segfaults"][0] == "crashed"
    assert "killed by signal SIGSEGV" in said["segfaults"][1]
    assert said["exits"][0] == "crashed"
    assert "exit code 7 and no result; it last said: goodbye" in said["exits"][1]
    assert said["oom"][0] == "oom"
    assert said["explodes"][0] == "diverged"
    assert all(r.machine and r.finished for r in records.values())
    assert not multiprocessing.active_children()


def test_a_trial_that_takes_too_long_is_ended(
    bad: str, trials_of: Callable[..., list[Trial]]
) -> None:
    (made,) = records_of(processes()(trials_of("hangs"), partial(run_job, files=(bad,)), limit=5.0))
    assert (made.status, made.reason) == ("timeout", "no result after 5 s")
    assert made.machine
    assert made.finished
    assert not multiprocessing.active_children()


def test_a_launch_that_is_closed_ends_its_workers(
    bad: str, trials_of: Callable[..., list[Trial]]
) -> None:
    jobs = trials_of("hangs", "adamw")
    records = processes(workers=2)(jobs, partial(run_job, files=(bad,)), limit=600)
    assert next(records_of(records)).job["optimizer"]["name"] == "adamw"
    records.close()
    assert not multiprocessing.active_children()


def test_throughput_is_paired_by_round(
    tiny: Suite, trials: list[Trial], time_in_passes: Any
) -> None:
    suite = replace(tiny, throughput=Throughput(rounds=3, steps=2))
    (measurement,) = measurements(suite, trials)
    assert [t.optimizer.name for t in measurement.strategies] == ["adamw", "sam"]
    result = run_job(measurement)
    assert result.status == "ok", result.reason
    adamw, sam = result.results["training"]
    assert adamw["ratios"] == [1.0] * 3
    for ratio, rate, base in zip(sam["ratios"], sam["rates"], adamw["rates"], strict=True):
        assert math.isclose(ratio, rate / base)
    assert sam["ratios"] == pytest.approx([0.5] * 3), "SAM takes two passes a step"
    assert len(result.results["decoding"]) == 2


def test_speed_of_a_strategy_that_learns_nothing_is_refused(
    bad: str, tiny: Suite, trials_of: Callable[..., list[Trial]]
) -> None:
    (measurement,) = measurements(tiny, trials_of("idle"))
    result = run_job(measurement, files=(bad,))
    assert result.status == "failed"
    assert "left every weight as it was" in result.reason


def test_what_changed_since_planning_is_not_recorded_under_the_old_name(
    bad: str, trials_of: Callable[..., list[Trial]]
) -> None:
    (trial,) = trials_of("talks")
    other = run_job(replace(trial, data="other"), [bad])
    assert (other.status, "data changed" in other.reason) == ("failed", True)
    Path(bad).write_text(BAD + "\n# edited\n")
    edited = run_job(trial, [bad])
    assert edited.status == "failed"
    assert "optimizer 'talks' of plugin bad.py is now version sha256:" in edited.reason


def test_sampling_depends_on_the_seed_and_not_on_the_strategy(
    write_plugin: Callable[..., str], tiny: Suite, fingerprint: Fingerprint
) -> None:
    dice = write_plugin(
        "import msbench, torch\n@msbench.hookimpl\ndef register_decoders(register):\n"
        "    register('dice', dice, fits=['seq2seq'])\n"
        "def dice():\n"
        "    return lambda model, batch: torch.randint(4, 40, (len(batch.rows), 5)).tolist()\n"
    )
    suite = replace(tiny, decoders=(Choice("greedy"), Choice("dice")))
    trials = plan(suite, load_plugins([dice]), (), fingerprint)
    scores: dict[int, set[float]] = {}
    for trial in trials:
        for decoded in run_job(trial, [dice]).results["decoding"]:
            if decoded["decoder"]["name"] == "dice":
                scores.setdefault(trial.seed, set()).add(decoded["metrics"]["chrf"])
    assert [len(values) for values in scores.values()] == [1, 1]
    assert scores[0] != scores[1]


def test_speed_is_measured_at_rates_that_last(
    suite_of: Callable[..., Suite], registry: Registry, fingerprint: Fingerprint
) -> None:
    wild = Choice("momentum", {"lr": 90.0, "momentum": 0.99})
    suite = replace(suite_of(Choice("adamw"), wild), throughput=Throughput(rounds=3, steps=5))
    (measurement,) = measurements(suite, plan(suite, registry, (), fingerprint))
    result = run_job(measurement)
    assert result.status == "ok", result.reason
    assert len(result.results["training"]) == 2
