"""What is found on the side in every trial, because some wrong plugins win.

None of it takes time that could be measured. What is found is in the record, in sentences that do
not depend on the seed, and below the tables (`compare/notes.py`).
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from msbench.data.task import Batch
from msbench.records.schema import GuardsData
from msbench.run.learner import Learner, Seen
from msbench.run.train import Run

LEAST = 0.9
"""The share of the trained numbers that training has to change at least, or it is told."""


def checksums(batches: Sequence[Batch]) -> list[int]:
    """Of what batches hold."""
    return [batch.checksum() for batch in batches]


def guards(learner: Learner, run: Run, validation_changed: bool) -> GuardsData:
    """What training showed of the model, the loss and the optimizer."""
    seen: Seen = getattr(learner, "seen", Seen)()
    found = [*_of_weights(seen, run), *_of_loss(seen, run, validation_changed)]
    return {"moved": seen.moved, "still": list(seen.still), "found": found}


def changed_by(decoder: str, given: Sequence[Batch], kept: Sequence[Batch]) -> list[str]:
    """Whether a decoder changed what it was given. kept: the same batches, which it never saw."""
    same = all(np.array_equal(a.source, b.source) for a, b in zip(given, kept, strict=True))
    return [] if same else [f"decoder {decoder} changes the sources that it is given"]


def _of_weights(seen: Seen, run: Run) -> Iterator[str]:
    if run.is_stopped:
        return
    if seen.still:
        yield (
            f"training left {len(seen.still)} of {seen.weights} weights exactly as they were, such "
            f"as {seen.still[0]!r}"
        )
    elif not math.isnan(seen.moved) and seen.moved < LEAST:
        yield f"training left more than {1 - LEAST:.0%} of the numbers in weights as they were"


def _of_loss(seen: Seen, run: Run, validation_changed: bool) -> Iterator[str]:
    if run.touched:
        yield "the loss or the optimizer changes the batch that it is given"
    if validation_changed:
        yield "the loss changes the batches of the validation split"
    if seen.single:
        yield "the loss counts one unit in any batch, so its mean depends on how a split is cut up"
    held = [point.validation_loss for point in run.curve]
    if held and not any(held) and any(point.train_loss for point in run.curve):
        yield "the validation loss is 0 and the training loss is not: it says nothing"
