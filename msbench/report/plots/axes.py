"""What panels have in common: who is named, grey lines behind, scales, and words for all of it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msbench.compare.rows import Row
from msbench.report.plots.series import count_others
from msbench.report.plots.style import FAINT, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def one_machine(rows: Sequence[Row]) -> list[Row]:
    """Of the machine with the most rows: times of several are not comparable."""
    machines = [row["machine"] for row in rows]
    most = max(sorted(set(machines)), key=machines.count, default="")
    return [row for row in rows if row["machine"] == most]


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
        label = count_others(len(lines)) if number == 0 else "_"
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
