"""A table of words from pairs of texts: which token most likely becomes which."""

from collections.abc import Sequence

import numpy as np

ROUNDS = 5
"""Of expectation maximization."""

EMPTY = -1
"""In a table: the token becomes nothing."""


def word_table(sources: Sequence[list[int]], targets: Sequence[list[int]]) -> dict[int, int]:
    """For every source token the target token that it likeliest becomes (IBM model 1; Brown et
    al., 1993), or EMPTY if none becomes it more often than not.

    Tokens are aligned within their pair by expectation maximization; a token stands for its
    likeliest partner if that shares half of what is expected of it.
    """
    from scipy.sparse import coo_matrix

    rows, columns, pair_units = _cells(sources, targets)
    size = 1 + max(max(rows, default=0), max(columns, default=0))
    share = np.ones(len(rows))
    for _ in range(ROUNDS):
        # Each target token is one unit, shared among the source tokens of its pair.
        part = share / np.bincount(pair_units, weights=share)[pair_units]
        table = coo_matrix((part, (rows, columns)), (size, size)).tocsr()
        totals = np.asarray(table.sum(axis=1))[:, 0]
        share = np.asarray(table[rows, columns])[0] / totals[rows]
    occurs = np.bincount([token for source in sources for token in source], minlength=size)
    found = {}
    for token in np.flatnonzero(occurs).tolist():
        line = table[token]
        best = int(line.argmax()) if line.nnz else EMPTY
        found[token] = best if best >= 0 and line[0, best] >= occurs[token] / 4 else token
    return found


def _cells(
    sources: Sequence[list[int]], targets: Sequence[list[int]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(source token, target token, number of the target position) of all pairs within a pair."""
    rows, columns, units, unit = [], [], [], 0
    for source, target in zip(sources, targets, strict=True):
        one, other = np.array(source, np.int64), np.array(target, np.int64)
        rows.append(np.tile(one, len(other)))
        columns.append(np.repeat(other, len(one)))
        units.append(np.repeat(np.arange(unit, unit + len(other)), len(one)))
        unit += len(other)
    return tuple(np.concatenate(each) for each in (rows, columns, units))  # type: ignore[return-value]
