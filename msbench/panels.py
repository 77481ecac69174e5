"""One panel of a picture: what is drawn on its axes, and the same said in words and numbers."""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msbench.canvas import FAINT, INK, look, short
from msbench.lineup import Lineup
from msbench.points import cost_of, costed, decoded, one_machine, pareto_front, points_of
from msbench.spec import Comparison, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(axes: "Axes", comparison: Comparison, who: Lineup, task: str, along: str) -> str:
    rows = one_machine([row for row in comparison.curves if row["task"] == task])
    told, drawn = [], _in_order(rows, who)
    for row in drawn:
        about = look(who.number(row))
        x, y = row[along], row["validation_loss"]
        axes.plot(x, y, label=legend_name(who.name(row)), **about)
        if row["n_ok"] > 1:
            axes.fill_between(
                x,
                row["lowest"],
                row["highest"],
                color=about["color"],
                alpha=0.15 if len(drawn) < 5 else 0.08,
                linewidth=0,
            )
        told.append(
            f"{_said(who.name(row))} {_n(y[0])} at {_n(x[0])} to {_n(y[-1])} at {_n(x[-1])}"
        )
    _scale(axes, "y", [value for row in drawn for value in row["lowest"] + row["highest"]])
    axes.set_xlabel("training seconds" if along == "seconds" else along)
    axes.set_ylabel("validation loss")
    seeds = max((row["n_ok"] for row in rows), default=0)
    return (
        f"Median validation loss on {_said(task)} against {along}, from the first measurement to "
        f"the last; the band is the lowest to the highest of up to {seeds} seeds: "
        f"{'; '.join(told)}."
    )


def pareto(axes: "Axes", comparison: Comparison, who: Lineup, task: str) -> str:
    rows = [row for row in costed(comparison) if row["task"] == task]
    cost, unit = cost_of(rows)
    lower = rows[0]["lower_is_better"]
    others = [row for row in rows if who.number(row) < 0]
    if others:
        axes.plot(
            [row[cost] for row in others],
            [row["mean"] for row in others],
            color=FAINT,
            marker=".",
            linestyle="",
            label=f"{len(others)} others",
        )
    for row in _in_order(rows, who):
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
    _scale(axes, "x", [row[cost] for row in rows])
    axes.set_xlabel(unit)
    axes.set_ylabel(f"{short(rows[0]['metric'])} ({'lower' if lower else 'higher'} is better)")
    best = ", ".join(
        f"{_said(who.name(row))} {_n(row['mean'])} for {_n(row[cost])}" for row in front
    )
    return (
        f"{_said(rows[0]['metric'])} on {_said(task)} by {_said(rows[0]['decoder'])} against "
        f"{unit}, {len(rows)} strategies, bars are 95 % intervals. "
        f"No other is both cheaper and better than: {best}."
    )


def profile(axes: "Axes", comparison: Comparison, who: Lineup) -> str:
    told = []
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
        told.append(f"{_said(name)} {at['share']:.0%}")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(f"passes, as multiples of those of {short(comparison.baseline)}")
    axes.set_ylabel("share of problems solved")
    return (
        f"Share of tasks and seeds that reached the target within so many times the passes of "
        f"{_said(comparison.baseline)}; within the same passes: {', '.join(told)}."
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
    told = ", ".join(f"{_said(row['strategy'])} {row['average_rank']:.2f}" for row in rows)
    return (
        f"Average ranks over {rows[0]['tasks']} tasks, the best first: {told}. Ranks that differ "
        f"by less than {distance:.2f} are joined by a bar: they are not told apart."
    )


def ladder(axes: "Axes", comparison: Comparison, who: Lineup, task: str) -> str:
    rows = [row for row in decoded(comparison) if row["task"] == task]
    told: list[str] = []
    for name in dict.fromkeys(who.name(row) for row in _in_order(rows, who)):
        steps = sorted((r for r in rows if who.name(r) == name), key=lambda r: r["milliseconds"])
        x, y = [row["milliseconds"] for row in steps], [row["mean"] for row in steps]
        axes.plot(x, y, label=legend_name(name), **look(who.number(steps[0])))
        if not told:
            for row in steps[:6]:
                axes.annotate(
                    short(row["decoder"], 18), (row["milliseconds"], row["mean"]), (0, 7),
                    textcoords="offset points", ha="center", fontsize=9,
                )  # fmt: skip
        pairs = zip(steps, x, y, strict=True)
        told.append(
            f"{_said(name)}: "
            + ", ".join(f"{_said(r['decoder'])} {_n(b)} in {_n(a)} ms" for r, a, b in pairs)
        )
    _scale(axes, "x", [row["milliseconds"] for row in rows])
    axes.margins(0.12, 0.12)
    axes.set_xlabel("milliseconds per example")
    axes.set_ylabel(short(rows[0]["metric"]))
    return f"{_said(rows[0]['metric'])} on {_said(task)} by decoder: {'; '.join(told)}."


def tuning(axes: "Axes", comparison: Comparison, who: Lineup, task: str) -> str:
    rows = [row for row in comparison.tuning if row["task"] == task and points_of(row)]
    told, option = [], ""
    finite = [y for row in _in_order(rows, who) for _, y, _ in points_of(row) if math.isfinite(y)]
    top = max(finite, default=1.0)
    for row in _in_order(rows, who):
        name, points, about = who.name(row), points_of(row), look(who.number(row))
        option = next(iter(row["searched"][0]["options"]))
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
                told.append(f"{_said(name)} {_n(y)} at {_n(x)}")
    _scale(axes, "x", [x for row in rows for x, _, _ in points_of(row)], most=5)
    _scale(axes, "y", finite)
    axes.set_xlabel(short(option))
    axes.set_ylabel("validation loss")
    return (
        f"Validation loss of a search on {_said(task)} against {_said(option)}; a star is the "
        f"winner, a cross at the top a trial that did not end ok. Winners: {', '.join(told)}."
    )


def _in_order(rows: Sequence[Row], who: Lineup) -> list[Row]:
    return sorted((row for row in rows if who.number(row) >= 0), key=who.number)


def _ends(row: Row) -> Any:
    return [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]


def _scale(axes: "Axes", which: str, values: Sequence[float], most: float = 10) -> None:
    """Logarithmic where values are positive and differ by more than `most` times."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    known = [value for value in values if math.isfinite(value)]
    if known and min(known) > 0 and max(known) > most * min(known):
        axis = getattr(axes, f"{which}axis")
        getattr(axes, f"set_{which}scale")("log")
        wide = max(known) > 50 * min(known)
        axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _said(name: str) -> str:
    return short(name, 60)


def _n(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def legend_name(name: str) -> str:
    """A name as legends have it: matplotlib leaves out what starts with an underscore."""
    return "\N{FULLWIDTH LOW LINE}" + short(name)[1:] if name[:1] == "_" else short(name)
