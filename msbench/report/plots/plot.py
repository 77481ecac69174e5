"""What a picture is, and the layout of its panels."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from msbench.compare.rows import Comparison
from msbench.errors import MsbenchError, did_you_mean
from msbench.report.plots.axes import legend_name
from msbench.report.plots.series import R, Series, choose_series
from msbench.report.plots.style import short, style
from msbench.report.plots.svg import Picture
from msbench.spec import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 4.8, 3.1
"""Inches that a panel takes."""


@dataclass(frozen=True)
class Panel(Generic[R]):
    """What one panel is drawn on, and from."""

    title: str
    """The task, with the loss where tasks have several; "" over tasks."""
    axes: "Axes"
    rows: Sequence[R]
    """Of one task, or over tasks."""
    series: Series
    along: Unit
    """The unit that was asked for, one of the plot's."""


@dataclass(frozen=True)
class Plot(Generic[R]):
    """One kind of picture; each is the PLOT of a file of its name in this folder."""

    name: str
    title: str
    caption: str
    """How to read it."""
    nothing: str
    """Why there may be none."""
    rows: Callable[[Comparison], Sequence[R]]
    """What is drawn."""
    draw: Callable[[Panel[R]], str]
    """Draws a panel and says in words what it shows."""
    units: Sequence[Unit] = ()
    """What it can be drawn against; none = there is no choice."""
    over_tasks: bool = False
    """One panel over all tasks, of values of the compared axis, instead of one for each task."""
    names_beside: bool = False
    """A line for each strategy, which is named beside the axis instead of in a legend."""
    of_losses: bool = False
    """It is of values of the loss, so that losses of two kinds share no axis."""
    more_in_legend: int = 0
    """Entries of the legend that are no strategies."""

    def panels(self, comparison: Comparison, tasks: Sequence[str] = ()) -> dict[str, list[R]]:
        """The rows by the panel's title: the task (of `tasks`, by default all), with the loss where
        one is needed; "" over tasks."""
        rows = self.rows(comparison)
        if self.over_tasks:
            return {"": [*rows]} if rows else {}
        chosen = tasks or sorted({row["task"] for row in rows})
        return {
            title: panel
            for task in chosen
            for title, panel in self._split(task, [row for row in rows if row["task"] == task])
        }

    def _split(self, task: str, rows: Sequence[R]) -> Iterable[tuple[str, list[R]]]:
        """(title, rows) of a task's panels."""
        losses = sorted({row["loss"] for row in rows}) if self.of_losses else []
        if len(losses) < 2:
            return [(task, [*rows])]
        return [(f"{task}, {loss}", [r for r in rows if r["loss"] == loss]) for loss in losses]

    def series(self, comparison: Comparison) -> Series:
        """The strategies that it names."""
        return choose_series(comparison, [comparison.by] if self.over_tasks else ())


def picture(
    comparison: Comparison, plot: Plot[R], tasks: Sequence[str] = (), along: Unit = "passes"
) -> Picture:
    """A panel for each of `tasks` (by default all), side by side.

    along: the unit that curves are drawn against. MsbenchError if there is nothing to draw.
    """
    rows = plot.rows(comparison)
    if not rows:
        raise MsbenchError(f"no picture of {plot.name}: {plot.nothing}")
    known = [] if plot.over_tasks else sorted({row["task"] for row in rows})
    for task in tasks if known else ():
        if task not in known:
            raise MsbenchError(
                f"no picture of {plot.name} for task {task!r}{did_you_mean(task, known)}"
            )
    panels = plot.panels(comparison, tasks)
    figure, sentences = _draw(plot, panels, plot.series(comparison), along)
    task = next(iter(panels)) if len(panels) == 1 else ""
    against = f"against {along}" if plot.units else ""
    title = ", ".join(filter(None, (plot.title, task, against)))
    return Picture(plot.name, title, " ".join(sentences), figure)


def _draw(
    plot: Plot[R], panels: Mapping[str, Sequence[R]], series: Series, along: Unit
) -> "tuple[Figure, list[str]]":
    """The figure, and a sentence a panel. Sizes are in inches, and places are computed here: an
    engine that finds them draws everything twice."""
    from matplotlib.figure import Figure

    columns = min(3, len(panels))
    height, left, below = HEIGHT, 0.78, 0.08
    across, entries = 2 * columns, plot.more_in_legend
    if plot.names_beside:
        height = 1.0 + 0.24 * max(map(len, panels.values()))
        left = 0.3 + 0.085 * _longest(row["strategy"] for rows in panels.values() for row in rows)
    else:
        entries += len(series.names) + (series.left_out > 0)
        across = columns * (2 if _longest(series.names) < 18 else 1)
    below += 0.21 * math.ceil(entries / across)
    above = 0.3 if len(panels) > 1 else 0.12
    width, whole = WIDTH * columns, height * math.ceil(len(panels) / columns) + below
    sentences = []
    with style():
        figure = Figure((width, whole))
        for number, (title, rows) in enumerate(panels.items()):
            row, column = divmod(number, columns)
            x, y = column * WIDTH + left, whole - (row + 1) * height + 0.5
            size = WIDTH - left - 0.15, height - 0.5 - above
            axes = figure.add_axes((x / width, y / whole, size[0] / width, size[1] / whole))
            sentences.append(plot.draw(Panel(title, axes, rows, series, along)))
            if len(panels) > 1:
                axes.set_title(short(title, 40))
        if entries:
            _add_legend(figure, series, across)
    return figure, sentences


def _longest(names: Iterable[str]) -> int:
    return max((len(short(name)) for name in names), default=0)


def _add_legend(figure: "Figure", series: Series, columns: int) -> None:
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        lines, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, lines, strict=True))
    names = [name for name in map(legend_name, series.names) if name in handles]
    names += [name for name in handles if name not in names]
    named = [handles[name] for name in names]
    figure.legend(named, names, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=columns)
