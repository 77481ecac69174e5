"""Where the time of a training step goes, and how near to its device's limit it is.

What needs a framework is optional: a learner may have `pieces(batch)` and `matrix_peak()`, see
`TorchLearner`; of one that has none, what they would tell is not a number.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

from msbench.data.task import Batch
from msbench.records.schema import SplitData
from msbench.run.clock import Clock
from msbench.run.learner import Learner

Pieces = Mapping[str, Callable[[], Any]]
"""By name, what does one piece of the work on a batch whenever it is called: `data` (the batch is
placed on the device), `forward` (model and loss), `gradient` (forward and backward), `optimizer`
(a step with the gradients as they are), `model` (a prediction's forward pass) and, where outputs
are generated token by token, `cached steps` (the first few of them)."""

COUNTED, REPEATS = 3, 5
"""Steps that are counted, and how often pieces are timed."""

NOISE = 0.05
"""By how much of a step its pieces may take longer apart than together and still be its parts."""

UNKNOWN: SplitData = {
    "data": math.nan,
    "forward": math.nan,
    "backward": math.nan,
    "optimizer": math.nan,
}


def pieces_of(learner: Learner, batch: Batch) -> Pieces:
    """The pieces that a learner can do apart; none if it does not say."""
    found: Pieces = getattr(learner, "pieces", lambda batch: {})(batch)
    return found


def matrix_peak(learner: Learner) -> float:
    """Operations per second of the device in large matrix products, in the learner's precision."""
    return float(getattr(learner, "matrix_peak", lambda: math.nan)())


def split_of(learner: Learner, batches: Iterator[Batch]) -> SplitData:
    """Seconds of one step: data, forward, backward and optimizer, medians that add up to it.

    Forward and backward are those of all passes of the step. The optimizer has what is left of the
    step: its own work, and clipping. Where the pieces take longer apart than together, as when a
    whole step was compiled or captured, a step has no such parts, and none is a number.
    """
    seconds: dict[str, list[float]] = defaultdict(list)
    passes = 1.0
    for repeat in range(REPEATS + 1):
        drawing, whole = Clock(), Clock(learner.synchronize)
        with drawing.running():
            batch = next(batches)
        pieces = pieces_of(learner, batch)
        if not pieces.keys() >= {"data", "forward", "gradient"}:
            return UNKNOWN
        with whole.running():
            passes = learner.train_step(batch).passes
        timed = {
            name: timed_piece(learner, pieces[name]) for name in ("data", "forward", "gradient")
        }
        for name, each in {**timed, "drawing": drawing.seconds, "whole": whole.seconds}.items():
            seconds[name] += [each] if repeat else []  # the first time warms up
    return _split({name: statistics.median(each) for name, each in seconds.items()}, passes)


def _split(seconds: Mapping[str, float], passes: float) -> SplitData:
    forward = passes * seconds["forward"]
    backward = passes * (seconds["gradient"] - seconds["forward"])
    optimizer = seconds["whole"] - seconds["data"] - passes * seconds["gradient"]
    if min(backward, optimizer) < -NOISE * seconds["whole"]:
        return UNKNOWN
    return {
        "data": seconds["drawing"] + seconds["data"],
        "forward": forward,
        "backward": max(0.0, backward),
        "optimizer": max(0.0, optimizer),
    }


def timed_piece(learner: Learner, piece: Callable[[], Any]) -> float:
    """Seconds that it takes once."""
    clock = Clock(learner.synchronize)
    with clock.running():
        piece()
    return clock.seconds


def flops_per_token(learner: Learner, batches: Iterator[Batch]) -> float:
    """Floating point operations of training, from a few steps that are counted and not timed."""
    tokens = 0
    for _ in range(COUNTED):
        batch = next(batches)
        learner.train_step(batch, nullcontext)
        tokens += batch.tokens
    flops = learner.flops()
    return math.nan if flops is None else flops / tokens
