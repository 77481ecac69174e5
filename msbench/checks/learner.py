"""Learners: identities that hold for training in any framework.

Each is put together with the plainest model, loss, optimizer and decoder of its framework, on small
tasks.
"""

import math
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from msbench.checks.findings import Skipped, Wrong
from msbench.checks.learning import (
    SIZE,
    held_out,
    learns,
    need_kinds,
    same_training,
    stands_still_at_rate_0,
)
from msbench.checks.subject import Subject
from msbench.data.batches import training_batches
from msbench.errors import MsbenchError
from msbench.plugins.options import supplied
from msbench.run.learner import Step
from msbench.run.seeds import stream

CLOSE = 1e-4
"""The largest difference between losses, as a share of them, that may be rounding in float32."""


def can_be_made(subject: Subject) -> None:
    """It is put together with the plainest parts of its framework, and has trained weights."""
    need_kinds(subject)
    learner = _learner(subject)
    if not learner.parameters() > 0:
        raise Wrong("parameters() says that nothing is trained")


def counts_its_passes(subject: Subject) -> None:
    """A step of a plain optimizer is one pass, whole or in parts, and its loss is a number."""
    for accumulate in (1, 3):
        learner = _learner(subject, accumulate=accumulate)
        for step in _steps(learner, 3):
            if not isinstance(step, Step) or step.passes != 1:
                raise Wrong(f"with accumulate={accumulate} a step gives {step}, not one pass")
            if not math.isfinite(float(step.loss)):
                raise Wrong(f"the loss of a step is {float(step.loss)}")


def moves_in_every_step(subject: Subject) -> None:
    """`checksum()` changes with every step: throughput is not taken from steps that do nothing."""
    learner = _learner(subject)
    sums = [learner.checksum(), *(learner.checksum() for _ in _steps(learner, 3))]
    if len(set(sums)) < len(sums):
        raise Wrong("checksum() is the same after a step as before")


def trains_from_its_seed(subject: Subject) -> None:
    """The same seed gives the same training, another one another."""
    same_training(subject)


def obeys_the_rate(subject: Subject) -> None:
    """A factor of 0 on the rate moves nothing."""
    stands_still_at_rate_0(subject)


def accumulates(subject: Subject) -> None:
    """A batch in three parts leads where the whole batch does; so does the loss it reports."""
    whole, parts = (_learner(subject, accumulate=number) for number in (1, 3))
    for one, other in zip(_steps(whole, 3), _steps(parts, 3), strict=True):
        if not _close(float(one.loss), float(other.loss)):
            raise Wrong(
                f"the loss of a batch is {float(one.loss):.6g}, and {float(other.loss):.6g} in 3 "
                f"parts: add sums and counts, and divide once"
            )
    if not _close(*(_held(each) for each in (whole, parts))):
        raise Wrong("in 3 parts a batch leads elsewhere; add up gradients of sums, and divide once")


def clips(subject: Subject) -> str:
    """A gradient that is clipped to next to nothing moves SGD next to nowhere."""
    try:
        part = subject.registry.find("optimizer", "sgd")
        if part.learner != subject.framework:
            raise Skipped("it has no sgd, whose steps are as long as gradients")
    except MsbenchError as error:
        raise Skipped("there is no sgd, whose steps are as long as gradients") from error
    from msbench.checks.subject import filled

    sgd = subject.registry.build("optimizer", filled(subject.registry, part))
    free, clipped = (_learner(subject, optimizer=sgd, clip=limit) for limit in (0.0, 1e-6))
    before = _held(free)
    for learner in (free, clipped):
        list(_steps(learner, 3))
    if not abs(_held(clipped) - before) < 0.01 * abs(_held(free) - before):
        raise Wrong("with clip=1e-6 three steps move the loss nearly as far as without")
    return ""


def validates_exactly(subject: Subject) -> None:
    """The mean over ragged batches is that over one batch, and nothing is learned from it."""
    learner = _learner(subject)
    list(_steps(learner, 3))
    learner.mode(training=False)
    before, split = learner.checksum(), learner.task.validation
    parts = [split.batch(np.arange(0, 3)), split.batch(np.arange(3, 15))]
    whole, ragged = learner.validate([split.batch(np.arange(15))]), learner.validate(parts)
    if not _close(whole, ragged):
        raise Wrong(f"15 examples have the loss {whole:.6g}, as batches of 3 and 12 {ragged:.6g}: "
                    f"weight batches by their count")  # fmt: skip
    if learner.checksum() != before:
        raise Wrong("validate() moves weights")


