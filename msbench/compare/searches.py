"""Searches of tuning: a row for each, with the winner that ran."""

import math
import statistics
from typing import Any

from msbench.compare.columns import Columns
from msbench.compare.labels import Labels
from msbench.compare.rows import StrategyKey, TuningRow


def tuning_rows(columns: Columns, labels: Labels) -> list[TuningRow]:
    """A row per search: how its points did on validation, and the winner that ran."""
    losses: dict[StrategyKey, dict[int, list[float]]] = {}
    options: dict[StrategyKey, dict[int, dict[str, Any]]] = {}
    for record in columns.searches:
        strategy, tuned = labels.key(record), record.trial["tuned"]
        assert tuned is not None
        points = losses.setdefault(strategy, {})
        points.setdefault(tuned["point"], []).append(record.validation_loss)
        options.setdefault(strategy, {})[tuned["point"]] = tuned["options"]
    winners = {
        labels.key(columns.record(trial)): tuned
        for trial, tuned in columns.tuned.items()
        if columns.kept[trial]
    }
    rows: list[TuningRow] = []
    for strategy, points in losses.items():
        medians = {point: statistics.median(values) for point, values in points.items()}
        finite = [value for value in medians.values() if math.isfinite(value)]
        winner = winners.get(strategy)
        rows.append(
            {
                **strategy.row(),
                "points": len(points),
                "ok": len(finite),
                "point": winner["point"] if winner else None,
                "options": dict(winner["options"]) if winner else {},
                "edge": list(winner["edge"]) if winner else [],
                "validation_loss": medians.get(winner["point"], math.nan) if winner else math.nan,
                "median": statistics.median(finite) if finite else math.nan,
                "worst": max(finite) if finite else math.nan,
                "searched": [
                    {"point": point, "options": dict(of), "validation_loss": medians[point]}
                    for point, of in sorted(options[strategy].items())
                ],
            }
        )
    return sorted(rows, key=StrategyKey.of)
