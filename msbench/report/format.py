"""What tables share: numbers and verdicts as short text, and which columns are needed."""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from msbench.compare.rows import Row

R = TypeVar("R", bound=Row)
Key = TypeVar("Key", bound=Hashable)

Cells = list[dict[str, str]]
"""Rows of a table, column by column; all rows have the same columns."""


def grouped(rows: Iterable[R], key: Callable[[R], Key]) -> dict[Key, list[R]]:
    """The rows of each key, both in their order."""
    groups: dict[Key, list[R]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def varies(rows: Sequence[Row], axis: str) -> bool:
    """Whether an axis tells rows of one task apart."""
    values = {(row["task"], row[axis]) for row in rows if row[axis]}
    return len(values) > len({task for task, _ in values})


def ditto(cells: Cells) -> Cells:
    """The task only where it changes."""
    tasks = [row["task"] for row in cells]
    return [
        {**row, "task": ""} if index and tasks[index - 1] == tasks[index] else row
        for index, row in enumerate(cells)
    ]


def drop_empty(cells: Cells, *columns: str) -> Cells:
    """Without those of `columns` that are empty or not known in every row."""
    empty = {name for name in columns if all(row[name] in ("", "-") for row in cells)}
    return [{name: cell for name, cell in row.items() if name not in empty} for row in cells]


def interval(mean: float, low: float, high: float, sign: str = "") -> str:
    """The mean and its bounds, with as many decimals as the largest needs; "-" for not known."""
    if math.isnan(mean):
        return "-"
    places = decimals(max(abs(x) for x in (mean, low, high) if not math.isnan(x)))
    text = f"{mean:{sign}.{places}f}"
    return text if math.isnan(low) else f"{text} [{low:.{places}f}, {high:.{places}f}]"


def mean_of(row: Row) -> str:
    return interval(row["mean"], row["low"], row["high"])


def mean_cells(row: Row) -> dict[str, str]:
    """The mean and its interval, a column each."""
    mean, _, bounds = mean_of(row).partition(" ")
    return {"mean": mean, "95 % interval": bounds}


def seeds_ok(row: Row) -> str:
    """Such as "3 of 4"."""
    return f"{row['n_ok']} of {row['n']}"


def difference_of(row: Row) -> str:
    return interval(row["difference"], row["difference_low"], row["difference_high"], "+")


def decimals(size: float) -> int:
    """How many leave about three significant digits."""
    return 3 if size < 2 else 2 if size < 20 else 1


def number(value: float) -> str:
    """With three digits, or as a whole number; "-" for not known."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def probability(p: float) -> str:
    """Such as "p 0.0031"; empty for not known."""
    if math.isnan(p):
        return ""
    return "p <0.001" if p < 0.001 else f"p {p:.2g}"


def undecided(pairs: int, difference: float, p: float, needed: float) -> str:
    """Why there is no verdict, and what would give one: `"4 seeds; about 11 would decide"`.

    needed: seeds, as `compare.stats.seeds_needed` has it.
    """
    seeds = f"{pairs} seed{'s' * (pairs != 1)}"
    if pairs < 2:
        return f"{seeds}, too few"
    if math.isnan(p) and not math.isnan(difference):
        return f"the same in all {seeds}"
    if math.isnan(needed):
        return seeds
    if math.isinf(needed):
        return f"{seeds}; even 10,000 would not decide"
    return f"{seeds}; about {needed:,.0f} would decide"


def verdict_cells(row: Row) -> dict[str, str]:
    """The verdict, its p, what would give one, and how far seeds were added, a column each."""
    verdict, p = row["verdict"], row["p_adjusted"]
    lost = verdict and row["n_ok"] < row["n"]
    is_open = verdict == "undecided"
    return {
        "verdict": f"{verdict}, of those ok" if lost else verdict,
        "p": probability(p).removeprefix("p ") if verdict else "",
        "to decide": to_decide(row["pairs"], row["difference"], p, row["seeds_needed"])
        if is_open
        else "",
        "seeds added": stopped(row) if verdict else "",
    }


def to_decide(pairs: int, difference: float, p: float, needed: float) -> str:
    """What would give a verdict, such as "9 seeds", or why none can be given."""
    if pairs < 2:
        return f"{pairs} seed{'s' * (pairs != 1)}, too few"
    if math.isnan(p) and not math.isnan(difference):
        return f"the same in all {pairs} seeds"
    if math.isnan(needed):
        return ""
    return "over 10,000 seeds" if math.isinf(needed) else f"{needed:,.0f} seeds"


def verdict_of(row: Row) -> str:
    """Such as "better (p 0.003)"; of a strategy that lost trials it says of which."""
    verdict, p = row["verdict"], probability(row["p_adjusted"])
    if verdict == "undecided":
        open_ = undecided(row["pairs"], row["difference"], row["p_adjusted"], row["seeds_needed"])
        verdict = because("undecided", p, open_, stopped(row))
    elif verdict == "equivalent" or verdict.endswith("the margin"):
        verdict = because(verdict, f"{row['margin']:.3g}", p, stopped(row))
    elif verdict:
        verdict = because(verdict, p, stopped(row))
    return f"{verdict}, of those ok" if verdict and row["n_ok"] < row["n"] else verdict


def stopped(row: Row) -> str:
    """At how many seeds, and why, if they were added until there was a verdict."""
    if not row.get("looked"):
        return ""
    why = row["stopped"]
    return f"stopped at {row['looked']} seeds: {why}" if why else "more seeds are to come"


def because(verdict: str, *reasons: str) -> str:
    """A verdict with what it rests on in brackets, such as "better (p 0.0031)"."""
    known = "; ".join(filter(None, reasons))
    return f"{verdict} ({known})" if known else verdict
