"""Score against the cost of decoding."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msbench.compare.rows import Comparison, Row
from msbench.report.format import grouped
from msbench.report.plots.axes import (
    annotate,
    columns,
    draw_in_grey,
    in_text,
    legend_name,
    one_machine,
    rounded,
    scale,
)
from msbench.report.plots.plot import Panel, Plot
from msbench.report.plots.series import MOST, Series, and_others
from msbench.report.plots.style import INK, look, short
from msbench.spec import AXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _draw(panel: Panel) -> str:
    axes, rows, series = panel.axes, panel.rows, panel.series
    strategies = grouped(sorted(rows, key=lambda row: row["milliseconds"]), series.name)
    named = {name: strategies[name] for name in series.names if name in strategies}
    others = [_line(points) for name, points in strategies.items() if name not in named]
    draw_in_grey(axes, others, alone=not named)
    if len(named) == 1:
        _draw_families(axes, *named.values())
    else:
        _draw_strategies(axes, named, series)
    scale(axes, "x", [row["milliseconds"] for row in rows])
    axes.margins(0.12, 0.12)
    axes.set_xlabel("milliseconds per example")
    axes.set_ylabel(short(rows[0]["metric"]))
    costs = "; ".join(
        f"{in_text(name)}: {', '.join(map(_cost, points))}" for name, points in named.items()
    )
    metric, task = in_text(rows[0]["metric"]), in_text(rows[0]["task"])
    return f"{metric} on {task} by decoder: {costs}{and_others(others)}."


def _cost(row: Row) -> str:
    time = rounded(row["milliseconds"])
    return f"{in_text(row['decoder'])} {rounded(row['mean'])} in {time} ms"


def _draw_strategies(axes: "Axes", named: dict[str, list[Row]], series: Series) -> None:
    """A line per strategy and family; the decoders of the first strategy are named."""
    for name, points in named.items():
        line = look(series.names.index(name))
        for number, (_, members) in enumerate(families(points)):
            label = "" if number else legend_name(name)
            axes.plot(*_line([row for _, row in members]), label=label, **line)
    for row in next(iter(named.values()), [])[:6]:
        annotate(axes, short(row["decoder"], 18), _point(row), (0, 7), 9, "center")


def _draw_families(axes: "Axes", rows: Sequence[Row]) -> None:
    """Of one strategy: a line per family with its numbers beside it, and points for the rest."""
    every = families(rows)
    lines = [family for family in every if len(family[1]) > 1][:MOST]
    for number, (name, members) in enumerate(lines):
        axes.plot(*_line([row for _, row in members]), label=legend_name(name), **look(number))
        for value, row in members:
            annotate(axes, short(value, 8), _point(row), (4, 4), 8)
    costs = [row["milliseconds"] for row in rows]
    middle = math.sqrt(min(costs) * max(costs))
    rest = [row for family in every if family not in lines for _, row in family[1]]
    for number, row in enumerate(rest):
        axes.plot(*_point(row), ".", color=INK, markersize=7)
        below = -12 - number % 2 * 10  # at two heights, so that neighbours stay apart
        align = "right" if row["milliseconds"] > middle else "left"
        annotate(axes, short(row["decoder"], 22), _point(row), (0, below), 8, align)


def _point(row: Row) -> tuple[float, float]:
    return row["milliseconds"], row["mean"]


def _line(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    return columns(rows, "milliseconds", "mean")


def _rows(comparison: Comparison) -> list[Row]:
    """Rows of the main metric with `milliseconds` per example, of tasks with two decoders: as
    throughput was measured alone, else as trials took side by side."""
    side_by_side = {
        _cell(row): 1e3 * row["seconds"] / max(row["count"], 1)
        for row in one_machine(comparison.decoding)
    }
    alone = {
        (row["task"], row["model"], row["decoder"]): 1e3 / row["per_second"]
        for row in one_machine([row for row in comparison.throughput if row["decoder"]])
    }
    rows: list[Row] = []
    decoders: dict[str, set[str]] = {}
    for row in comparison.accuracy:
        key = row["task"], row["model"], row["decoder"]
        time = alone.get(key, side_by_side.get(_cell(row), math.nan))
        if row["main"] and math.isfinite(row["mean"]) and math.isfinite(time):
            rows.append({**row, "milliseconds": time})
            decoders.setdefault(row["task"], set()).add(row["decoder"])
    return [row for row in rows if len(decoders[row["task"]]) > 1]


def _cell(row: Row) -> tuple[str, ...]:
    return tuple(row[axis] for axis in (*AXES, "decoder"))


def families(rows: Sequence[Row]) -> list[tuple[str, list[tuple[str, Row]]]]:
    """Decoders that differ in one number only, as (name, [(the number as text, row), ...]).

    Options are those in the decoders' labels; the number is the one with the most values among
    decoders of a name. A decoder without such a number is a family of its own.
    """
    parsed = [(row, *_options(row["decoder"])) for row in rows]
    values: dict[str, dict[str, set[str]]] = {}
    for _, name, options in parsed:
        for key, value in options.items():
            if _is_number(value):
                values.setdefault(name, {}).setdefault(key, set()).add(value)
    found: dict[str, list[tuple[str, Row]]] = {}
    for row, name, options in parsed:
        numbers = values.get(name, {})
        varied = max(numbers, key=lambda key: len(numbers[key]), default="")
        number = options.get(varied, "")
        by = [f"by {varied}"] if _is_number(number) else []
        rest = [f"{key}={value}" for key, value in options.items() if not by or key != varied]
        found.setdefault(" ".join([name, *by, *rest]), []).append((number if by else "", row))
    for members in found.values():
        members.sort(key=lambda member: float(member[0] or 0))
    return [
        (name if len(members) > 1 else members[0][1]["decoder"], members)
        for name, members in found.items()
    ]


def _options(decoder: str) -> tuple[str, dict[str, str]]:
    """`beam (width=4, length_penalty=0.0)` -> its name and options."""
    name, bracket, rest = decoder.partition(" (")
    pairs = [pair.partition("=") for pair in rest.removesuffix(")").split(", ")]
    if not bracket or not all(equals for _, equals, _ in pairs):
        return decoder, {}
    return name, {key: value for key, _, value in pairs}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


PLOT = Plot(
    name="decoders",
    title="Score against the cost of decoding",
    caption="Each point is a decoder; a line joins those that differ in one number.",
    nothing="no task has two decoders whose time was measured",
    rows=_rows,
    draw=_draw,
)
