"""Comparison -> pictures: which there are, and their layout."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msbench.compare.rows import Comparison, Row
from msbench.errors import MsbenchError, did_you_mean
from msbench.report.plots.axes import legend_name
from msbench.report.plots.curves import curves
from msbench.report.plots.decoders import decoded, ladder
from msbench.report.plots.pareto import costed, pareto
from msbench.report.plots.profile import profile
from msbench.report.plots.ranks import ranks
from msbench.report.plots.series import Lineup, lineup
from msbench.report.plots.style import short, style
from msbench.report.plots.svg import Picture
from msbench.report.plots.tuning import points_of, tuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


KINDS = ("curves", "pareto", "profile", "cd", "ladder", "tuning")


WIDTH = 4.8
"""Inches that a panel takes."""


TITLES = {
    "curves": "Learning curves",
    "pareto": "Score against cost",
    "profile": "Performance profile",
    "cd": "Critical differences of ranks",
    "ladder": "Score against the cost of decoding",
    "tuning": "Tuning sensitivity",
}


NOTHING = {
    "curves": "no trial that ended ok measured a validation loss",
    "pareto": "no trial that ended ok has a score and a cost",
    "profile": "profiles need a target that training can reach, and are not made by decoder",
    "cd": "ranks need two tasks and three strategies that ran on all of them",
    "ladder": "no task has two decoders whose time was measured",
    "tuning": "no learning rate or other number was searched",
}
"""Why there is no picture of a kind."""


def tasks_with(comparison: Comparison, kind: str) -> list[str]:
    """The tasks that a kind can be drawn for; [""] for a picture over all tasks, [] for none."""
    if kind in ("profile", "cd"):
        return [""] if (comparison.profiles if kind == "profile" else comparison.ranks) else []
    rows: dict[str, Callable[[], Sequence[Row]]] = {
        "curves": lambda: comparison.curves,
        "pareto": lambda: costed(comparison),
        "ladder": lambda: decoded(comparison),
        "tuning": lambda: [row for row in comparison.tuning if points_of(row)],
    }
    return sorted({row["task"] for row in rows[kind]()})


def picture(
    comparison: Comparison, kind: str, tasks: Sequence[str] = (), along: str = "passes"
) -> Picture:
    """One picture of a kind of KINDS, with a panel per task (without `tasks`, all).

    along: what curves are drawn against, one of ALONG. MsbenchError if there is nothing to draw.
    """
    there = tasks_with(comparison, kind)
    if not there:
        raise MsbenchError(f"no picture of {kind}: {NOTHING[kind]}")
    for task in tasks:
        if there != [""] and task not in there:
            raise MsbenchError(f"no picture of {kind} for task {task!r}{did_you_mean(task, there)}")
    chosen = there if there == [""] or not tasks else list(dict.fromkeys(tasks))
    who = lineup(comparison, [comparison.by] if kind in ("profile", "cd") else ())
    draw: Callable[[Axes, str], str] = {
        "curves": lambda axes, task: curves(axes, comparison, who, task, along),
        "pareto": lambda axes, task: pareto(axes, comparison, who, task),
        "profile": lambda axes, _: profile(axes, comparison, who),
        "cd": lambda axes, _: ranks(axes, comparison),
        "ladder": lambda axes, task: ladder(axes, comparison, who, task),
        "tuning": lambda axes, task: tuning(axes, comparison, who, task),
    }[kind]
    height = 1.0 + 0.24 * len(comparison.ranks) if kind == "cd" else 3.1
    return _panels(kind, chosen, draw, who, height, along)


def _panels(
    kind: str,
    tasks: Sequence[str],
    draw: Callable[["Axes", str], str],
    who: Lineup,
    height: float,
    along: str,
) -> Picture:
    """Panels side by side, the legend below all of them. Sizes are in inches, and places computed
    here: an engine that finds them draws everything twice."""
    from matplotlib.figure import Figure

    columns = min(3, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    # One entry more for those without a name, and one for a front.
    entries = 0 if kind == "cd" else len(who.names) + (who.left_out > 0) + (kind == "pareto")
    across = columns * (2 if max(map(len, map(short, who.names)), default=0) < 18 else 1)
    below = 0.21 * math.ceil(entries / across) + 0.08
    left = 0.3 + 0.085 * max(map(len, map(short, who.names)), default=0) if kind == "cd" else 0.78
    above = 0.3 if len(tasks) > 1 else 0.12
    width, whole = WIDTH * columns, height * rows + below
    with style():
        figure = Figure((width, whole))
        told = []
        for number, task in enumerate(tasks):
            row, column = divmod(number, columns)
            corner = column * WIDTH + left, whole - (row + 1) * height + 0.5
            size = WIDTH - left - 0.15, height - 0.5 - above
            axes = figure.add_axes(
                (corner[0] / width, corner[1] / whole, size[0] / width, size[1] / whole)
            )
            told.append(draw(axes, task))
            if task and len(tasks) > 1:
                axes.set_title(short(task, 40))
        if kind != "cd":
            _legend(figure, who, across)
    against = f", against {along}" if kind == "curves" else ""
    title = f"{TITLES[kind]}{f', {tasks[0]}' if len(tasks) == 1 and tasks[0] else ''}{against}"
    return Picture(kind, title, " ".join(told), figure)


def _legend(figure: "Figure", who: Lineup, columns: int) -> None:
    found: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    names = [name for name in map(legend_name, who.names) if name in found]
    names += [name for name in found if name not in names]
    figure.legend(
        [found[name] for name in names],
        names,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.0),
        borderaxespad=0.1,
        borderpad=0.1,
        labelspacing=0.25,
        ncols=columns,
    )
