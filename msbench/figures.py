"""Comparison -> pictures: curves, Pareto fronts, profiles, ranks, decoders and tuning."""

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msbench import panels
from msbench.canvas import Picture, short, style
from msbench.errors import MsbenchError, did_you_mean
from msbench.lineup import Lineup, lineup
from msbench.points import costed, decoded, points_of
from msbench.spec import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("curves", "pareto", "profile", "cd", "ladder", "tuning")

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
    found = {
        "curves": lambda: comparison.curves,
        "pareto": lambda: costed(comparison),
        "ladder": lambda: decoded(comparison),
        "tuning": lambda: [row for row in comparison.tuning if points_of(row)],
    }[kind]()
    return sorted({row["task"] for row in found})


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
        "curves": lambda axes, task: panels.curves(axes, comparison, who, task, along),
        "pareto": lambda axes, task: panels.pareto(axes, comparison, who, task),
        "profile": lambda axes, _: panels.profile(axes, comparison, who),
        "cd": lambda axes, _: panels.ranks(axes, comparison),
        "ladder": lambda axes, task: panels.ladder(axes, comparison, who, task),
        "tuning": lambda axes, task: panels.tuning(axes, comparison, who, task),
    }[kind]
    height = 0.7 + 0.24 * len(comparison.ranks) if kind == "cd" else 3.1
    return _panels(kind, chosen, draw, who, height, along)


def _panels(
    kind: str,
    tasks: Sequence[str],
    draw: Callable[["Axes", str], str],
    who: Lineup,
    height: float,
    along: str,
) -> Picture:
    from matplotlib.figure import Figure

    columns = min(3, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    with style():
        below = 0.0 if kind == "cd" else 0.22 * math.ceil(len(who.names) / (2 * columns)) + 0.1
        figure = Figure((4.8 * columns, height * rows + below), layout="constrained")
        told = []
        for number, task in enumerate(tasks):
            axes = figure.add_subplot(rows, columns, number + 1)
            told.append(draw(axes, task))
            if task and len(tasks) > 1:
                axes.set_title(short(task, 40))
        if kind != "cd":
            _legend(figure, who, 2 * columns)
    against = f", against {along}" if kind == "curves" else ""
    title = f"{TITLES[kind]}{f', {tasks[0]}' if len(tasks) == 1 and tasks[0] else ''}{against}"
    words = re.sub(r"[^a-z0-9]+", "-", f"{kind} {tasks[0]} {along}".lower())[:60].strip("-")
    return Picture(words, title, " ".join(told), figure)


def _legend(figure: Any, who: Lineup, columns: int) -> None:
    found = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    names = [name for name in map(panels.legend_name, who.names) if name in found]
    names += [name for name in found if name not in names]
    figure.legend([found[name] for name in names], names, loc="outside lower center", ncols=columns)
