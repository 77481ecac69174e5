"""Tables that fit a width: what a reader misses least is left out, and nothing breaks in a cell."""

from collections.abc import Sequence

from msbench.errors import printable
from msbench.report.format import Cells

GAP = 2
"""Spaces between two columns."""

NAME = 16
"""Characters that are left of a text where a table would be too wide without any spare column."""


def fitted(cells: Cells, width: float, spare: Sequence[str]) -> tuple[Cells, list[str]]:
    """(cells of columns that take at most `width` characters, names of columns left out).

    spare: the columns that may be, the first to go first. Where that is not enough, long texts lose
    their middle, and at last columns at the right go.
    """
    left_out: list[str] = []
    for name in spare:
        if taken(cells) <= width:
            break
        gone = [each for each in cells[0] if each == name or each.startswith(f"{name}, ")]
        cells, left_out = _without(cells, gone), [*left_out, *gone]
    if taken(cells) > width:
        cells = [{name: _short(cell) for name, cell in row.items()} for row in cells]
    while taken(cells) > width and len(cells[0]) > 1:
        last = [*cells[0]][-1]
        cells, left_out = _without(cells, [last]), [*left_out, last]
    return cells, left_out


def taken(cells: Cells) -> int:
    """Characters that a row takes."""
    widths = [max(len(printable(name)), *(len(row[name]) for row in cells)) for name in cells[0]]
    return sum(widths) + GAP * (len(widths) - 1)


def _without(cells: Cells, names: Sequence[str]) -> Cells:
    return [{name: cell for name, cell in row.items() if name not in names} for row in cells]


def _short(text: str) -> str:
    if len(text) <= NAME:
        return text
    head = (NAME - 1) * 2 // 3
    return f"{text[:head]}…{text[head + 1 - NAME :]}"
