"""Searches of tuning: a row for each, with the winner that ran."""

import math
import statistics

from msbench.compare.columns import Ledger
from msbench.compare.labels import Labels
from msbench.compare.rows import Row
from msbench.spec import AXES


def tuning_rows(ledger: Ledger, labels: Labels) -> list[Row]:
    """A row per search: how its points did on validation, and the winner that ran."""
    losses: dict[tuple[str, ...], dict[int, list[float]]] = {}
    searched: dict[tuple[str, ...], dict[int, Row]] = {}
    for record in ledger.searches:
        cell = tuple(labels.axes(record)[axis] for axis in AXES)
        points = losses.setdefault(cell, {})
        tuned = record.job["tuned"]
        points.setdefault(tuned["point"], []).append(record.validation_loss)
        searched.setdefault(cell, {})[tuned["point"]] = tuned["options"]
    winners = {
        tuple(labels.axes(ledger.groups[ledger.trials["group"][t]])[axis] for axis in AXES): tuned
        for t, tuned in ledger.tuned.items()
        if ledger.kept[t]
    }
    rows = []
    for cell, points in losses.items():
        medians = {point: statistics.median(values) for point, values in points.items()}
        finite = [value for value in medians.values() if math.isfinite(value)]
        chosen = winners.get(cell, {})
        rows.append(
            {
                **dict(zip(map(str, AXES), cell, strict=True)),
                "points": len(points),
                "ok": len(finite),
                "point": chosen.get("point"),
                "options": dict(chosen.get("options", {})),
                "edge": list(chosen.get("edge", ())),
                "validation_loss": medians.get(chosen.get("point", -1), math.nan),
                "median": statistics.median(finite) if finite else math.nan,
                "worst": max(finite) if finite else math.nan,
                "searched": [
                    {"point": point, "options": dict(options), "validation_loss": medians[point]}
                    for point, options in sorted(searched[cell].items())
                ],
            }
        )
    return sorted(rows, key=lambda row: tuple(row[axis] for axis in AXES))
