"""A panel about one task: what is drawn on its axes, and the same in words and numbers."""

import math
from typing import TYPE_CHECKING, Any

from msbench.canvas import FAINT, INK, look, short
from msbench.lineup import MOST, Lineup
from msbench.points import cost_of, costed, decoded, families, one_machine, pareto_front, points_of
from msbench.sketch import (
    and_others,
    behind,
    columns,
    digits,
    in_order,
    legend_name,
    others_of,
    said,
    scale,
)
from msbench.spec import Comparison, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(axes: "Axes", comparison: Comparison, who: Lineup, task: str, along: str) -> str:
    every = [row for row in comparison.curves if row["task"] == task]
    rows = one_machine(every)
    where = f" on {said(rows[0]['machine'])}" if len(rows) < len(every) else ""
    told, drawn, others = [], in_order(rows, who), others_of(rows, who)
    behind(axes, [(row[along], row["validation_loss"]) for row in others], alone=not drawn)
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
        first, last = (f"{digits(y[at])} at {digits(x[at])}" for at in (0, -1))
        told.append(f"{said(who.name(row))} {first} to {last}")
    scale(axes, "y", [value for row in drawn or others for value in row["lowest"] + row["highest"]])
    axes.set_xlabel("training seconds" if along == "seconds" else along)
    axes.set_ylabel("validation loss")
    seeds = max((row["n_ok"] for row in rows), default=0)
    return (
        f"Median validation loss on {said(task)}{where} against {along}, from the first "
        f"measurement to the last; the band is the lowest to the highest of up to {seeds} seeds: "
        f"{'; '.join(told)}{and_others(others)}."
    )


def pareto(axes: "Axes", comparison: Comparison, who: Lineup, task: str) -> str:
    rows = [row for row in costed(comparison) if row["task"] == task]
    cost, unit = cost_of(rows)
    lower = rows[0]["lower_is_better"]
    drawn, others = in_order(rows, who), others_of(rows, who)
    points = [columns([row], cost, "mean") for row in others]
    behind(axes, points, alone=not drawn, marker=".", linestyle="")
    for row in drawn:
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
    scale(axes, "x", [row[cost] for row in (*drawn, *front)] or [row[cost] for row in rows])
    axes.set_xlabel(unit)
    axes.set_ylabel(f"{short(rows[0]['metric'])} ({'lower' if lower else 'higher'} is better)")
    best = ", ".join(
        f"{said(who.name(row))} {digits(row['mean'])} for {digits(row[cost])}" for row in front
    )
    return (
        f"{said(rows[0]['metric'])} on {said(task)} by {said(rows[0]['decoder'])} against "
        f"{unit}, {len(rows)} strategies, bars are 95 % intervals. "
        f"No other is both cheaper and better than: {best}{and_others(others)}."
    )


def ladder(axes: "Axes", comparison: Comparison, who: Lineup, task: str) -> str:
    rows = [row for row in decoded(comparison) if row["task"] == task]
    told: list[str] = []
    by_name: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["milliseconds"]):
        by_name.setdefault(who.name(row), []).append(row)
    others = [steps for name, steps in by_name.items() if name not in who.names]
    behind(
        axes,
        [columns(steps, "milliseconds", "mean") for steps in others],
        alone=not set(by_name) & set(who.names),
    )
    drawn = [name for name in who.names if name in by_name]
    for name in drawn:
        steps = by_name[name]
        if len(drawn) == 1:
            _families(axes, steps)
        else:
            about = look(who.number(steps[0]))
            for number, (_, family) in enumerate(families(steps)):
                x, y = columns([row for _, row in family], "milliseconds", "mean")
                axes.plot(x, y, label="" if number else legend_name(name), **about)
        told.append(
            f"{said(name)}: "
            + ", ".join(
                f"{said(r['decoder'])} {digits(r['mean'])} in {digits(r['milliseconds'])} ms"
                for r in steps
            )
        )
    if len(drawn) > 1:
        for row in by_name[drawn[0]][:6]:
            axes.annotate(
                short(row["decoder"], 18), (row["milliseconds"], row["mean"]), (0, 7),
                textcoords="offset points", ha="center", fontsize=9,
            )  # fmt: skip
    scale(axes, "x", [row["milliseconds"] for row in rows])
    axes.margins(0.12, 0.12)
    axes.set_xlabel("milliseconds per example")
    axes.set_ylabel(short(rows[0]["metric"]))
    metric = said(rows[0]["metric"])
    return f"{metric} on {said(task)} by decoder: {'; '.join(told)}{and_others(others)}."


def _families(axes: "Axes", steps: list[Row]) -> None:
    """Of one strategy of training: a line per family of decoders, and their numbers beside it."""
    ladders = [each for each in families(steps) if len(each[1]) > 1][:MOST]
    lines = [name for name, _ in ladders]
    for number, (name, family) in enumerate(ladders):
        x, y = columns([row for _, row in family], "milliseconds", "mean")
        axes.plot(x, y, label=legend_name(name), **look(number))
        for rung, row in family:
            axes.annotate(
                short(rung, 8), (row["milliseconds"], row["mean"]), (4, 4),
                textcoords="offset points", fontsize=8,
            )  # fmt: skip
    costs = [row["milliseconds"] for row in steps]
    middle = math.sqrt(min(costs) * max(costs))
    for _, row in (
        pair for name, family in families(steps) if name not in lines for pair in family
    ):
        axes.plot(row["milliseconds"], row["mean"], ".", color=INK, markersize=7)
        place, beside = (row["milliseconds"], row["mean"]), (0, -12 - number % 2 * 10)
        axes.annotate(
            short(row["decoder"], 22), place, beside, textcoords="offset points", fontsize=8,
            ha="right" if row["milliseconds"] > middle else "left",
        )  # fmt: skip


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


def _ends(row: Row) -> Any:
    return [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
