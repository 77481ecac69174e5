"""Differences to the baseline with their intervals, margins, seeds and verdicts: a forest plot."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msbench.compare.rows import AccuracyRow, Comparison
from msbench.report.findings import contests
from msbench.report.format import difference_of, number
from msbench.report.plots.axes import in_text
from msbench.report.plots.plot import Panel, Plot
from msbench.report.plots.series import choose_series, count_others
from msbench.report.plots.style import COLOURS, FAINT, GRID, INK, short

MOST = 40
"""Strategies of one comparison that are drawn, the best ones."""

BELOW = 0.25
"""Of the height of a row: where dots of seeds are, so that no line hides them."""

WITHIN = "within the margin"

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "better": {"marker": "^", "color": COLOURS[2]},
    "worse": {"marker": "v", "color": COLOURS[1]},
    WITHIN: {"marker": "s", "color": COLOURS[0]},
    "undecided": {"marker": "o", "color": INK},
}
"""Shape and colour of each verdict; equivalent is within the margin."""


class VerdictRow(AccuracyRow):
    """A strategy, its verdict, and what is drawn beside it."""

    strategy: str
    base: str
    seed_differences: Sequence[float]
    """To the baseline, of every seed that both have."""
    left_out: int
    """How many of its comparison are not drawn."""


def _rows(comparison: Comparison) -> list[VerdictRow]:
    series = choose_series(comparison)
    found = []
    for rows in contests(comparison):
        base = next((row for row in rows if row["baseline"]), None)
        if base is None:
            continue
        others = [row for row in rows if not row["baseline"] and row["pairs"]]
        for row in others[:MOST]:
            name = row["decoder"] if comparison.by == "decoder" else series.name(row)
            pairs = zip(row["by_seed"], base["by_seed"], strict=True)
            seeds = [mine - its for mine, its in pairs if not math.isnan(mine - its)]
            found.append(
                VerdictRow(
                    **row,
                    strategy=name,
                    base=base[comparison.by],
                    seed_differences=seeds,
                    left_out=max(0, len(others) - MOST),
                )
            )
    return found


def _draw(panel: Panel[VerdictRow]) -> str:
    axes, rows = panel.axes, panel.rows
    for place, row in enumerate(rows):
        if row["margin"] > 0:
            margin, height = row["margin"], [place - 0.5, place + 0.5]
            axes.fill_betweenx(height, -margin, margin, color=GRID, linewidth=0, label="margin")
        _draw_row(panel, place, row)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(rows)), [short(row["strategy"]) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    first = rows[0]
    worth = ", less is better" if first["lower_is_better"] else ""
    axes.set_xlabel(f"{short(first['metric'])} against {short(first['base'], 16)}{worth}")
    told = "; ".join(
        f"{in_text(row['strategy'])} {difference_of(row)} {row['verdict']}" for row in rows
    )
    left = f"; and {count_others(first['left_out'])} in the tables" if first["left_out"] else ""
    width = f" The margin is {number(first['margin'])}." if first["margin"] > 0 else ""
    return (
        f"Differences to {in_text(first['base'])} in {first['metric']} on {first['task']}, with "
        f"95 % intervals: {told}{left}.{width}"
    )


def _draw_row(panel: Panel[VerdictRow], place: int, row: VerdictRow) -> None:
    word = row["verdict"] if row["verdict"] in LOOKS else WITHIN
    look, axes = LOOKS[word], panel.axes
    seeds = row["seed_differences"]
    axes.plot(
        seeds,
        [place + BELOW] * len(seeds),
        ".",
        color=FAINT,
        alpha=0.6,
        markersize=5,
        label="a seed",
    )
    if not math.isnan(row["difference_low"]):
        ends = [row["difference_low"], row["difference_high"]]
        axes.plot(ends, [place, place], color=look["color"], linewidth=1.8)
    axes.plot(row["difference"], place, linestyle="", markersize=7, label=word, **look)


PLOT = Plot[VerdictRow](
    name="verdicts",
    title="Verdicts",
    caption="Difference to the baseline with its 95 % interval. Shaded: differences that do not "
    "matter. Dots: single seeds. Verdicts are adjusted for the number of strategies, intervals are "
    "not.",
    nothing="no strategy shares a seed with a baseline that it can be compared with",
    rows=_rows,
    draw=_draw,
    names_beside=True,
    more_in_legend=len(LOOKS) + 2,
)
