"""Learning curves: validation loss point by point, over the seeds of a strategy."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from msbench.ledger import Ledger, Trained
from msbench.spec import Row

ALONG = ("steps", "passes", "seconds")
"""What a curve can be drawn against."""


def curve_rows(ledger: Ledger, trials: Trained, by: str, bases: Mapping[str, str]) -> list[Row]:
    """A row per strategy and machine with a measured point: its `n` trials and `n_ok`, and lists
    with one number a point: medians of ALONG and of `validation_loss` over the seeds that ended ok,
    and their `lowest` and `highest` loss.

    Points are matched by their number, since with a budget of seconds no two seeds measure at the
    same step. A loss that is not known is left out of its point.
    """
    cell_of = np.full(len(ledger.kept), -1)
    cell_of[trials.trial] = trials.cell
    cell_of[~ledger.ok] = -1
    trial, loss = ledger.curve["trial"], ledger.curve["loss"]
    starts = np.flatnonzero(np.diff(trial, prepend=-1))
    number = np.arange(len(trial)) - np.repeat(starts, np.diff(starts, append=len(trial)))
    known = (cell_of[trial] >= 0) & ~np.isnan(loss)
    length = 1 + int(number.max(initial=0))
    codes = (cell_of[trial] * length + number)[known]
    found, counts = np.unique(codes, return_counts=True)
    edges = np.concatenate([[0], np.cumsum(counts)])
    values = {name: _sorted(codes, ledger.curve[name][known]) for name in (*ALONG, "loss")}
    medians = {name: _medians(column, edges) for name, column in values.items()}
    lowest, highest = values["loss"][edges[:-1]], values["loss"][edges[1:] - 1]
    n = np.bincount(trials.cell, minlength=len(trials.cells))
    n_ok = np.bincount(trials.cell[ledger.ok[trials.trial]], minlength=len(trials.cells))
    rows = []
    for i, cell in enumerate(trials.cells):
        mine = found // length == i
        if not mine.any():
            continue
        rows.append(
            {
                **cell,
                "n": int(n[i]),
                "n_ok": int(n_ok[i]),
                **{name: medians[name][mine].tolist() for name in ALONG},
                "validation_loss": medians["loss"][mine].tolist(),
                "lowest": lowest[mine].tolist(),
                "highest": highest[mine].tolist(),
                "baseline": cell.get(by) == bases.get(cell["task"]),
            }
        )
    return rows


def _sorted(codes: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values code by code, the lowest of each first."""
    return values[np.lexsort((values, codes))]


def _medians(values: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each stretch between two edges, in which values are sorted."""
    low, high = (edges[:-1] + edges[1:] - 1) // 2, (edges[:-1] + edges[1:]) // 2
    return np.asarray((values[low] + values[high]) / 2)
