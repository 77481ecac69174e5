"""Score against the cost of decoding."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msbench.compare.labels import flattened, text_of
from msbench.compare.rows import AccuracyRow, Comparison, PartRow, StrategyKey
from msbench.report.format import grouped, number
from msbench.report.plots.axes import (
    annotate,
    columns,
    draw_in_grey,
    in_text,
    legend_name,
    one_machine,
    scale,
)
from msbench.report.plots.plot import Panel, Plot
from msbench.report.plots.series import MOST, Series, and_others
from msbench.report.plots.style import INK, look, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class DecoderRow(AccuracyRow):
    """What a decoder scored, and what it took."""

    milliseconds: float
    """Per example."""
    name: str
    """Of the plugin's decoder, whatever the suite calls it."""
    options: Mapping[str, Any]
    """Flat, as labels show them."""


def _draw(panel: Panel[DecoderRow]) -> str:
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


def _cost(row: DecoderRow) -> str:
    time = number(row["milliseconds"])
    return f"{in_text(row['decoder'])} {number(row['mean'])} in {time} ms"


def _draw_strategies(axes: "Axes", named: dict[str, list[DecoderRow]], series: Series) -> None:
    """A line per strategy and family; the decoders of the first strategy are named."""
    for name, points in named.items():
        line = look(series.names.index(name))
        label = legend_name(name)
        for _, members in families(points):
            axes.plot(*_line([row for _, row in members]), label=label, **line)
            label = ""  # a strategy has one entry in the legend
    for row in next(iter(named.values()), [])[:6]:
        annotate(axes, short(row["decoder"], 18), _point(row), (0, 7), 9, "center")


def _draw_families(axes: "Axes", rows: Sequence[DecoderRow]) -> None:
    """Of one strategy: a line per family with its numbers beside it, and points for the rest."""
    every = families(rows)
    lines = [family for family in every if len(family[1]) > 1][:MOST]
    for place, (name, members) in enumerate(lines):
        axes.plot(*_line([row for _, row in members]), label=legend_name(name), **look(place))
        for value, row in members:
            annotate(axes, short(value, 8), _point(row), (4, 4), 8)
    costs = [row["milliseconds"] for row in rows]
    middle = math.sqrt(min(costs) * max(costs))
    rest = [row for family in every if family not in lines for _, row in family[1]]
    for place, row in enumerate(rest):
        axes.plot(*_point(row), ".", color=INK, markersize=7)
        below = -12 - place % 2 * 10  # at two heights, so that neighbours stay apart
        align = "right" if row["milliseconds"] > middle else "left"
        annotate(axes, short(row["decoder"], 22), _point(row), (0, below), 8, align)


def _point(row: DecoderRow) -> tuple[float, float]:
    return row["milliseconds"], row["mean"]


def _line(rows: Sequence[DecoderRow]) -> tuple[list[float], list[float]]:
    return columns(rows, "milliseconds", "mean")


def _rows(comparison: Comparison) -> list[DecoderRow]:
    """Rows of the main metric, of tasks with two decoders, whose time is known."""
    scored = [row for row in comparison.accuracy if row["main"] and math.isfinite(row["mean"])]
    parts = grouped(comparison.parts, lambda part: (part["kind"], part["label"]))
    rows: list[DecoderRow] = []
    for of_task in grouped(scored, lambda row: row["task"]).values():
        for row, time in zip(of_task, _milliseconds(comparison, of_task), strict=True):
            if math.isfinite(time):
                alike = parts["decoder", row["decoder"]]
                name, options = alike[0]["name"], _common(alike)
                rows.append({**row, "milliseconds": time, "name": name, "options": options})
    tasks = grouped(rows, lambda row: row["task"])
    several = {t for t, alike in tasks.items() if len({row["decoder"] for row in alike}) > 1}
    return [row for row in rows if row["task"] in several]


def _milliseconds(comparison: Comparison, rows: Sequence[AccuracyRow]) -> list[float]:
    """Per example, of every row, all measured in one way: alone if that is known of all, or if
    nothing else is, else by trials side by side."""
    side_by_side = {
        (*StrategyKey.of(row), row["decoder"]): 1e3 * row["seconds"] / max(row["count"], 1)
        for row in one_machine(comparison.decoding)
    }
    alone = {
        (row["task"], row["model"], row["decoder"]): 1e3 / row["per_second"]
        for row in one_machine([row for row in comparison.throughput if row["decoder"]])
    }
    times = [alone.get((r["task"], r["model"], r["decoder"]), math.nan) for r in rows]
    others = [side_by_side.get((*StrategyKey.of(r), r["decoder"]), math.nan) for r in rows]
    mixed = any(map(math.isnan, times)) and any(map(math.isfinite, others))
    return others if mixed else times


def _common(parts: Sequence[PartRow]) -> dict[str, Any]:
    """The options that the decoders of one label share: on another task others may differ."""
    first, *others = (flattened(part["options"]) for part in parts)
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def families(rows: Sequence[DecoderRow]) -> list[tuple[str, list[tuple[str, DecoderRow]]]]:
    """Decoders that differ in one number only, as (name, [(the number as text, row), ...]).

    The number is the option with the most values among decoders of a name. A decoder without such
    a number is a family of its own.
    """
    alike = grouped(rows, lambda row: row["name"])
    varied = {name: _most_varied(of_name) for name, of_name in alike.items()}

    def shared(row: DecoderRow) -> tuple[str, ...]:
        option = varied[row["name"]]
        if not _is_number(row["options"].get(option)):
            return (row["decoder"],)
        return row["name"], text_of({**row["options"], option: None})

    found = list(grouped(rows, shared).values())
    lines = [members[0] for members in found if len(members) > 1]
    named = []
    for members in found:
        first, option = members[0], varied[members[0]["name"]]
        name = first["decoder"]
        if len(members) > 1:
            members.sort(key=lambda row: row["options"][option])
            others = [row["options"] for row in lines if row["name"] == first["name"]]
            apart = [
                f"{key}={value}"
                for key, value in first["options"].items()
                if key != option and any(other.get(key) != value for other in others)
            ]
            name = " ".join([first["name"], f"by {option}", *apart])
        named.append((name, [(str(row["options"].get(option, "")), row) for row in members]))
    return named


def _most_varied(rows: Sequence[DecoderRow]) -> str:
    """The number that differs most; "" if no option is a number."""
    values: dict[str, set[float]] = {}
    for row in rows:
        for name, value in row["options"].items():
            if _is_number(value):
                values.setdefault(name, set()).add(value)
    return max(values, key=lambda name: len(values[name]), default="")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


PLOT = Plot[DecoderRow](
    name="decoders",
    title="Score against the cost of decoding",
    caption="Each point is a decoder; a line joins those that differ in one number.",
    nothing="no task has two decoders whose time was measured",
    rows=_rows,
    draw=_draw,
)
