"""The pictures of a page, drawn by as many processes as there are cores.

They are most of its time.
"""

import multiprocessing
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from msbench.compare.rows import Comparison
from msbench.report.plots import PLOTS, picture
from msbench.report.plots.svg import svg
from msbench.spec import Unit

EACH = 4
"""Pictures that are worth a process."""


class Wanted(NamedTuple):
    """A picture of a page."""

    plot: str
    task: str
    unit: Unit
    number: int
    """Among those of its plot."""


class Drawn(NamedTuple):
    """As a page shows it."""

    title: str
    svg: str


def drawings(comparison: Comparison, wanted: Sequence[Wanted]) -> list[Drawn]:
    """All of them, in this order."""
    workers = min(_cores(), len(wanted) // EACH)
    # A process of several threads, such as a notebook's, may be forked while one holds a lock.
    if workers < 2 or not hasattr(os, "fork") or threading.active_count() > 1:
        return [draw(comparison, each) for each in wanted]
    return drawn_by(workers, comparison, wanted)


def drawn_by(workers: int, comparison: Comparison, wanted: Sequence[Wanted]) -> list[Drawn]:
    """As `drawings`, by so many processes."""
    import matplotlib.figure  # noqa: F401  once, and not in every process

    context = multiprocessing.get_context("fork")
    with context.Pool(workers, _hold, [comparison]) as pool:
        return pool.map(_draw_held, wanted, chunksize=1)


_held: list[Comparison] = []
"""In a process that draws, what it draws of: it is inherited, since sending it takes long."""


def _hold(comparison: Comparison) -> None:
    _held[:] = [comparison]


def _draw_held(wanted: Wanted) -> Drawn:
    return draw(_held[0], wanted)


def draw(comparison: Comparison, wanted: Wanted) -> Drawn:
    """One of them."""
    plot = PLOTS[wanted.plot]
    made = picture(comparison, plot, [wanted.task], wanted.unit)
    title = made.title.removeprefix(plot.title).strip(", ")
    return Drawn(title, svg(replace(made, name=f"{plot.name}-{wanted.number}")))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
