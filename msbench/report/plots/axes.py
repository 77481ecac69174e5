"""What panels have in common: strategies in grey, notes, scales, and how names are written."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msbench.compare.rows import Row
from msbench.report.plots.series import R, count_others
from msbench.report.plots.style import FAINT, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def one_machine(rows: Sequence[R]) -> list[R]:
    """The rows of the machine with the most: times of several machines are not comparable."""
    machines = [row["machine"] for row in rows]
    most = max(sorted(set(machines)), key=machines.count, default="")
    return [row for row in rows if row["machine"] == most]


def draw_in_grey(
    axes: "Axes",
    lines: Sequence[tuple[Sequence[float], Sequence[float]]],
    *,
    alone: bool,
    **look: Any,
) -> None:
    """Strategies without a name, as (x, y) behind the others.

    alone: whether nothing else is drawn. Only then do they decide what the axes span: a bad one
    would press all others flat.
    """
    from matplotlib.lines import Line2D

    look = {"color": FAINT, "linewidth": 0.6, "zorder": 1, **look}
    for number, (x, y) in enumerate(lines):
        label = count_others(len(lines)) if number == 0 else "_"
        if alone:
            axes.plot(x, y, label=label, **look)
        else:
            axes.add_artist(Line2D(x, y, label=label, **look))


def columns(rows: Sequence[Row], x: str, y: str) -> tuple[list[float], list[float]]:
    """(x, y) of a line through the rows."""
    return [row[x] for row in rows], [row[y] for row in rows]


def annotate(
    axes: "Axes",
    text: str,
    point: tuple[float, float],
    offset: tuple[float, float],
    size: float,
    align: str = "left",
) -> None:
    """Write beside a point; offset in points of print."""
    axes.annotate(text, point, offset, textcoords="offset points", fontsize=size, ha=align)


def scale(axes: "Axes", which: str, values: Sequence[float], most: float = 10) -> None:
    """Make an axis logarithmic if its values are positive and span more than `most` times."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    known = [value for value in values if math.isfinite(value)]
    if known and min(known) > 0 and max(known) > most * min(known):
        axis = getattr(axes, f"{which}axis")
        getattr(axes, f"set_{which}scale")("log")
        wide = max(known) > 50 * min(known)
        axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def in_text(name: str) -> str:
    """A name in a sentence."""
    return short(name, 60)


def legend_name(name: str) -> str:
    """A name in a legend: matplotlib leaves out what starts with an underscore."""
    return "\N{FULLWIDTH LOW LINE}" + short(name)[1:] if name[:1] == "_" else short(name)
