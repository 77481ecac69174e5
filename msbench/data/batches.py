"""Batches of a split: endless and shuffled for training, each example once for evaluation."""

import math
from collections.abc import Iterator

import numpy as np

from msbench.data.task import Batch, Ids, Split

POOL = 64
"""Batches that are sorted by length together."""


def training_batches(
    split: Split, size: int, order: np.random.Generator, round_to: int = 1
) -> Iterator[Batch]:
    """Endless batches: a new order in each epoch, examples of similar length together.

    The examples of 64 batches at a time are sorted by length and cut into batches; all batches of
    the epoch are then shuffled. Examples that do not fill a batch are left out of the epoch, so
    that every pass is over a whole batch. round_to: as in `Split.batches`; which examples come
    together does not depend on it.
    """
    size = min(size, len(split))
    while True:
        rows = order.permutation(len(split))[: len(split) // size * size]
        pools = [rows[start : start + POOL * size] for start in range(0, len(rows), POOL * size)]
        chunks = [chunk for pool in pools for chunk in _by_length(split, pool, size)]
        shuffled = order.permutation(len(chunks))
        for start in range(0, len(chunks), POOL):
            pool = np.concatenate([chunks[i] for i in shuffled[start : start + POOL]])
            yield from split.batches(pool, size, round_to)


def evaluation_batches(split: Split, size: int, round_to: int = 1, most: int = 0) -> list[Batch]:
    """Every example once, those of similar length together; `Batch.rows` says which.

    most: only so many, evenly spread over the split; 0 = all.
    """
    rows = np.arange(len(split))
    if 0 < most < len(split):
        rows = np.linspace(0, len(split) - 1, most).astype(int)
    return [split.batch(chunk, round_to) for chunk in _by_length(split, rows, size)]


def longest_batch(split: Split, size: int, round_to: int = 1) -> Batch:
    """The `size` examples with the most tokens, or all if there are fewer."""
    tokens = np.sum(split.lengths, axis=0)
    return split.batch(np.argsort(tokens, kind="stable")[-size:], round_to)


def _by_length(split: Split, rows: Ids, size: int) -> list[Ids]:
    """Batches of similar lengths on both sides; the last one may be smaller.

    Rows are cut into bands of similar source length, and each band is sorted by target length. The
    more source lengths vary in comparison with target lengths, the more bands there are.
    """
    first, second = split.lengths[0][rows], split.lengths[-1][rows]
    if len(split.lengths) == 1 or split.prompted:
        return _cut_up(rows[np.argsort(second, kind="stable")], size)
    batches = len(rows) / size
    bands = round(np.sqrt(batches * (first.std() + 1e-9) / (second.std() + 1e-9)))
    band = size * math.ceil(batches / min(max(bands, 1), max(1, int(batches))))
    order = np.argsort(first, kind="stable")
    parts = [part[np.argsort(second[part], kind="stable")] for part in _cut_up(order, band)]
    return [rows[chunk] for part in parts for chunk in _cut_up(part, size)]


def _cut_up(rows: Ids, size: int) -> list[Ids]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
