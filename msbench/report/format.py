"""What tables share: which columns they need, and numbers as short text."""

import math
from collections.abc import Sequence

from msbench.compare.rows import Row

Cells = list[dict[str, str]]
"""Rows of a table, column by column; all rows have the same columns."""


def ditto(rows: Cells) -> Cells:
    """The task only where it changes."""
    tasks = [row["task"] for row in rows]
    for index in range(len(rows) - 1, 0, -1):
        if tasks[index] == tasks[index - 1]:
            rows[index]["task"] = ""
    return rows


def interval(mean: float, low: float, high: float, sign: str = "") -> str:
    """The mean and its bounds, with as many decimals as the largest needs; "-" for not known."""
    if math.isnan(mean):
        return "-"
    places = digits(max(abs(x) for x in (mean, low, high) if not math.isnan(x)))
    shown = f"{mean:{sign}.{places}f}"
    return shown if math.isnan(low) else f"{shown} [{low:.{places}f}, {high:.{places}f}]"


def digits(size: float) -> int:
    """Decimals that leave about three significant digits."""
    return 3 if size < 2 else 2 if size < 20 else 1


def p_value(p: float) -> str:
    """A probability with two digits."""
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def number(value: float) -> str:
    """With three digits, or as a whole number; "-" for not known."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def varies(rows: Sequence[Row], axis: str) -> bool:
    """Whether an axis tells rows of one task apart."""
    values = {(row["task"], row[axis]) for row in rows if row[axis]}
    return len(values) > len({task for task, _ in values})
