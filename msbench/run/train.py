"""The loop. It knows no framework and no strategy; read it from top to bottom."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, cast

from msbench.data.task import Batch
from msbench.records.schema import TrainingData
from msbench.run.clock import Clock
from msbench.run.learner import Learner, Schedule
from msbench.spec import Training


@dataclass(frozen=True)
class Point:
    """One point of the learning curve."""

    passes: float
    steps: int
    seconds: float
    train_loss: float
    """Mean over the steps since the point before."""
    validation_loss: float
    phase: int = 0
    """Which phase it is in, from 0; losses of two phases may be of two kinds."""


@dataclass
class Run:
    """What training took and where it got."""

    passes: float = 0
    steps: int = 0
    samples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    diverged: str = ""
    """Why training was stopped early; empty if it was not."""
    curve: list[Point] = field(default_factory=list)
    touched: bool = False
    """Whether a step was seen to change the batch that it was given."""
    pruned: str = ""
    """Why it was stopped, though nothing was wrong with it."""

    @property
    def is_stopped(self) -> bool:
        """Whether it ended before its budget."""
        return bool(self.diverged or self.pruned)

    def to_data(self) -> TrainingData:
        """What a record has of it."""
        return cast(TrainingData, asdict(self))

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Run":
        """What `asdict` turned into `data`."""
        return cls(**{**data, "curve": [Point(**point) for point in data["curve"]]})

    def then(self, later: "Run") -> "Run":
        """Both phases as one run."""
        phase = self.curve[-1].phase + 1 if self.curve else 0
        moved = [
            replace(
                point,
                passes=self.passes + point.passes,
                steps=self.steps + point.steps,
                seconds=self.seconds + point.seconds,
                phase=phase,
            )
            for point in later.curve
        ]
        return Run(
            self.passes + later.passes,
            self.steps + later.steps,
            self.samples + later.samples,
            self.tokens + later.tokens,
            self.seconds + later.seconds,
            later.diverged,
            self.curve + moved,
            self.touched or later.touched,
            later.pruned,
        )


@dataclass(frozen=True)
class Progress:
    """Where the loop is between two steps: all that it needs to go on from there."""

    run: Run
    losses: Sequence[Any]
    """Of the steps since the last point of the curve."""
    used: float
    """Of the budget."""
    dearest: float
    """What of it a step has taken at most; of seconds, in the mean."""


class Keeping(Protocol):
    """Keeps where training is, now and then."""

    def is_due(self) -> bool:
        """Whether it is time."""

    def keep(self, progress: Progress) -> None:
        """Keep it."""


def train(
    learner: Learner,
    batches: Iterator[Batch],
    validation: Sequence[Batch],
    training: Training,
    schedule: Schedule,
    at: Progress | None = None,
    keeping: Keeping | None = None,
    prune_above: Sequence[float | None] = (),
) -> Run:
    """Train until the budget is spent or, at a validation, the loss is no longer a number.

    at: where to go on, with a learner that is there; None = at the start. keeping: asked after
    every step whether to keep where training is. prune_above: the loss of every validation above
    which to stop.

    Losses are read at validations alone: reading one waits for the device.

    The budget is in passes, unless it is in steps or seconds. A step that would overrun it is not
    taken: a strategy of two passes a step takes half the steps. (What a step may cost is known from
    those before: the first is always taken.) Samples and tokens count what was read, once per step.
    """
    factor = _told_steps(schedule)
    unit, budget = training.budget
    at = at or Progress(Run(), (), used=0.0, dearest=1.0 if unit != "seconds" else 0.0)
    run, losses, used, dearest = at.run, [*at.losses], at.used, at.dearest
    clock = Clock(learner.synchronize, run.seconds)
    learner.mode(training=True)
    with clock.running():
        while True:
            over = used + dearest > budget and run.steps > 0

            # ── validation: the clock is stopped ────────────────────────────────────────────
            if over or used >= budget / training.validations * (len(run.curve) + 1):
                with clock.paused():
                    learner.mode(training=False)
                    now = math.fsum(map(float, losses)) / max(1, len(losses))
                    held = learner.validate(validation)
                    run.curve.append(Point(run.passes, run.steps, clock.seconds, now, held))
                    run.diverged = _divergence(now, held, run)
                    run.pruned = _behind(held, run, prune_above)
                    losses.clear()
                    learner.mode(training=True)
                if over or run.is_stopped:
                    break

            # ── one training step ───────────────────────────────────────────────────────────
            batch = next(batches)
            learner.set_rate(factor(used / budget, dearest / budget), used / budget)
            looked = _is_power_of_two(run.steps + 1)  # what changes batches does so again
            given = batch.checksum() if looked else 0
            step = learner.train_step(batch, clock.paused)
            run.touched |= looked and batch.checksum() != given
            losses.append(step.loss)
            run.passes += step.passes
            run.steps += 1
            run.samples += len(batch.rows)
            run.tokens += batch.tokens
            before, used = used, {"passes": run.passes, "steps": run.steps}.get(unit, clock.seconds)
            # Of seconds the mean: one slow step is no reason to end early.
            dearest = used / run.steps if unit == "seconds" else max(dearest, used - before)

            # ── a checkpoint, now and then: the clock is stopped ────────────────────────────
            if keeping is not None and keeping.is_due():
                with clock.paused():
                    run.seconds = clock.seconds
                    keeping.keep(Progress(run, [float(loss) for loss in losses], used, dearest))
    learner.mode(training=False)
    run.seconds = clock.seconds
    return run


def _told_steps(schedule: Schedule) -> Callable[[float, float], float]:
    """The schedule, asked with what is spent and with what the coming step takes."""
    if "step" in inspect.signature(schedule).parameters:
        return schedule
    return lambda spent, step: schedule(spent)


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _behind(validation_loss: float, run: Run, above: Sequence[float | None]) -> str:
    limit = above[len(run.curve) - 1] if len(run.curve) <= len(above) else None
    if limit is None or validation_loss <= limit:
        return ""
    return f"validation loss {validation_loss:.4g} by step {run.steps}, above {limit:.4g}"


def _divergence(train_loss: float, validation_loss: float, run: Run) -> str:
    for name, value in (("training", train_loss), ("validation", validation_loss)):
        if not math.isfinite(value):
            return f"{name} loss {value} by step {run.steps}"
    return ""