def evaluates_without_a_trace(subject: Subject) -> None:
    """Validating after every step changes nothing of training."""
    often, once = _learner(subject), _learner(subject)
    for _ in _steps(often, 4):
        _held(often)
        often.mode(training=True)
    list(_steps(once, 4))
    if (_held(often), often.checksum()) != (_held(once), once.checksum()):
        raise Wrong("training goes elsewhere if it is validated after every step")


def predicts_every_example(subject: Subject) -> None:
    """`predict` gives plain data, one for each example, and the same again."""
    for kind in subject.kinds:
        learner = subject.learner(kind)
        decoder = supplied(subject.plain("decoder", kind), task=learner.task)
        learner.mode(training=False)
        batch = learner.task.test.batch(np.arange(7))
        found = learner.predict(batch, decoder)
        if len(found) != 7:
            raise Wrong(f"on {kind} {len(found)} predictions for 7 examples")
        if not all(isinstance(each, int | float | list) for each in found):
            raise Wrong(f"on {kind} predictions are {type(found[0]).__name__}, not plain data")
        if list(found) != list(learner.predict(batch, decoder)):
            raise Wrong(f"on {kind} two predictions differ")


def knows_probabilities(subject: Subject) -> None:
    """`log_probabilities` gives one number for each output, none above 0, or NaN for unknown."""
    kinds = [kind for kind in subject.kinds if kind in ("seq2seq", "lm")]
    if not kinds:
        raise Skipped(f"there is no model of {subject.framework} that generates")
    learner = subject.learner(kinds[0])
    learner.mode(training=False)
    batch = learner.task.test.batch(np.arange(4))
    logs = learner.log_probabilities(batch, [[], [5], [5, 6], [7]])
    if len(logs) != 4 or any(value > 0 for value in logs):
        raise Wrong(f"log_probabilities of 4 outputs are {list(logs)}")


def saves_and_loads(subject: Subject) -> None:
    """Saved weights, loaded with another seed, give the same loss; broken files are refused."""
    one, other = _learner(subject), _learner(subject, seed=1)
    list(_steps(one, 2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        expected = _held(one)
        one.save(path, {"of": "check"})
        other.mode(training=False)
        other.load(path)
        if not _close(_held(other), expected, 1e-6):
            raise Wrong("loaded by another learner, saved weights give another loss")
        path.write_bytes(path.read_bytes()[:100])
        try:
            other.load(path)
        except MsbenchError:
            return
        raise Wrong("it loads half a file of weights without a word; raise an MsbenchError")


def goes_on_in_phases(subject: Subject) -> None:
    """`begin` keeps the weights as they are, under another loss and a new optimizer."""
    learner, kind = _learner(subject), subject.kinds[0]
    list(_steps(learner, 2))
    before = learner.checksum()
    learner.begin(subject.plain("loss", kind), subject.plain("optimizer", kind))
    if learner.checksum() != before:
        raise Wrong("begin() changes the weights")
    list(_steps(learner, 1))


def tells_its_costs(subject: Subject) -> None:
    """Bytes and FLOPs are not negative. The peak may be unknown, which is NaN; FLOPs, also None."""
    learner = _learner(subject)
    list(_steps(learner, 2))
    learner.mode(training=False)
    batch = learner.task.train.batch(np.arange(SIZE))
    costs = {
        "peak_memory": learner.peak_memory(batch),
        "optimizer_bytes": learner.optimizer_bytes(),
        "sent_bytes": learner.sent_bytes(),
        "flops": math.nan if (flops := learner.flops()) is None else flops,
    }
    for name, value in costs.items():
        if value < 0 or (math.isnan(value) and name not in ("flops", "peak_memory")):
            raise Wrong(f"{name}() is {value}")


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    counts_its_passes,
    moves_in_every_step,
    trains_from_its_seed,
    obeys_the_rate,
    accumulates,
    clips,
    validates_exactly,
    evaluates_without_a_trace,
    predicts_every_example,
    knows_probabilities,
    saves_and_loads,
    goes_on_in_phases,
    tells_its_costs,
    learns,
)


def _learner(subject: Subject, seed: int = 0, **options: Any) -> Any:
    return subject.learner(subject.kinds[0], seed, **options)


def _steps(learner: Any, number: int) -> Any:
    """So many steps, one after the other."""
    batches = training_batches(learner.task.train, SIZE, stream(0, "check"))
    learner.mode(training=True)
    for place, batch in enumerate(islice(batches, number)):
        learner.set_rate(1.0, place / number)
        yield learner.train_step(batch)


def _held(learner: Any) -> float:
    """The loss of some validation examples."""
    learner.mode(training=False)
    return float(learner.validate(held_out(learner)))


def _close(one: float, other: float, close: float = CLOSE) -> bool:
    return abs(one - other) <= close * max(abs(one), abs(other))
