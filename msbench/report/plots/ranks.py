"""Average ranks over tasks with their critical difference."""

import re

from msbench.compare.rows import RankRow
from msbench.report.plots.axes import annotate, in_text
from msbench.report.plots.plot import Panel, Plot
from msbench.report.plots.style import COLOURS, FAINT, INK, short


def _draw(panel: Panel[RankRow]) -> str:
    axes, rows, series = panel.axes, panel.rows, panel.series
    for place, row in enumerate(rows):
        marker = "D" if row["strategy"] == series.baseline else "o"
        axes.plot(row["average_rank"], place, marker=marker, color=INK)
    right = max(row["average_rank"] for row in rows)
    gap = 0.04 * max(right, 1)
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        for letter in re.findall(r"[a-z]\d*", row["group"]):
            groups.setdefault(letter, []).append(place)
    for number, places in enumerate(groups.values()):
        if len(places) > 1:
            x = right + gap * (number + 1.5)
            bar = [places[0] - 0.2, places[-1] + 0.2]
            axes.plot([x, x], bar, color=COLOURS[0], linewidth=3.5)
    distance = rows[0]["critical_difference"]
    axes.plot([1, 1 + distance], [-1, -1], color=FAINT, marker="|", linewidth=1.2)
    annotate(axes, f"critical difference {distance:.2f}", (1, -1), (0, 5), 9)
    axes.set_yticks(range(len(rows)), [short(row["strategy"]) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -1.9)
    axes.set_xlabel("average rank (1 is best)")
    ranks = ", ".join(f"{in_text(row['strategy'])} {row['average_rank']:.2f}" for row in rows)
    return (
        f"Average ranks over {rows[0]['tasks']} tasks, the best first: {ranks}. Ranks that differ "
        f"by less than {distance:.2f} are joined by a bar: they are not told apart."
    )


PLOT = Plot[RankRow](
    name="ranks",
    title="Critical differences of ranks",
    caption="Strategies joined by a bar are not told apart (Nemenyi, 5 %). Diamond: the baseline.",
    nothing="ranks need two tasks and three strategies that ran on all of them, all tuned",
    rows=lambda comparison: comparison.ranks,
    draw=_draw,
    over_tasks=True,
    names_beside=True,
)
