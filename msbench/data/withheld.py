"""What predictions are scored against, kept from whatever could copy it.

A decoder that is given the references can return them: one scored BLEU 100. So models, losses and
decoders get a task without those of its test split, and decoders get batches without any.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from msbench.data.task import IGNORE, PAD, Batch, Split, Task
from msbench.errors import MsbenchError


@dataclass(frozen=True)
class Withheld(Sequence[Any]):
    """References that there are, but not for whoever has this."""

    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: Any) -> NoReturn:
        raise MsbenchError(
            "references are withheld from what predicts: outputs must come from the source alone "
            "(`batch.spelling` has what task.spell needs)"
        )


def blind(batch: Batch) -> Batch:
    """A copy of the batch for a decoder: its source, and nothing of what is to be predicted."""
    split = batch.split
    if split is not None:
        references = Withheld(len(split))
        split = Split(
            None, np.empty(0, int), references, None, split.prompted, None, split.spelling
        )
    copy = replace(batch, input=None, target=None).map(np.copy)
    return replace(copy, split=split)


def without_test(task: Task) -> Task:
    """The task for those who learn: its test split has sources and shapes, and no answers."""
    test = task.test
    hidden = replace(
        test,
        target=np.full_like(test.target, IGNORE),
        input=None if test.input is None else np.full_like(test.input, PAD),
        references=Withheld(len(test)),
    )
    # What is read may be seen, as the arrays are: a baseline reads whole texts.
    asked = [(source, "") for source, _ in task.texts.splits["test"]] if task.texts else []
    texts = task.texts and replace(task.texts, splits={**task.texts.splits, "test": asked})
    return replace(task, test=hidden, texts=texts)
