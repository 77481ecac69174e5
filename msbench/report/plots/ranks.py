"""Average ranks with their critical difference."""

import re
from typing import TYPE_CHECKING

from msbench.compare.rows import Comparison
from msbench.report.plots.axes import said
from msbench.report.plots.style import FAINT, INK, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def ranks(axes: "Axes", comparison: Comparison) -> str:
    rows = comparison.ranks
    letters = dict.fromkeys(re.findall(r"[a-z]\d*", "".join(row["group"] for row in rows)))
    for place, row in enumerate(rows):
        base = row["strategy"] == comparison.baseline
        axes.plot(row["average_rank"], place, marker="D" if base else "o", color=INK)
    right = max(row["average_rank"] for row in rows)
    gap = 0.04 * max(right, 1)
    for number, letter in enumerate(letters):
        mine = [
            place
            for place, row in enumerate(rows)
            if letter in re.findall(r"[a-z]\d*", row["group"])
        ]
        if len(mine) > 1:
            x = right + gap * (number + 1.5)
            axes.plot([x, x], [mine[0] - 0.2, mine[-1] + 0.2], color="#2382c8", linewidth=3.5)
    distance = rows[0]["critical_difference"]
    axes.plot([1, 1 + distance], [-1, -1], color=FAINT, marker="|", linewidth=1.2)
    axes.annotate(
        f"critical difference {distance:.2f}", (1, -1), (0, 5), textcoords="offset points",
        fontsize=9,
    )  # fmt: skip
    axes.set_yticks(range(len(rows)), [short(row["strategy"]) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -1.9)
    axes.set_xlabel("average rank (1 is best)")
    told = ", ".join(f"{said(row['strategy'])} {row['average_rank']:.2f}" for row in rows)
    return (
        f"Average ranks over {rows[0]['tasks']} tasks, the best first: {told}. Ranks that differ "
        f"by less than {distance:.2f} are joined by a bar: they are not told apart."
    )
