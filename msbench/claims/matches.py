"""Budgets at which a strategy and its base can be compared, and what either had spent there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from msbench.claims.evidence import Array, Evidence
from msbench.claims.pairs import Pair
from msbench.compare.curves import NEAR, Curve, Curves
from msbench.spec import UNITS


@dataclass(frozen=True)
class Match:
    """A strategy and its base, seed by seed, with the budget counted in one unit.

    Arrays of it are (2, seeds), the strategy's first; NaN where a seed is not among `seeds`.
    """

    pair: Pair
    curves: Curves
    unit: str
    machine: str
    """Empty unless seconds of several machines are told apart."""
    seeds: NDArray[np.bool_]
    """Seeds that can be compared."""

    @cached_property
    def spent(self) -> Array:
        """What either side had spent at its last validation."""
        return np.where(self.seeds, self.curves.ends(self.unit)[self.pair.trials], np.nan)

    @property
    def common(self) -> Array:
        """Per seed, the largest amount that both have spent."""
        return np.asarray(self.spent.min(axis=0))

    @property
    def is_equal(self) -> bool:
        """Whether both sides spent the same, in every seed that both have."""
        known = self.spent[:, ~np.isnan(self.spent).any(axis=0)]
        near = np.ptp(known, axis=0) <= NEAR * known.max(axis=0)
        return bool(known.size) and bool(near.all())

    def read(self, of: Callable[[Curve, float], float], amounts: Array) -> Array:
        """What `of` says of either side's curve at the amount of each seed."""
        values = np.full((2, len(amounts)), np.nan)
        for seed in np.flatnonzero(self.seeds & ~np.isnan(amounts)).tolist():
            for side, trial in enumerate(self.pair.trials[:, seed].tolist()):
                values[side, seed] = of(self.curves.of(trial, self.unit), amounts[seed])
        return values


def matches(
    evidence: Evidence, pair: Pair, units: Sequence[str] = UNITS, *, ok: bool = True
) -> Iterator[Match]:
    """A match per unit, and of seconds one per machine, since no other machine repeats them.

    ok: only of seeds in which both ended ok, instead of all that both ran.
    """
    seeds: NDArray[np.bool_] = np.all(evidence.ok(pair.trials) if ok else pair.trials >= 0, axis=0)
    machine = evidence.columns.trials["machine"][pair.trials]
    for unit in units:
        if unit != "seconds":
            yield Match(pair, evidence.curves, unit, "", seeds)
            continue
        for number, name in enumerate(evidence.machines):
            on_it = seeds & np.all(machine == number, axis=0)
            if on_it.any():
                name = name if len(evidence.machines) > 1 else ""
                yield Match(pair, evidence.curves, unit, name, on_it)
