"""What panels have in common: who is named, grey lines behind, scales, and words for all of it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msbench.canvas import FAINT, short
from msbench.lineup import Lineup
from msbench.spec import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def in_order(rows: Sequence[Row], who: Lineup) -> list[Row]:
    """The rows of named strategies, the baseline first."""
    return sorted((row for row in rows if who.number(row) >= 0), key=who.number)


def others_of(rows: Sequence[Row], who: Lineup) -> list[Row]:
    """Those without a name in the picture."""
    return [row for row in rows if who.number(row) < 0]


def and_others(others: Sequence[Any]) -> str:
    """The end of a sentence about them."""
    return f"; and {_many(len(others))} in grey" if others else ""


def _many(count: int) -> str:
    return "1 other" if count == 1 else f"{count} others"


def behind(
    axes: "Axes",
    lines: Sequence[tuple[Sequence[float], Sequence[float]]],
    *,
    alone: bool,
    **about: Any,
) -> None:
    """Strategies without a name, grey and thin; only if they are alone or single points do they
    decide what the axes span, since a bad one would press all others flat."""
    from matplotlib.lines import Line2D

    about = {"color": FAINT, "linewidth": 0.6, "zorder": 1, **about}
    for number, (x, y) in enumerate(lines):
        label = _many(len(lines)) if number == 0 else "_"
        if alone:
            axes.plot(x, y, label=label, **about)
        else:
            axes.add_artist(Line2D(x, y, label=label, **about))


def columns(rows: Sequence[Row], x: str, y: str) -> tuple[list[float], list[float]]:
    """(x, y) of a line through the rows."""
    return [row[x] for row in rows], [row[y] for row in rows]


def scale(axes: "Axes", which: str, values: Sequence[float], most: float = 10) -> None:
    """Logarithmic where values are positive and differ by more than `most` times."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    known = [value for value in values if math.isfinite(value)]
    if known and min(known) > 0 and max(known) > most * min(known):
        axis = getattr(axes, f"{which}axis")
        getattr(axes, f"set_{which}scale")("log")
        wide = max(known) > 50 * min(known)
        axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def said(name: str) -> str:
    """A name in a sentence."""
    return short(name, 60)


def digits(value: float) -> str:
    """A number in a sentence."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def legend_name(name: str) -> str:
    """A name as legends have it: matplotlib leaves out what starts with an underscore."""
    return "\N{FULLWIDTH LOW LINE}" + short(name)[1:] if name[:1] == "_" else short(name)
