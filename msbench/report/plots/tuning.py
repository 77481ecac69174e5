"""Validation loss against the option that was searched."""

import math
from typing import TYPE_CHECKING

from msbench.compare.rows import Comparison, Row
from msbench.report.plots.axes import behind, digits, legend_name, said, scale
from msbench.report.plots.series import Lineup, and_others, in_order, others_of
from msbench.report.plots.style import INK, look, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def tuning(axes: "Axes", comparison: Comparison, who: Lineup, task: str) -> str:
    rows = [row for row in comparison.tuning if row["task"] == task and points_of(row)]
    told, others = [], others_of(rows, who)
    drawn = in_order(rows, who)
    options = dict.fromkeys(next(iter(row["searched"][0]["options"])) for row in rows)
    finite = [y for row in drawn or rows for _, y, _ in points_of(row) if math.isfinite(y)]
    curves_of = [[(x, y) for x, y, _ in points_of(row) if math.isfinite(y)] for row in others]
    behind(
        axes, [([x for x, _ in good], [y for _, y in good]) for good in curves_of], alone=not drawn
    )
    top = max(finite, default=1.0)
    for row in drawn:
        name, points, about = who.name(row), points_of(row), look(who.number(row))
        good = [(x, y) for x, y, _ in points if math.isfinite(y)]
        axes.plot([x for x, _ in good], [y for _, y in good], label=legend_name(name), **about)
        lost = [x for x, y, _ in points if not math.isfinite(y)]
        axes.plot(
            lost, [top] * len(lost), marker="x", linestyle="", color=about["color"], markersize=8
        )
        for x, y, won in points:
            if won and math.isfinite(y):
                axes.plot(
                    x, y, marker="*", markersize=15, markeredgecolor=INK, color=about["color"]
                )
                told.append(f"{said(name)} {digits(y)} at {digits(x)}")
    scale(axes, "x", [x for row in drawn or rows for x, _, _ in points_of(row)], most=5)
    scale(axes, "y", finite)
    axes.set_xlabel(short(" / ".join(options), 40))
    axes.set_ylabel("validation loss")
    return (
        f"Validation loss of a search on {said(task)} against {said(' / '.join(options))}; a "
        f"star is the winner, a cross at the top a point that did not end ok. Winners: "
        f"{', '.join(told)}{and_others(others)}."
    )


def points_of(row: Row) -> list[tuple[float, float, bool]]:
    """(value of the first searched option, validation loss, whether it won), in order."""
    points = []
    for each in row["searched"]:
        value = next(iter(each["options"].values()), None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            points.append((float(value), each["validation_loss"], each["point"] == row["point"]))
    return sorted(points)
