"""What a learner tells of training with a part, in any framework."""

import math
from itertools import islice
from typing import Any

import numpy as np

from msbench.checks.findings import Skipped, Wrong
from msbench.checks.subject import Subject
from msbench.data.batches import training_batches
from msbench.data.task import Batch
from msbench.run.seeds import stream

STEPS, MORE, SIZE = 25, 100, 16
"""Of a short training; of a longer one, for methods that look for their own rate, and go too far
before they have it; and how many examples a step has."""


def learns(subject: Subject) -> str:
    """With default options it lowers the loss of a small task in a few steps."""
    kind = subject.kinds[0]
    for steps in (STEPS, MORE):
        learner = subject.learner(kind)
        learner.mode(training=False)
        before = learner.validate(held_out(learner))
        after = trained(learner, steps)
        if after < before:
            return f"{before:.3g} to {after:.3g} on {kind}"
    raise Wrong(
        f"after {MORE} steps the validation loss of a small {kind} task is {after:.4g}, and was "
        f"{before:.4g} before: it does not learn with its default options"
    )


def trained(learner: Any, steps: int) -> float:
    """The validation loss after so many steps; a rate that is no number of the loss is Wrong."""
    batches = training_batches(learner.task.train, SIZE, stream(0, "check"))
    learner.mode(training=True)
    for number, batch in enumerate(islice(batches, steps)):
        learner.set_rate(1.0, number / steps)
        loss = float(learner.train_step(batch).loss)
        if not math.isfinite(loss):
            raise Wrong(f"the loss of step {number + 1} is {loss}")
    learner.mode(training=False)
    return float(learner.validate(held_out(learner)))


def held_out(learner: Any) -> list[Batch]:
    """The validation split, as one batch."""
    split = learner.task.validation
    return [split.batch(np.arange(len(split)))]


def same_training(subject: Subject) -> None:
    """Two learners with the same seed train alike; with another seed otherwise."""
    kind = subject.kinds[0]
    one, other, third = (
        (trained(learner, 4), learner.checksum())
        for learner in (subject.learner(kind, seed) for seed in (0, 0, 1))
    )
    if one != other:
        raise Wrong(f"two runs with the same seed differ: loss {one[0]!r} and {other[0]!r}")
    if one == third:
        raise Wrong("two runs with different seeds are the same: the seed is not used")


def stands_still_at_rate_0(subject: Subject) -> None:
    """With a factor of 0 on every rate, no weight moves."""
    learner = subject.learner(subject.kinds[0])
    before = learner.checksum()
    learner.set_rate(0.0, 0.0)
    learner.mode(training=True)
    learner.train_step(learner.task.train.batch(np.arange(SIZE)))
    learner.mode(training=False)
    if learner.checksum() != before:
        raise Wrong("a step with a rate factor of 0 moved weights")


def need_kinds(subject: Subject) -> None:
    """Skipped if there is no task for it."""
    if not subject.kinds:
        raise Skipped(f"there is no model of {subject.framework} for what it fits")
