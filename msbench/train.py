"""The loop. It knows no framework and no strategy; read it from top to bottom."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from msbench.clock import Clock
from msbench.learner import Learner, Schedule
from msbench.spec import Training
from msbench.task import Batch


@dataclass(frozen=True)
class Point:
    """One point of the learning curve."""

    passes: float
    steps: int
    seconds: float
    train_loss: float
    """Mean over the steps since the point before."""
    validation_loss: float


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

    def to_dict(self) -> dict[str, object]:
        """Plain data for a record."""
        return asdict(self)


def train(
    learner: Learner,
    batches: Iterator[Batch],
    validation: Sequence[Batch],
    training: Training,
    schedule: Schedule,
) -> Run:
    """Train until the budget of passes is spent or the loss is no longer a number.

    A step that would overrun the budget is not taken: a strategy of two passes a step takes half
    the steps. (What a step costs is known from the one before: the first is always taken.) Samples
    and tokens count what was read, once per step.
    """
    run, clock = Run(), Clock(learner.synchronize)
    losses: list[Any] = []
    step_passes, interval = 1.0, training.passes / training.validations
    learner.mode(training=True)
    with clock.running():
        while not run.diverged:
            over = run.passes + step_passes > training.passes

            # ── validation: the clock is stopped ────────────────────────────────────────────
            if over or run.passes >= interval * (len(run.curve) + 1):
                with clock.paused():
                    learner.mode(training=False)
                    now = math.fsum(map(float, losses)) / max(1, len(losses))
                    held = learner.validate(validation)
                    run.curve.append(Point(run.passes, run.steps, clock.seconds, now, held))
                    run.diverged = _divergence(now, held, run)
                    losses.clear()
                    learner.mode(training=True)
                if over:
                    break

            # ── one training step ───────────────────────────────────────────────────────────
            batch = next(batches)
            spent = run.passes / training.passes
            learner.set_rate(schedule(spent), spent)
            step = learner.train_step(batch)
            losses.append(step.loss)
            step_passes = step.passes
            run.passes += step.passes
            run.steps += 1
            run.samples += len(batch.rows)
            run.tokens += batch.tokens
            if run.steps % 32 == 0 and not math.isfinite(float(step.loss)):
                run.diverged = f"loss {float(step.loss)} at step {run.steps}"
    learner.mode(training=False)
    run.seconds = clock.seconds
    return run


def _divergence(train_loss: float, validation_loss: float, run: Run) -> str:
    for name, value in (("training", train_loss), ("validation", validation_loss)):
        if not math.isfinite(value):
            return f"{name} loss {value} by step {run.steps}"
    return ""
