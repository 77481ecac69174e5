"""Curves of validation loss over what was spent, in any unit, trial by trial."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msbench.ledger import Ledger

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
    """The curves of a ledger, by trial."""

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._start = np.searchsorted(ledger.curve["trial"], np.arange(len(ledger.kept) + 1))

    def ends(self, unit: str) -> Array:
        """Per trial, what had been spent at its last validation; NaN without one."""
        columns, trials = self._ledger.curve, self._ledger.trials
        some = self._start[1:] > self._start[:-1]
        found = np.full(len(some), np.nan)
        found[some] = columns["passes" if unit == "flops" else unit][self._start[1:][some] - 1]
        return found * (trials["flops"] / trials["passes"]) if unit == "flops" else found

    def of(self, trial: int, unit: str) -> Curve:
        """Over passes, steps, seconds or FLOPs: those of the trial, by its share of passes."""
        at = slice(self._start[trial], self._start[trial + 1])
        columns, trials = self._ledger.curve, self._ledger.trials
        if unit == "flops":
            spent = columns["passes"][at] * (trials["flops"][trial] / trials["passes"][trial])
        else:
            spent = columns[unit][at]
        return Curve(spent, columns["loss"][at])
