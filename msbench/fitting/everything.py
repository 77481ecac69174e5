"""All examples of a task as its training split."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from msbench.data.task import IGNORE, PAD, Ids, Split, Task


def with_all_data(task: Task, keep_test: bool) -> Task:
    """The task whose training split has the validation examples, too, and unless they are kept
    apart those of the test split.

    Vocabulary and labels stay those of the training split, as the strategies were compared with.
    """
    added = [task.validation] if keep_test else [task.validation, task.test]
    return replace(task, train=joined([task.train, *added]))


def joined(splits: Sequence[Split]) -> Split:
    """One split after the other."""
    spelling = [row for split in splits for row in split.spelling or ()]
    return Split(
        _stacked([split.source for split in splits], PAD),
        _stacked([split.target for split in splits], IGNORE),
        [reference for split in splits for reference in split.references],
        _stacked([split.input for split in splits], PAD),
        splits[0].prompted,
        _stacked([split.words for split in splits], -1),
        spelling or None,
    )


def _stacked(arrays: Sequence[Ids | None], filler: int) -> Any:
    """Arrays one below the other, filled up to the widest; None of none."""
    known = [array for array in arrays if array is not None]
    if not known or known[0].ndim == 1:
        return np.concatenate(known) if known else None
    width = max(array.shape[1] for array in known)
    return np.concatenate([widened(array, width, filler) for array in known])


def widened(array: Ids, width: int, filler: int) -> Ids:
    """(rows, width) the array, filled up."""
    return np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=filler)
