"""Seeds that a mean and its t-test are fragile for: collapsed ones, and scores at a bound."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msbench.compare.rows import CellRow
from msbench.spec import Compared

FAR = 5
"""A seed has collapsed if it is further below the others' worst than so many times their range."""

SEEDS = 4
"""Of fewer seeds the range of the others says nothing."""


def collapsed(
    values: ArrayLike, margins: ArrayLike, lower_is_better: ArrayLike
) -> NDArray[np.bool_]:
    """Which seeds of every row lie far on the bad side of all others.

    values: (rows, seeds), NaN where a seed is missing; margins: per row, the largest difference
    that does not matter, or NaN. Far is more than FAR times the range of the others, and more than
    FAR margins. Of less than SEEDS seeds none is said to have collapsed.
    """
    worth = np.asarray(values, dtype=float)
    worth = np.where(np.asarray(lower_is_better, dtype=bool).reshape(-1, 1), -worth, worth)
    found = np.zeros(worth.shape, dtype=bool)
    n = (~np.isnan(worth)).sum(axis=1)
    enough = np.flatnonzero(n >= SEEDS)
    if not enough.size:
        return found
    ordered = np.sort(np.where(np.isnan(worth), np.inf, worth)[enough], axis=1)
    best = ordered[np.arange(len(enough)), n[enough] - 1]
    drop, spread = ordered[:, 1] - ordered[:, 0], best - ordered[:, 1]
    least = np.nan_to_num(np.asarray(margins, dtype=float))[enough]
    far = drop > FAR * np.maximum(spread, least)
    found[enough] = far[:, None] & (worth[enough] == ordered[:, :1])
    return found


def at_bound(values: ArrayLike, bound: ArrayLike, margins: ArrayLike) -> NDArray[np.bool_]:
    """Whether the mean of every row is within a margin of the best that there is, so that no
    strategy could be better by more. bound: infinite for none."""
    rows = np.asarray(values, dtype=float)
    known = ~np.isnan(rows)
    mean = np.where(known, rows, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    near = np.abs(np.asarray(bound, dtype=float) - mean) <= np.nan_to_num(margins)
    return np.asarray(near & known.any(axis=1))


def remarks(
    values: NDArray[np.float64],
    base: NDArray[np.int64],
    margins: NDArray[np.float64],
    cells: Sequence[CellRow],
    by: Compared,
) -> list[str]:
    """Of every cell that is compared with another, what makes its verdict fragile; often nothing.

    values: (cells, seeds). The t-test stays: where collapsed seeds are seen it is rarely wrong, and
    at a bound nothing was better (docs/statistics.md). But the reader must know.
    """
    lower = np.array([cell["lower_is_better"] for cell in cells], dtype=bool)
    lost = collapsed(values, margins, lower).sum(axis=1)
    best = [cell["lowest"] if cell["lower_is_better"] else cell["highest"] for cell in cells]
    ceiling = at_bound(values, best, margins)
    n = (~np.isnan(values)).sum(axis=1)
    found = []
    for i, of in enumerate(base.tolist()):
        sides = [] if of in (-1, i) else [i, of]
        texts = [
            f"{lost[side]} of {n[side]} seeds of {cells[side][by]} far below the others"
            for side in sides
            if lost[side]
        ]
        if sides and all(ceiling[side] for side in sides):
            texts.append(f"both within the margin of the best {cells[i]['metric']} possible")
        elif any(ceiling[side] for side in sides):
            name = cells[next(side for side in sides if ceiling[side])][by]
            texts.append(f"{name} within the margin of the best {cells[i]['metric']} possible")
        found.append("; ".join(texts))
    return found
