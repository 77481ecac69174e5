"""Comparison -> what pictures are of: rows that have a score and a cost, or points of a search."""

import math
from collections.abc import Sequence

from msbench.labels import AXES
from msbench.spec import Comparison, Row

PLAIN = ("greedy", "argmax")
"""Decoders that stand for a task where one must."""


def costed(comparison: Comparison) -> list[Row]:
    """Rows of the main metric, of one decoder a task, that have a score and a cost."""
    main = [
        row
        for row in comparison.accuracy
        if row["main"] and not math.isnan(row["mean"]) and cost_of([row])[0]
    ]
    decoders: dict[str, list[str]] = {}
    for row in main:
        decoders.setdefault(row["task"], []).append(row["decoder"])
    chosen = {
        task: next((plain for plain in PLAIN if plain in there), min(there))
        for task, there in decoders.items()
    }
    return [row for row in main if row["decoder"] == chosen[row["task"]]]


def cost_of(rows: Sequence[Row]) -> tuple[str, str]:
    """(column, what it is called) of the cost that all rows have: of several machines passes."""
    for column, unit in (("train_seconds", "training seconds"), ("passes", "passes")):
        if all(math.isfinite(row.get(column, math.nan)) for row in rows):
            return column, unit
    return "", ""


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
        key = tuple(row[a] for a in (*AXES, "decoder"))
        time = alone.get((row["task"], row["model"], row["decoder"]), took.get(key, math.nan))
        if row["main"] and math.isfinite(row["mean"]) and math.isfinite(time):
            rows.append({**row, "milliseconds": time})
    several = {row["task"] for row in rows if any(_rivals(row, other) for other in rows)}
    return [row for row in rows if row["task"] in several]


def _rivals(one: Row, other: Row) -> bool:
    return bool(one["task"] == other["task"] and one["decoder"] != other["decoder"])


def points_of(row: Row) -> list[tuple[float, float, bool]]:
    """(value of the first searched option, validation loss, whether it won), in order."""
    points = []
    for each in row["searched"]:
        value = next(iter(each["options"].values()), None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            points.append((float(value), each["validation_loss"], each["point"] == row["point"]))
    return sorted(points)


def one_machine(rows: Sequence[Row]) -> list[Row]:
    """Of the machine with the most rows: times of several are not comparable."""
    machines = [row["machine"] for row in rows]
    most = max(sorted(set(machines)), key=machines.count, default="")
    return [row for row in rows if row["machine"] == most]


def pareto_front(rows: Sequence[Row], cost: str, lower_is_better: bool) -> list[Row]:
    """The rows of complete strategies that no other beats in both cost and mean, cheapest first."""
    sign = 1 if lower_is_better else -1
    front: list[Row] = []
    for row in sorted(rows, key=lambda r: (r[cost], sign * r["mean"])):
        better = not front or sign * row["mean"] < sign * front[-1]["mean"]
        if better and row["n_ok"] == row["n"]:
            front.append(row)
    return front


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
