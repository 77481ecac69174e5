"""A panel about all tasks: performance profiles, and ranks with their critical difference."""

import re
from typing import TYPE_CHECKING

from msbench.canvas import FAINT, INK, look, short
from msbench.lineup import Lineup
from msbench.sketch import (
    and_others,
    behind,
    columns,
    legend_name,
    said,
)
from msbench.spec import Comparison

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
