"""A part of a comparison: some tasks, models or optimizers, with the verdicts of the whole.

What is left out here was judged with the rest: who looks at one strategy alone does not get it
tested as if it had been the only one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from msbench.compare.rows import AccuracyRow, Comparison, Row
from msbench.errors import MsbenchError, did_you_mean

OVER_TASKS = ("ranks", "profiles")
"""Tables that are about all tasks together."""


def shown(comparison: Comparison, only: Mapping[str, Sequence[str]]) -> Comparison:
    """The rows of these names alone, by axis (task, model or optimizer); of an axis without names,
    all. Baselines stay.

    A bare name means all that are called so. MsbenchError if there is none.
    """
    wanted = {axis: _labels(comparison, axis, names) for axis, names in only.items() if names}
    if not wanted:
        return comparison
    kept: dict[str, Any] = {}
    for each in fields(comparison):
        rows = getattr(comparison, each.name)
        is_table = isinstance(rows, Sequence) and rows and isinstance(rows[0], Mapping)
        if is_table and each.name not in ("parts", "machines"):
            kept[each.name] = [row for row in rows if _is_wanted(row, wanted, comparison.by)]
    if wanted.keys() - {comparison.by}:
        kept |= dict.fromkeys(OVER_TASKS, ())
    if "task" in wanted:
        kept["freezing"] = ()
    return replace(comparison, **kept)


def of_some_seeds(comparison: Comparison, seeds: Sequence[int]) -> Comparison:
    """A comparison of records of these seeds: whoever chose them had seen them, so nothing in it
    decides."""
    named = ", ".join(map(str, seeds))
    note = f"only of seeds {named}, as asked: verdicts here are secondary"
    accuracy: list[AccuracyRow] = [{**row, "decides": False} for row in comparison.accuracy]
    return replace(
        comparison, accuracy=accuracy, against=(), ranks=(), notes=[note, *comparison.notes]
    )


def _labels(comparison: Comparison, axis: str, names: Sequence[str]) -> Collection[str]:
    """The labels that are meant, and that of the baseline."""
    own = {row["label"]: row["name"] for row in comparison.parts if row["kind"] == axis}
    rows: Sequence[Row] = comparison.accuracy
    known = {
        row[axis]: {row[axis], row[axis].partition(" (")[0], own.get(row[axis])} for row in rows
    }
    found = set[str]()
    for name in names:
        meant = [label for label, called in known.items() if name in called]
        if not meant:
            raise MsbenchError(
                f"--{axis} {name}: these results have none{did_you_mean(name, known)}"
            )
        found.update(meant)
    is_compared = axis == comparison.by
    return found | {row[axis] for row in rows if is_compared and row["baseline"]}


def _is_wanted(row: Row, wanted: Mapping[str, Collection[str]], by: str) -> bool:
    """Whether a row is of all that is asked for; of an axis that it does not have, it is."""
    return all(
        not (value := row.get(axis, row.get("strategy", "") if axis == by else ""))
        or value in names
        for axis, names in wanted.items()
    )
