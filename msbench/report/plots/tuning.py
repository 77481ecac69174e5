"""What a search looked at, such as the validation loss, against the option that was searched."""

import math

from msbench.compare.rows import Comparison, TuningRow
from msbench.report.format import grouped, number
from msbench.report.plots.axes import draw_in_grey, in_text, legend_name, scale
from msbench.report.plots.plot import Panel, Plot
from msbench.report.plots.series import and_others
from msbench.report.plots.style import INK, look, short


def _draw(panel: Panel[TuningRow]) -> str:
    axes, rows, series = panel.axes, panel.rows, panel.series
    named, others = series.split(rows)
    draw_in_grey(axes, [_line(row) for row in others], alone=not named)
    losses = [loss for row in named or rows for loss in _line(row)[1]]
    top = max(losses, default=1.0)
    winners = []
    for row in named:
        name, line = series.name(row), look(series.number(row))
        axes.plot(*_line(row), label=legend_name(name), **line)
        lost = [x for x, y, _ in _points(row) if not math.isfinite(y)]
        axes.plot(
            lost, [top] * len(lost), marker="x", linestyle="", color=line["color"], markersize=8
        )
        for x, y, won in _points(row):
            if won and math.isfinite(y):
                axes.plot(x, y, marker="*", markersize=15, markeredgecolor=INK, color=line["color"])
                winners.append(f"{in_text(name)} {number(y)} at {number(x)}")
    scale(axes, "x", [x for row in named or rows for x, _, _ in _points(row)], most=5)
    scale(axes, "y", losses)
    options = " / ".join(dict.fromkeys(next(iter(row["searched"][0]["options"])) for row in rows))
    axes.set_xlabel(short(options, 40))
    measured = rows[0]["metric"] or "validation loss"
    axes.set_ylabel(short(measured))
    what = "Validation loss" if not rows[0]["metric"] else in_text(measured)
    return (
        f"{what} of a search on {in_text(rows[0]['task'])} against {in_text(options)}; a "
        f"star is the winner, a cross at the top a point that did not end ok. Winners: "
        f"{', '.join(winners)}{and_others(others)}."
    )


def _rows(comparison: Comparison) -> list[TuningRow]:
    """Of each task the searches that looked at the same, such as most did; the tables have all."""
    tasks = grouped([row for row in comparison.tuning if _points(row)], lambda row: row["task"])
    chosen = []
    for rows in tasks.values():
        measures = [row["metric"] for row in rows]
        most = max(measures, key=measures.count)
        chosen += [row for row in rows if row["metric"] == most]
    return chosen


def _points(row: TuningRow) -> list[tuple[float, float, bool]]:
    """(value of the first searched option, what selects, whether it won), by value, and of one
    value as they were tried."""
    points = []
    for point in sorted(row["searched"], key=lambda point: point["point"]):
        value = next(iter(point["options"].values()), None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            won = point["point"] == row["point"]
            measured = point["score"] if row["metric"] else point["validation_loss"]
            points.append((float(value), measured, won))
    return sorted(points, key=lambda point: point[0])


def _line(row: TuningRow) -> tuple[list[float], list[float]]:
    """(values, what selects) of the points that ended ok: the first at each value, since a bracket
    tries other options where it has found the best."""
    first = {x: y for x, y, _ in reversed(_points(row)) if math.isfinite(y)}
    return sorted(first), [first[x] for x in sorted(first)]


PLOT = Plot[TuningRow](
    name="tuning",
    title="Tuning sensitivity",
    caption="Line: the first point at each value, before other options. Star: the winner, which "
    "ran again on new seeds. Cross at the top: did not end ok.",
    nothing="no learning rate or other number was searched",
    rows=_rows,
    draw=_draw,
)
