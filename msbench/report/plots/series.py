"""Who is drawn: a name and a look for each strategy, the same in all pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msbench.compare.rows import AccuracyRow, Comparison, Row
from msbench.spec import AXES

MOST = 8
"""Strategies that a picture can tell apart."""


@dataclass(frozen=True)
class Lineup:
    """The strategies that pictures show."""

    axes: Sequence[str]
    """What a name is made of."""
    names: Sequence[str]
    """The baseline first, then the best by rank over tasks."""
    left_out: int
    """How many more there are, which only tables show."""

    def name(self, row: Row) -> str:
        """What the strategy of a row is called."""
        return " · ".join(row[axis] for axis in self.axes)

    def number(self, row: Row) -> int:
        """Its number, which a look belongs to; -1 if it is not shown."""
        name = self.name(row)
        return self.names.index(name) if name in self.names else -1


def lineup(comparison: Comparison, axes: Sequence[str] = ()) -> Lineup:
    """The baseline and the best others, ranked by the main metric over tasks and decoders.

    axes: what tells strategies apart; without it, the one that is compared by (a decoder is no
    strategy of training) and those that vary within a task.
    """
    main = [row for row in comparison.accuracy if row["main"]] or list(comparison.accuracy)
    varying = [axis for axis in AXES[1:] if axis == comparison.by or varies(main, axis)]
    axes = axes or varying or ["optimizer"]
    made = Lineup(sorted(axes, key=lambda a: a != comparison.by), (), 0)
    ranks: dict[str, list[float]] = {}
    bases = {made.name(row) for row in main if row["baseline"] and comparison.by in made.axes}
    groups: dict[tuple[str, ...], list[AccuracyRow]] = {}
    for row in main:
        groups.setdefault((row["task"], row["metric"], row["decoder"]), []).append(row)
    for rows in groups.values():
        for place, row in enumerate(sorted(rows, key=_worth)):
            ranks.setdefault(made.name(row), []).append((place + 0.5) / len(rows))
    order = sorted(ranks, key=lambda name: (sum(ranks[name]) / len(ranks[name]), name))
    first = [name for name in order if name in bases][: MOST // 2]
    names = [*first, *(name for name in order if name not in first)][:MOST]
    return Lineup(made.axes, names, len(order) - len(names))


def varies(rows: Sequence[Row], axis: str) -> bool:
    """Whether an axis tells rows of one task apart."""
    pairs = {(row["task"], row[axis]) for row in rows}
    return len(pairs) > len({task for task, _ in pairs})


def _worth(row: Row) -> tuple[bool, float]:
    """The best first; a strategy that lost trials is never among them."""
    mean = row["mean"] if row["lower_is_better"] else -row["mean"]
    return row["n_ok"] < row["n"], math.inf if math.isnan(mean) else mean


def in_order(rows: Sequence[Row], who: Lineup) -> list[Row]:
    """The rows of named strategies, the baseline first."""
    return sorted((row for row in rows if who.number(row) >= 0), key=who.number)


def others_of(rows: Sequence[Row], who: Lineup) -> list[Row]:
    """Those without a name in the picture."""
    return [row for row in rows if who.number(row) < 0]


def and_others(others: Sequence[Any]) -> str:
    """The end of a sentence about them."""
    return f"; and {count_others(len(others))} in grey" if others else ""


def count_others(count: int) -> str:
    return "1 other" if count == 1 else f"{count} others"
