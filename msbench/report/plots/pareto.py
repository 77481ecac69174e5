"""Score against the cost of training, with the Pareto front."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msbench.compare.rows import Comparison, Row
from msbench.report.plots.axes import behind, columns, digits, legend_name, said, scale
from msbench.report.plots.series import Lineup, and_others, in_order, others_of
from msbench.report.plots.style import FAINT, look, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pareto(axes: "Axes", comparison: Comparison, who: Lineup, task: str) -> str:
    rows = [row for row in costed(comparison) if row["task"] == task]
    cost, unit = cost_of(rows)
    lower = rows[0]["lower_is_better"]
    drawn, others = in_order(rows, who), others_of(rows, who)
    points = [columns([row], cost, "mean") for row in others]
    behind(axes, points, alone=not drawn, marker=".", linestyle="")
    for row in drawn:
        about = look(who.number(row)) | {"linestyle": ""}
        ends = None if math.isnan(row["low"]) else _ends(row)
        axes.errorbar(
            row[cost], row["mean"], ends, label=legend_name(who.name(row)), elinewidth=0.8, **about
        )
    front = pareto_front(rows, cost, lower)
    axes.step(
        [row[cost] for row in front],
        [row["mean"] for row in front],
        where="post",
        color=FAINT,
        linewidth=1.2,
        zorder=1,
        label="Pareto front",
    )
    for row in front:
        if who.number(row) < 0:
            at = row[cost], row["mean"]
            axes.annotate(
                short(who.name(row), 16), at, (5, -11), textcoords="offset points", fontsize=8.5
            )
    scale(axes, "x", [row[cost] for row in (*drawn, *front)] or [row[cost] for row in rows])
    axes.set_xlabel(unit)
    axes.set_ylabel(f"{short(rows[0]['metric'])} ({'lower' if lower else 'higher'} is better)")
    best = ", ".join(
        f"{said(who.name(row))} {digits(row['mean'])} for {digits(row[cost])}" for row in front
    )
    return (
        f"{said(rows[0]['metric'])} on {said(task)} by {said(rows[0]['decoder'])} against "
        f"{unit}, {len(rows)} strategies, bars are 95 % intervals. "
        f"No other is both cheaper and better than: {best}{and_others(others)}."
    )


def _ends(row: Row) -> Any:
    return [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]


PLAIN = ("greedy", "argmax")
"""Decoders that stand for a task where one must."""


def costed(comparison: Comparison) -> list[Row]:
    """Rows of the main metric, of one decoder a task, that have a score and a cost."""
    main = [
        row
        for row in comparison.accuracy
        if row["main"] and not math.isnan(row["mean"]) and cost_of([row])[0]
    ]
    decoders: dict[str, list[str]] = {}
    for row in main:
        decoders.setdefault(row["task"], []).append(row["decoder"])
    chosen = {
        task: next((plain for plain in PLAIN if plain in there), min(there))
        for task, there in decoders.items()
    }
    return [row for row in main if row["decoder"] == chosen[row["task"]]]


def cost_of(rows: Sequence[Row]) -> tuple[str, str]:
    """(column, what it is called) of the cost that all rows have: of several machines passes."""
    for column, unit in (("train_seconds", "training seconds"), ("passes", "passes")):
        if all(math.isfinite(row.get(column, math.nan)) for row in rows):
            return column, unit
    return "", ""


def pareto_front(rows: Sequence[Row], cost: str, lower_is_better: bool) -> list[Row]:
    """The rows of complete strategies that no other beats in both cost and mean, cheapest first."""
    sign = 1 if lower_is_better else -1
    front: list[Row] = []
    for row in sorted(rows, key=lambda r: (r[cost], sign * r["mean"])):
        better = not front or sign * row["mean"] < sign * front[-1]["mean"]
        if better and row["n_ok"] == row["n"]:
            front.append(row)
    return front
