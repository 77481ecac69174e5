"""Which strategies pictures name: each has the same colour in all pictures of a comparison."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from msbench.compare.rows import AccuracyRow, Comparison, Row
from msbench.report.format import grouped, varies
from msbench.spec import AXES

R = TypeVar("R", bound=Row)

MOST = 8
"""Strategies that a picture can tell apart."""


@dataclass(frozen=True)
class Series:
    """The strategies that pictures name; all others are grey."""

    axes: Sequence[str]
    """What a name is made of."""
    names: Sequence[str]
    """The baseline first, then the best by average rank."""
    left_out: int
    """How many strategies have no name in pictures."""
    baseline: str

    def name(self, row: Row) -> str:
        """What the strategy of a row is called."""
        return _name(row, self.axes)

    def number(self, row: Row) -> int:
        """The number of its look; -1 if it is not named."""
        name = self.name(row)
        return self.names.index(name) if name in self.names else -1

    def split(self, rows: Sequence[R]) -> tuple[list[R], list[R]]:
        """(rows of named strategies, the baseline first; rows of the others)."""
        named = sorted((row for row in rows if self.number(row) >= 0), key=self.number)
        return named, [row for row in rows if self.number(row) < 0]


def choose_series(comparison: Comparison, axes: Sequence[str] = ()) -> Series:
    """The baseline and the best others, by rank on the main metric over tasks and decoders.

    axes: what tells strategies apart; by default the compared axis (unless that is the decoder)
    and those that vary within a task.
    """
    by = comparison.by
    main = [row for row in comparison.accuracy if row["main"]] or list(comparison.accuracy)
    axes = axes or [axis for axis in AXES[1:] if axis == by or varies(main, axis)] or ["optimizer"]
    axes = sorted(axes, key=lambda axis: (axis != by, axis != "optimizer"))
    ranks: dict[str, list[float]] = {}
    for rows in grouped(main, lambda row: (row["task"], row["metric"], row["decoder"])).values():
        for place, row in enumerate(sorted(rows, key=_best_first)):
            ranks.setdefault(_name(row, axes), []).append((place + 0.5) / len(rows))
    order = sorted(ranks, key=lambda name: (sum(ranks[name]) / len(ranks[name]), name))
    bases = {_name(row, axes) for row in main if row["baseline"] and by in axes}
    first = [name for name in order if name in bases][: MOST // 2]
    names = [*first, *(name for name in order if name not in first)][:MOST]
    return Series(axes, names, len(order) - len(names), comparison.baseline)


def _name(row: Row, axes: Sequence[str]) -> str:
    return " · ".join(row[axis] for axis in axes if row[axis])


def _best_first(row: AccuracyRow) -> tuple[bool, float]:
    """A strategy that lost trials comes after all that did not."""
    mean = row["mean"] if row["lower_is_better"] else -row["mean"]
    return row["n_ok"] < row["n"], math.inf if math.isnan(mean) else mean


def and_others(others: Sequence[Any]) -> str:
    """The end of a sentence that has told of the named ones."""
    return f"; and {count_others(len(others))} in grey" if others else ""


def count_others(count: int) -> str:
    return "1 other" if count == 1 else f"{count} others"
