"""Losses: `(model, batch) -> (sum over target units, their number)`.

Each check tries every kind of task that the loss fits, on a small model in double precision
without dropout. Losses that draw at random are compared only where that makes sense.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from msbench.checks.findings import Skipped, Wrong
from msbench.checks.learning import learns, need_kinds
from msbench.checks.small import (
    apart,
    batch_for,
    gradients,
    model_for,
    needs_torch,
    short_for,
    unchanged,
)
from msbench.checks.subject import Subject
from msbench.data.task import IGNORE, Batch
from msbench.microbench.tasks import task_of
from msbench.plugins.options import supplied
from msbench.spec import TaskKind

CLOSE = 1e-6
"""The largest difference that may be rounding: rewards are in single precision."""


def can_be_made(subject: Subject) -> None:
    """For every kind of task that it fits, it gives a sum that is a number, and a count."""
    need_kinds(subject)
    if not subject.is_torch:
        subject.learner(subject.kinds[0])
        return
    for case in _cases(subject):
        answer = case.loss(case.model, case.batch)
        if not (isinstance(answer, tuple | list) and len(answer) == 2):
            raise Wrong(f"on {case.kind} it returns {type(answer).__name__}, not (sum, count)")
        total, count = answer
        if not (isinstance(total, Tensor) and total.ndim == 0):
            raise Wrong(
                f"on {case.kind} its sum is no tensor of one number; add up what units give"
            )
        if not bool(total.isfinite()) or not float(count) > 0:
            raise Wrong(f"on {case.kind} its sum is {shown(total)}, of {float(count):g} units")


def counts_what_counts(subject: Subject) -> None:
    """Its count is the number of targets that are not IGNORE, or of examples.

    With another one, steps on batches of unequal lengths have wrong sizes, and a mean over
    validation is no mean."""
    for case in _cases(subject):
        _, count = case.loss(case.model, case.batch)
        targets, examples = int((case.batch.target != IGNORE).sum()), len(case.batch.rows)
        if float(count) not in (targets, examples):
            raise Wrong(
                f"on {case.kind} its count is {float(count):g}; the batch has {targets} targets "
                f"that are not IGNORE, in {examples} examples"
            )


def adds_up(subject: Subject) -> str:
    """The sum, the count and the gradient of a batch are those of its parts added up.

    Accumulation and validation rely on it; a mean of means gives short parts too much weight."""
    drawn = 0
    for case in (each for mode in (True, False) for each in _cases(subject, mode)):
        total, count = case.loss(case.model, case.batch)
        parts = [case.loss(case.model, case.batch.shard(index, 3)) for index in range(3)]
        if float(count) != sum(float(number) for _, number in parts):
            raise Wrong(
                f"on {case.kind} the counts of three parts do not add up to {float(count):g}"
            )
        if case.draws:
            drawn += 1
            continue
        added = torch.stack([each for each, _ in parts]).sum()
        if apart(total.detach(), added.detach()) > CLOSE:
            raise Wrong(
                f"on {case.kind} the sums of three parts add up to {shown(added)}, not to "
                f"{shown(total)}: return the sum over units, not a mean, and keep nothing"
            )
        if total.requires_grad:
            whole, summed = (gradients(case.model, each) for each in (total, added))
            worst = max(apart(a, b) for a, b in zip(whole, summed, strict=True))
            if worst > CLOSE:
                raise Wrong(
                    f"on {case.kind} the gradients of three parts do not add up ({worst:.2g})"
                )
    return "sums that are drawn at random were not compared" if drawn else ""


def ignores_padding(subject: Subject) -> str:
    """More padding changes neither sum nor count."""
    drawn = 0
    for case in _cases(subject):
        narrow, wide = short_for(case.kind)
        (total, count), (other, number) = (
            case.seeded(case.model, batch) for batch in (narrow, wide)
        )
        if float(count) != float(number):
            raise Wrong(f"on {case.kind} padding changes its count from {count:g} to {number:g}")
        drawn += case.draws
        if not case.draws and apart(total.detach(), other.detach()) > CLOSE:
            raise Wrong(
                f"on {case.kind} padding changes its sum from {shown(total)} to "
                f"{shown(other)}: leave out units whose target is IGNORE"
            )
    return "sums that are drawn at random were not compared" if drawn else ""


def has_the_right_gradient(subject: Subject) -> str:
    """Its gradient is the slope of its value, by differences in double precision.

    A part that is detached, or rounded, is not learned from."""
    tried = 0
    for case in _cases(subject):
        if case.draws:
            continue
        tried += 1
        total, _ = case.loss(case.model, case.batch)
        if not total.requires_grad:
            raise Wrong(f"on {case.kind} its sum has no gradient in training")
        slope, expected = _slopes(case, total)
        if abs(slope - expected) > 1e-4 * max(abs(slope), abs(expected), 1e-3):
            raise Wrong(
                f"on {case.kind} its gradient says a slope of {expected:.6g}, its values one of "
                f"{slope:.6g}: something in it is detached, or is no function of the weights"
            )
    if not tried:
        raise Skipped("it draws at random in training")
    return ""


def _slopes(case: "Case", total: Tensor) -> tuple[float, float]:
    """The slope along a fixed direction, by differences and by the gradient."""
    weights = [p for p in case.model.parameters() if p.requires_grad]
    draw = torch.Generator().manual_seed(0)
    way = [torch.randn(p.shape, generator=draw, dtype=p.dtype) for p in weights]
    found = gradients(case.model, total)
    expected = float(torch.stack([(g * w).sum() for g, w in zip(found, way, strict=True)]).sum())
    values, step = [], 1e-6
    with torch.no_grad():
        for sign in (1, -1):
            torch._foreach_add_(weights, way, alpha=sign * step)
            values.append(float(case.loss(case.model, case.batch)[0]))
            torch._foreach_add_(weights, way, alpha=-sign * step)
    return (values[0] - values[1]) / (2 * step), expected


def leaves_the_batch_alone(subject: Subject) -> None:
    """The batch and its references are as before, and so is the mode of the model."""
    for case in _cases(subject):
        fresh = batch_for(case.kind)
        with unchanged(fresh, "the loss"):
            case.loss(case.model, fresh)
        if not case.model.training:
            raise Wrong(f"on {case.kind} it leaves the model in evaluation")


def validates_what_it_trains(subject: Subject) -> str:
    """Without dropout it is the same in training and in validation.

    One that is 0 outside training has the best validation loss of all. Of one that draws at random
    in training, what it gives in validation must be a number other than 0, and the same again."""
    drawn = 0
    for case in _cases(subject):
        total, count = case.loss(case.model, case.batch)
        case.model.eval()
        held, number = case.loss(case.model, case.batch)
        again, _ = case.loss(case.model, case.batch)
        case.model.train()
        drawn += case.draws
        if not case.draws and (apart(total.detach(), held.detach()) > CLOSE or count != number):
            raise Wrong(
                f"on {case.kind}, without dropout, it gives {shown(total)} in training and "
                f"{shown(held)} in validation"
            )
        if float(held.detach()) == 0:
            raise Wrong(f"on {case.kind} it is 0 in validation")
        if float(held.detach()) != float(again.detach()):
            raise Wrong(f"on {case.kind} it differs in validation, where nothing is random")
    return "it draws at random in training" if drawn else ""


def is_learned(subject: Subject) -> str:
    """Some steps of the plainest optimizer lower it on a small task."""
    if subject.is_torch and all(case.draws for case in _cases(subject)):
        raise Skipped("it draws at random in training, so few steps show nothing")
    return learns(subject)


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    counts_what_counts,
    adds_up,
    ignores_padding,
    has_the_right_gradient,
    leaves_the_batch_alone,
    validates_what_it_trains,
    is_learned,
)


def shown(total: Tensor) -> str:
    """A sum, for people."""
    return f"{float(total.detach()):.9g}"


class Case:
    """The loss on one kind of task."""

    def __init__(self, subject: Subject, kind: TaskKind, training: bool):
        self.kind, self.batch = kind, batch_for(kind)
        self.model = model_for(subject, kind).train(training)
        self.loss: Any = supplied(subject.make, task=task_of(kind))
        self.draws = False
        one, other = (self.seeded(self.model, self.batch, seed) for seed in (0, 1))
        if isinstance(one, tuple | list) and isinstance(one[0], Tensor):
            self.draws = not torch.equal(one[0], other[0])

    def seeded(self, model: Any, batch: Batch, seed: int = 0) -> Any:
        """The loss with its own stream of random numbers."""
        torch.manual_seed(seed)
        return self.loss(model, batch)


def _cases(subject: Subject, training: bool = True) -> Iterator[Case]:
    """The loss on every kind of task it fits."""
    needs_torch(subject)
    for kind in subject.kinds:
        yield Case(subject, kind, training)
