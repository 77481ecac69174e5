"""Score against the cost of decoding."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msbench.compare.rows import Comparison, Row
from msbench.report.plots.axes import behind, columns, digits, legend_name, one_machine, said, scale
from msbench.report.plots.series import MOST, Lineup, and_others
from msbench.report.plots.style import INK, look, short
from msbench.spec import AXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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


def decoded(comparison: Comparison) -> list[Row]:
    """Rows of the main metric with `milliseconds` an example, of tasks with two decoders: measured
    alone if they were, else while trials ran side by side."""
    took: dict[tuple[str, ...], float] = {}
    for row in one_machine(comparison.decoding):
        key = tuple(row[axis] for axis in AXES)
        took[(*key, row["decoder"])] = 1e3 * row["seconds"] / max(row["count"], 1)
    alone = {
        (row["task"], row["model"], row["decoder"]): 1e3 / row["per_second"]
        for row in one_machine([row for row in comparison.throughput if row["decoder"]])
    }
    rows = []
    for row in comparison.accuracy:
        key = (*(row[axis] for axis in AXES), row["decoder"])
        time = alone.get((row["task"], row["model"], row["decoder"]), took.get(key, math.nan))
        if row["main"] and math.isfinite(row["mean"]) and math.isfinite(time):
            rows.append({**row, "milliseconds": time})
    several = {row["task"] for row in rows if any(_rivals(row, other) for other in rows)}
    return [row for row in rows if row["task"] in several]


def _rivals(one: Row, other: Row) -> bool:
    return bool(one["task"] == other["task"] and one["decoder"] != other["decoder"])


def families(rows: Sequence[Row]) -> list[tuple[str, list[tuple[str, Row]]]]:
    """Decoders that differ in one number only, as (name, [(the number as text, row), ...]).

    Told by the options in their labels; the number is the one that differs most within a name. One
    without such a number is a family of its own.
    """
    told = [(row, *_options(row["decoder"])) for row in rows]
    values: dict[str, dict[str, set[str]]] = {}
    for _, name, options in told:
        for key, value in options.items():
            if _is_number(value):
                values.setdefault(name, {}).setdefault(key, set()).add(value)
    found: dict[str, list[tuple[str, Row]]] = {}
    for row, name, options in told:
        numbers = values.get(name, {})
        rung = max(numbers, key=lambda key: len(numbers[key]), default="")
        rest = [f"{key}={value}" for key, value in options.items() if key != rung]
        where = " ".join([name, *([f"by {rung}"] if rung else []), *rest])
        found.setdefault(where, []).append((options.get(rung, ""), row))
    for each in found.values():
        each.sort(key=lambda pair: float(pair[0] or 0))
    alone = {where: each[0][1]["decoder"] for where, each in found.items() if len(each) == 1}
    return [(alone.get(where, where), each) for where, each in found.items()]


def _options(decoder: str) -> tuple[str, dict[str, str]]:
    """`beam (width=4, length_penalty=0.0)` -> its name and options."""
    name, bracket, rest = decoder.partition(" (")
    pairs = [each.partition("=") for each in rest.removesuffix(")").split(", ")]
    if not bracket or not all(equals for _, equals, _ in pairs):
        return decoder, {}
    return name, {key: value for key, _, value in pairs}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
