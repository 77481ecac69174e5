"""Performance profiles over tasks and seeds."""

from typing import TYPE_CHECKING

from msbench.compare.rows import Comparison
from msbench.report.plots.axes import behind, columns, legend_name, said
from msbench.report.plots.series import Lineup, and_others
from msbench.report.plots.style import look, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def profile(axes: "Axes", comparison: Comparison, who: Lineup) -> str:
    told = []
    names = dict.fromkeys(row["strategy"] for row in comparison.profiles)
    others = [
        [row for row in comparison.profiles if row["strategy"] == name]
        for name in names
        if name not in who.names
    ]
    behind(axes, [columns(r, "tau", "share") for r in others], alone=True, drawstyle="steps-post")
    for number, name in enumerate(who.names):
        rows = [row for row in comparison.profiles if row["strategy"] == name]
        if not rows:
            continue
        axes.plot(
            [row["tau"] for row in rows],
            [row["share"] for row in rows],
            label=legend_name(name),
            drawstyle="steps-post",
            **look(number),
        )
        at = min(rows, key=lambda row: abs(row["tau"] - 1))
        told.append(f"{said(name)} {at['share']:.0%}")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(f"passes, as multiples of those of {short(comparison.baseline)}")
    axes.set_ylabel("share of problems solved")
    return (
        f"Share of tasks and seeds that reached the target within so many times the passes of "
        f"{said(comparison.baseline)}; within the same passes: {', '.join(told)}"
        f"{and_others(others)}."
    )
