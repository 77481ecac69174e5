"""Performance profiles over tasks and seeds."""

from msbench.compare.rows import ProfileRow
from msbench.report.format import grouped
from msbench.report.plots.axes import columns, draw_in_grey, in_text, legend_name
from msbench.report.plots.plot import Panel, Plot
from msbench.report.plots.series import and_others
from msbench.report.plots.style import look, short


def _draw(panel: Panel[ProfileRow]) -> str:
    axes, rows, series = panel.axes, panel.rows, panel.series
    strategies = grouped(rows, lambda row: row["strategy"])
    others = [
        columns(points, "tau", "share")
        for name, points in strategies.items()
        if name not in series.names
    ]
    draw_in_grey(axes, others, alone=True, drawstyle="steps-post")
    shares = []
    for number, name in enumerate(series.names):
        if name in strategies:
            points = strategies[name]
            x, y = columns(points, "tau", "share")
            axes.plot(x, y, label=legend_name(name), drawstyle="steps-post", **look(number))
            nearest = min(points, key=lambda row: abs(row["tau"] - 1))
            shares.append(f"{in_text(name)} {nearest['share']:.0%}")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(f"passes, as multiples of those of {short(series.baseline)}")
    axes.set_ylabel("share of problems solved")
    return (
        f"Share of tasks and seeds that reached the target within so many times the passes of "
        f"{in_text(series.baseline)}; within the same passes: {', '.join(shares)}"
        f"{and_others(others)}."
    )


PLOT = Plot[ProfileRow](
    name="profile",
    title="Performance profile",
    caption="Share of tasks and seeds that reach the target within so many times the passes of "
    "the baseline; the table has intervals.",
    nothing="profiles need a target that training can reach, and are not made by decoder",
    rows=lambda comparison: comparison.profiles,
    draw=_draw,
    over_tasks=True,
)
