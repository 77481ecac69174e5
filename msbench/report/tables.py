"""Comparison -> tables of text: what a reader is shown, rounded, in the order it is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msbench.compare.rows import Comparison
from msbench.report import accuracy_tables as accuracy
from msbench.report import cost_tables as costs
from msbench.report.format import Cells
from msbench.spec import TABLES


@dataclass(frozen=True)
class Table:
    """One table that has rows."""

    name: str
    """One of `spec.TABLES`."""
    title: str
    cells: Cells
    spare: Sequence[str]
    """Columns that a narrow terminal can do without, the first to go first; one that is followed by
    a comma and more counts, too."""


def tables(comparison: Comparison, names: Sequence[str] = TABLES) -> list[Table]:
    """Those of the named tables that have rows."""
    untuned = ", untuned" if comparison.untuned else ""
    found = []
    for name in TABLES:
        title, make, spare = KNOWN[name]
        if name in names and (cells := make(comparison)):
            found.append(Table(name, title.format(untuned), cells, spare))
    return found


_SCORED = ("per example", "other examples", "remark", "95 % interval", "decoder", "p", "seeds ok")

KNOWN: Mapping[str, tuple[str, Callable[[Comparison], Cells], Sequence[str]]] = {
    "accuracy": ("Accuracy{}", accuracy.deciding, (*_SCORED, "metric")),
    "against": ("Against yardsticks", accuracy.against, (*_SCORED, "metric")),
    "seeds": ("Seed by seed", accuracy.by_seed, ("metric",)),
    "secondary": ("Accuracy, secondary{}", accuracy.secondary, (*_SCORED, "metric")),
    "training": (
        "Training",
        costs.training,
        (
            *("sent MB", "GFLOP", "test - train loss", "overfitting", "peak memory MB"),
            *("machine", "speed", "seeds ok"),
        ),
    ),
    "targets": ("To target, a validation loss", costs.targets, ("GFLOP", "machine")),
    "decoding": (
        "Decoding",
        costs.decoding,
        (
            *("log-probability", "empty outputs", "model steps", "output length", "machine"),
            *("first token ms", "metric"),
        ),
    ),
    "tuning": (
        "Tuning, on validation",
        costs.tuning,
        (
            *("trials", "winning point", "worst point", "points ok", "metric", "score"),
            *("median point", "gradient passes"),
        ),
    ),
    "throughput": ("Throughput, measured alone", costs.throughput, ("rounds", "machine")),
    "ranks": ("Ranks over tasks", costs.ranks, ("tasks",)),
    "profiles": (
        "Profiles over tasks and seeds",
        costs.profiles,
        ("0.75 x", "1.5 x", "tasks x seeds", "0.5 x"),
    ),
}
"""By name: the title, what makes the cells, and the columns that can be spared."""
