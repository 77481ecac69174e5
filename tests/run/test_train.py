"""The loop: passes counted, validation off the clock, divergence seen; and no framework in it."""

import math
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
import pytest

from msbench.data.task import Batch
from msbench.run.clock import Clock
from msbench.run.learner import Step
from msbench.run.train import train
from msbench.spec import Training

BATCH = Batch(None, None, None, np.arange(4), 40)


class Counting:
    """A learner without a model: every step costs `passes`, and a second of `time`."""

    def __init__(self, passes: int = 1, losses: Sequence[float] = (1.0,), time: Any = None):
        self.passes, self.losses, self.time = passes, list(losses), time
        self.rates: list[float] = []
        self.calls: list[str] = []

    def train_step(self, batch: Batch, aside: Any = None) -> Step:
        self.calls.append("step")
        self.spend(1)
        loss = self.losses.pop(0) if len(self.losses) > 1 else self.losses[0]
        return Step(self.passes, loss)

    def set_rate(self, factor: float, spent: float) -> None:
        self.rates.append(factor)

    def validate(self, batches: Any) -> float:
        self.calls.append("validate")
        self.spend(1000)
        return 2.0

    def spend(self, seconds: float) -> None:
        if self.time is not None:
            self.time.now += seconds

    def mode(self, training: bool) -> None:
        self.calls.append("train" if training else "eval")

    def synchronize(self) -> None:
        self.calls.append("sync")


def run(learner: Any, passes: int = 100, validations: int = 4) -> Any:
    training = Training(passes=passes, validations=validations)
    return train(learner, repeat(BATCH), [], training, lambda spent: 1 - spent)


@pytest.mark.parametrize(
    ("passes", "steps", "spent"), [(1, 100, 100), (2, 50, 100), (3, 33, 99), (7, 14, 98)]
)
def test_the_budget_is_passes(passes: int, steps: int, spent: int) -> None:
    result = run(Counting(passes))
    assert (result.steps, result.passes) == (steps, spent)
    assert (result.samples, result.tokens) == (4 * steps, 40 * steps)


def test_validations_are_even_and_the_last_is_at_the_end() -> None:
    assert [p.passes for p in run(Counting()).curve] == [25, 50, 75, 100]
    assert [p.passes for p in run(Counting(3)).curve] == [27, 51, 75, 99]
    assert [p.passes for p in run(Counting(), passes=3, validations=9).curve] == [1, 2, 3]


def test_validation_stops_the_clock(fake_time: Any) -> None:
    result = run(Counting(time=fake_time))
    assert len(result.curve) == 4
    assert result.seconds == pytest.approx(100)


def test_modes_surround_validation() -> None:
    learner = Counting()
    run(learner, passes=2, validations=1)
    calls = [call for call in learner.calls if call != "sync"]
    assert calls == ["train", "step", "step", "eval", "validate", "train", "eval"]


def test_the_schedule_is_told_the_share_spent() -> None:
    learner = Counting(2)
    run(learner, passes=8)
    assert learner.rates == [1.0, 0.75, 0.5, 0.25]


class Unread:
    """A loss that is still on its way."""

    def __init__(self, learner: "Reluctant"):
        self.learner = learner

    def __float__(self) -> float:
        assert self.learner.calls[-1] in ("eval", "sync"), "the device is waited for in a step"
        return 1.0


class Reluctant(Counting):
    """Its losses may be read while validating, and at no other time."""

    def train_step(self, batch: Batch, aside: Any = None) -> Step:
        super().train_step(batch, aside)
        return Step(1, Unread(self))


def test_no_loss_is_read_but_at_validations() -> None:
    assert [point.train_loss for point in run(Reluctant()).curve] == [1.0] * 4


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_divergence_ends_training_at_the_next_validation(loss: float) -> None:
    result = run(Counting(losses=[1.0] * 10 + [loss]), passes=100)
    assert result.steps == 25
    assert f"training loss {loss} by step 25" in result.diverged


def test_a_last_bad_step_is_seen() -> None:
    result = run(Counting(losses=[1.0] * 5 + [math.nan]), passes=6, validations=1)
    assert "training loss nan by step 6" in result.diverged


def test_a_curve_above_its_limit_is_stopped_there() -> None:
    training = Training(passes=100, validations=4)
    for above, points in (((None, 1.9, None), 2), ((None, 2.0, None), 4), ((), 4)):
        found = train(Counting(), repeat(BATCH), [], training, lambda spent: 1.0, None, None, above)
        assert len(found.curve) == points
        assert bool(found.pruned) == found.is_stopped == (points < 4)


def test_clock_synchronizes_at_every_edge(fake_time: Any) -> None:
    edges: list[int] = []
    clock = Clock(lambda: edges.append(1))
    with clock.running():
        fake_time.now += 2
        with clock.paused():
            fake_time.now += 100
        fake_time.now += 3
    assert len(edges) == 4
    assert clock.seconds == pytest.approx(5)
