"""Score against the cost of training, with the Pareto front."""

import math
from collections.abc import Sequence
from typing import Literal

from msbench.compare.rows import AccuracyRow, Comparison
from msbench.report.format import grouped, number
from msbench.report.plots.axes import (
    annotate,
    columns,
    draw_in_grey,
    in_text,
    legend_name,
    scale,
)
from msbench.report.plots.plot import Panel, Plot
from msbench.report.plots.series import and_others
from msbench.report.plots.style import FAINT, look, short

Cost = Literal["flops", "passes"]
COSTS: Sequence[tuple[Cost, str]] = (("flops", "FLOPs of training"), ("passes", "passes"))
"""What is counted, and so is the same in every run of the same work; seconds differ by noise, and
would put one of two equal strategies on the front."""

PLAIN = ("greedy", "argmax")
"""Decoders that stand for a task where one must."""


def _draw(panel: Panel[AccuracyRow]) -> str:
    axes, rows, series = panel.axes, panel.rows, panel.series
    cost, unit = _cost_of(rows) or COSTS[-1]
    metric, lower = rows[0]["metric"], rows[0]["lower_is_better"]
    named, others = series.split(rows)
    points = [columns([row], cost, "mean") for row in others]
    draw_in_grey(axes, points, alone=not named, marker=".", linestyle="")
    for row in named:
        mean, low, high = row["mean"], row["low"], row["high"]
        bars = None if math.isnan(low) else [[mean - low], [high - mean]]
        point = look(series.number(row)) | {"linestyle": ""}
        name = legend_name(series.name(row))
        axes.errorbar(row[cost], mean, bars, label=name, elinewidth=0.8, **point)
    front = pareto_front(rows, cost, lower)
    x, y = columns(front, cost, "mean")
    axes.step(x, y, where="post", color=FAINT, linewidth=1.2, zorder=1, label="Pareto front")
    for row in front:
        if series.number(row) < 0:
            annotate(axes, short(series.name(row), 16), (row[cost], row["mean"]), (5, -11), 8.5)
    scale(axes, "x", [row[cost] for row in (*named, *front) or rows])
    axes.set_xlabel(unit)
    axes.set_ylabel(f"{short(metric)} ({'lower' if lower else 'higher'} is better)")
    best = ", ".join(
        f"{in_text(series.name(row))} {number(row['mean'])} for {row[cost]:.3g}" for row in front
    )
    return (
        f"{in_text(metric)} on {in_text(rows[0]['task'])} by {in_text(rows[0]['decoder'])} against "
        f"{unit}, {len(rows)} strategies, bars are 95 % intervals. "
        f"No other is both cheaper and better than: {best}{and_others(others)}."
    )


def _rows(comparison: Comparison) -> list[AccuracyRow]:
    """Rows of the main metric that have a score and a cost, of one decoder a task."""
    main = [
        row
        for row in comparison.accuracy
        if row["main"] and not math.isnan(row["mean"]) and _cost_of([row])
    ]
    chosen = {}
    for task, rows in grouped(main, lambda row: row["task"]).items():
        decoders = {row["decoder"] for row in rows}
        chosen[task] = next((plain for plain in PLAIN if plain in decoders), min(decoders))
    return [row for row in main if row["decoder"] == chosen[row["task"]]]


def _cost_of(rows: Sequence[AccuracyRow]) -> tuple[Cost, str] | None:
    """(column, name) of the cost that all rows have: passes where FLOPs were not counted."""
    known = (cost for cost in COSTS if all(math.isfinite(row[cost[0]]) for row in rows))
    return next(known, None)


def pareto_front(
    rows: Sequence[AccuracyRow], cost: Cost, lower_is_better: bool
) -> list[AccuracyRow]:
    """The rows of complete strategies that no other beats in both cost and mean, cheapest first."""
    sign = 1 if lower_is_better else -1
    front: list[AccuracyRow] = []
    for row in sorted(rows, key=lambda r: (r[cost], sign * r["mean"])):
        better = not front or sign * row["mean"] < sign * front[-1]["mean"]
        if better and row["n_ok"] == row["n"]:
            front.append(row)
    return front


PLOT = Plot[AccuracyRow](
    name="pareto",
    title="Score against cost",
    caption="Bars: 95 % intervals over seeds. No strategy is both cheaper and better than those "
    "on the grey line.",
    nothing="no trial that ended ok has a score and a cost",
    rows=_rows,
    draw=_draw,
    more_in_legend=1,
)
