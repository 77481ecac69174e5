"""Curves of validation loss over what was spent, in any unit, trial by trial."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msbench.compare.columns import Columns, Trained
from msbench.compare.rows import Bases, CurveRow, is_baseline
from msbench.spec import UNITS, Compared

NEAR = 0.02
"""Amounts that differ by no larger share are equal: strategies end where a step still fits."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Validation losses of one trial over what was spent in one unit."""

    spent: Array
    loss: Array

    def at(self, amount: float) -> float:
        """The loss there, on the line between two points; NaN before the first point, and the last
        loss behind the last."""
        if not self.spent.size or not amount >= self.spent[0] * (1 - NEAR):
            return math.nan
        return float(np.interp(amount, self.spent, self.loss))

    def rise(self, amount: float) -> float:
        """The loss there minus the best up to there; NaN where that is only one point."""
        before = self.loss[self.spent < amount * (1 - NEAR)]
        if not before.size:
            return math.nan
        now = self.at(amount)
        return now - min(now, float(before.min()))

    def reached(self, target: float) -> float:
        """What was spent at the first point at the target or below; infinite if there is none."""
        if not self.spent.size:
            return math.nan
        hits = np.flatnonzero(self.loss <= target)
        return float(self.spent[hits[0]]) if hits.size else math.inf

    @property
    def end(self) -> float:
        """What was spent at the last point."""
        return float(self.spent[-1]) if self.spent.size else math.nan


class Curves:
    """The curves of a columns, by trial."""

    def __init__(self, columns: Columns):
        self._columns = columns
        self._start = np.searchsorted(columns.curve["trial"], np.arange(len(columns.kept) + 1))

    def ends(self, unit: str) -> Array:
        """Per trial, what had been spent at its last validation; NaN without one."""
        table, trials = self._columns.curve, self._columns.trials
        some = self._start[1:] > self._start[:-1]
        found = np.full(len(some), np.nan)
        found[some] = table["passes" if unit == "flops" else unit][self._start[1:][some] - 1]
        return found * (trials["flops"] / trials["passes"]) if unit == "flops" else found

    def of(self, trial: int, unit: str) -> Curve:
        """Over passes, steps, seconds or FLOPs: those of the trial, by its share of passes."""
        at = slice(self._start[trial], self._start[trial + 1])
        table, trials = self._columns.curve, self._columns.trials
        if unit == "flops":
            spent = table["passes"][at] * (trials["flops"][trial] / trials["passes"][trial])
        else:
            spent = table[unit][at]
        return Curve(spent, table["loss"][at])


def curve_rows(columns: Columns, trials: Trained, by: Compared, bases: Bases) -> list[CurveRow]:
    """A row per strategy and machine with a measured point: its `n` trials and `n_ok`, and lists
    with one number a point: medians of UNITS and of `validation_loss` over the seeds that ended ok,
    and their `lowest` and `highest` loss.

    Points are matched by their number, since with a budget of seconds no two seeds measure at the
    same step. A loss that is not known is left out of its point.
    """
    cell_of = np.full(len(columns.kept), -1)
    cell_of[trials.trial] = trials.cell
    cell_of[~columns.ok] = -1
    trial, loss = columns.curve["trial"], columns.curve["loss"]
    starts = np.flatnonzero(np.diff(trial, prepend=-1))
    number = np.arange(len(trial)) - np.repeat(starts, np.diff(starts, append=len(trial)))
    known = (cell_of[trial] >= 0) & ~np.isnan(loss)
    length = 1 + int(number.max(initial=0))
    codes = (cell_of[trial] * length + number)[known]
    found, of_found, counts = np.unique(codes, return_inverse=True, return_counts=True)
    edges = np.concatenate([[0], np.cumsum(counts)])
    values = {name: _sorted(of_found, columns.curve[name][known]) for name in (*UNITS, "loss")}
    medians = {name: _medians(column, edges) for name, column in values.items()}
    lowest, highest = values["loss"][edges[:-1]], values["loss"][edges[1:] - 1]
    n = np.bincount(trials.cell, minlength=len(trials.cells))
    n_ok = np.bincount(trials.cell[columns.ok[trials.trial]], minlength=len(trials.cells))
    rows: list[CurveRow] = []
    for i, cell in enumerate(trials.cells):
        mine = found // length == i
        if not mine.any():
            continue
        rows.append(
            {
                **cell,
                "n": int(n[i]),
                "n_ok": int(n_ok[i]),
                "passes": medians["passes"][mine].tolist(),
                "steps": medians["steps"][mine].tolist(),
                "seconds": medians["seconds"][mine].tolist(),
                "validation_loss": medians["loss"][mine].tolist(),
                "lowest": lowest[mine].tolist(),
                "highest": highest[mine].tolist(),
                "baseline": is_baseline(cell, by, bases),
            }
        )
    return rows


def _sorted(codes: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values code by code, the lowest of each first; codes: 0, 1, ..."""
    order = np.argsort(values)
    # Integers that are small enough are sorted by their digits: a quarter of the time of lexsort.
    small = codes.astype(np.min_scalar_type(codes.max(initial=0)))
    return values[order][np.argsort(small[order], kind="stable")]


def _medians(values: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each stretch between two edges, in which values are sorted."""
    low, high = (edges[:-1] + edges[1:] - 1) // 2, (edges[:-1] + edges[1:]) // 2
    return np.asarray((values[low] + values[high]) / 2)
