"""Accuracy, seed by seed and against yardsticks, as cells."""

import math
from collections.abc import Mapping, Sequence

from msbench.compare.rows import AccuracyRow, Comparison, Row, YardstickRow
from msbench.compare.yardsticks import beaten
from msbench.report.format import (
    Cells,
    because,
    decimals,
    difference_of,
    ditto,
    drop_empty,
    interval,
    mean_cells,
    number,
    probability,
    seeds_ok,
    varies,
    verdict_cells,
)
from msbench.spec import COLUMNS, DETAILS

EMPTY = ("95 % interval", "p", "to decide", "seeds added", "remark", "per example")
"""Columns that are left out where no row has anything in them."""


def deciding(comparison: Comparison) -> Cells:
    """What answers the declared question."""
    return _accuracy(comparison, decides=True)


def secondary(comparison: Comparison) -> Cells:
    """Other decoders and metrics."""
    return _accuracy(comparison, decides=False)


def against(comparison: Comparison) -> Cells:
    """Every strategy that decides against what is none."""
    rows = comparison.against
    axes = [axis for axis in DETAILS if axis != comparison.by and varies(rows, axis)]
    cells = [
        {
            "task": row["task"],
            **{str(axis): row[axis] for axis in axes},
            "metric": row["metric"],
            comparison.by: row[comparison.by],
            **mean_cells(row),
            "yardstick": f"{row['yardstick']} {number(row['score'])}",
            "difference": difference_of(row),
            **verdict_cells(row),
            "other examples": because(
                interval(row["example_difference"], math.nan, math.nan, "+"),
                probability(row["example_p"]),
            ),
        }
        for row in rows
    ]
    return ditto(drop_empty(cells, *EMPTY[:-2], "other examples"))


def by_seed(comparison: Comparison) -> Cells:
    """The score of every seed, so that a reader sees what a mean hides."""
    rows = [row for row in comparison.accuracy if row["decides"]]
    axes = [axis for axis in DETAILS if axis != comparison.by and varies(rows, axis)]
    cells = [
        {
            "task": row["task"],
            **{str(axis): row[axis] for axis in axes},
            "metric": row["metric"],
            comparison.by: row[comparison.by],
            "scores": " ".join(number(value) for value in row["by_seed"]),
        }
        for row in rows
    ]
    return ditto(cells) if any(row["n_ok"] > 1 for row in rows) else []


def _accuracy(comparison: Comparison, *, decides: bool) -> Cells:
    every = [row for row in comparison.accuracy if row["primary"]]
    rows = [row for row in every if row["decides"] == decides]
    axes = [axis for axis in COLUMNS if axis != comparison.by]
    shown = [axis for axis in axes if axis not in DETAILS or varies(every, axis)]
    cells = [_cells(comparison, shown, row) for row in rows]
    decided = {(row["task"], row["metric"]) for row in every if row["decides"]}
    here = {(row["task"], row["metric"]) for row in rows}
    for held in comparison.yardsticks:
        of = held["task"], held["metric"]
        if of in here and (decides or of not in decided):
            _insert(cells, _yardstick(comparison, held, cells[0]))
    return ditto(drop_empty(cells, *EMPTY))


def _cells(comparison: Comparison, axes: Sequence[str], row: AccuracyRow) -> dict[str, str]:
    of_row: Row = row
    return {
        "task": row["task"],
        **{axis: of_row[axis] for axis in axes},
        "metric": row["metric"],
        comparison.by: row[comparison.by],
        **mean_cells(row),
        f"vs {comparison.baseline}": "" if row["baseline"] else difference_of(row),
        **verdict_cells(row),
        "remark": row["remark"],
        "per example": _per_example(row),
        "seeds ok": seeds_ok(row),
    }


def _yardstick(
    comparison: Comparison, row: YardstickRow, like: Mapping[str, str]
) -> dict[str, str]:
    """The row of what is no strategy: one score, without a spread."""
    known = {
        "task": row["task"],
        "metric": row["metric"],
        comparison.by: row["yardstick"],
        "mean": interval(row["score"], math.nan, math.nan),
        "verdict": beaten(row, comparison.against) or "yardstick",
        "seeds ok": f"{int(row['status'] == 'ok')} of 1",
    }
    return {name: known.get(name, "") for name in like}


def _insert(cells: Cells, new: dict[str, str]) -> None:
    """Behind the last row of the same task and metric, or of the same task."""
    same = [n for n, row in enumerate(cells) if row["task"] == new["task"]]
    if same:
        alike = [n for n in same if cells[n]["metric"] == new["metric"]]
        cells.insert((alike or same)[-1] + 1, new)


def _per_example(row: AccuracyRow) -> str:
    p, difference = probability(row["example_p_adjusted"]), row["example_difference"]
    return because(f"{difference:+.{decimals(abs(difference))}f}", p) if p else ""
