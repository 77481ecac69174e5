"""Comparison -> sentences: what a hurried reader should take home."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from msbench.compare.rows import Comparison, Row
from msbench.report.format import interval, number, p_value, varies
from msbench.spec import DETAILS

WORDS = ("better", "worse", "equivalent", "not shown", "")
"""Verdicts in the order they are told in; the last is none."""


MARKS = {"better": "▲", "worse": "▼", "equivalent": "≈", "not shown": "·", "": "–"}
"""A sign for each, so that no colour is needed."""


PLURALS = {"loss": "losses"}


@dataclass(frozen=True)
class Finding:
    """One strategy in one comparison."""

    verdict: str
    """One of WORDS."""
    sentence: str


@dataclass(frozen=True)
class Findings:
    """What one comparison found: strategies that are equal but for what is compared."""

    title: str
    baseline: str
    """A sentence about the baseline."""
    others: Sequence[Finding]


def findings(comparison: Comparison) -> list[Findings]:
    """One for each task, shown metric and whatever else is equal; in it the verdicts in the order
    of WORDS, the best first."""
    shown = [row for row in comparison.accuracy if row["primary"]]
    around = [axis for axis in (*DETAILS, "optimizer") if varies(shown, axis)]
    axes = [axis for axis in (*around, "decoder") if axis != comparison.by]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in shown:
        key = (row["task"], row["metric"], *(row[axis] for axis in axes))
        groups.setdefault(key, []).append(row)
    return [_findings(comparison, key, rows) for key, rows in groups.items()]


def _findings(comparison: Comparison, key: Sequence[str], rows: Sequence[Row]) -> Findings:
    task, metric, *around = key
    base = next((row for row in rows if row["baseline"]), None)
    told = "The baseline was not run on these." if base is None else _alone(base, comparison.by)
    others = [
        Finding(row["verdict"], _sentence(row, base, comparison.by))
        for row in rows
        if row is not base
    ]
    others.sort(key=lambda finding: WORDS.index(finding.verdict))
    return Findings(f"{task}: {', '.join((metric, *around))}", told, others)


def _alone(row: Row, by: str) -> str:
    if not row["n_ok"]:
        return f"{row[by]}: no trial ended ok ({row['status']})."
    if math.isnan(row["mean"]):
        return f"{row[by]}: no trial that ended ok gave a number."
    return f"{row[by]}: {interval(row['mean'], row['low'], row['high'])}{_lost(row)}."


def _sentence(row: Row, base: Row | None, by: str) -> str:
    if base is None or not row["verdict"] or math.isnan(row["difference"]):
        return _alone(row, by)
    size = interval(row["difference"], row["difference_low"], row["difference_high"], "+")
    p = "" if math.isnan(row["p_adjusted"]) else f", p {p_value(row['p_adjusted'])}"
    mean, its = (interval(each["mean"], math.nan, math.nan) for each in (row, base))
    means = f"{mean} against {its}, {size}{p}{_lost(row)}"
    name, other = row[by], base[by]
    if row["verdict"] in ("better", "worse"):
        return f"{name} is {row['verdict']} than {other}: {means}."
    if row["verdict"] == "equivalent":
        return f"{name} is equivalent to {other} (within {number(row['margin'])}): {means}."
    least = row["detectable"]
    sees = (
        f"; these seeds see a difference of {number(least)}"
        if math.isfinite(least)
        else "; too few seeds to see any"
    )
    return f"{name} is not shown to differ from {other}: {means}{sees}."


def _lost(row: Row) -> str:
    return "" if row["n_ok"] == row["n"] else f", {row['n_ok']} of {row['n']} trials ended ok"


def summary(comparison: Comparison) -> list[str]:
    """A few sentences about all of it."""
    shown = [row for row in comparison.accuracy if row["primary"]]
    tasks = {row["task"] for row in shown}
    names = {row[comparison.by] for row in shown}
    seeds = max((row["n"] for row in shown), default=0)
    counts = Counter(row["verdict"] for row in shown if row["verdict"])
    told = ", ".join(f"{counts[word]} {word}" for word in WORDS[:-1])
    lines = [
        f"{_many(len(names), comparison.by)} on {_many(len(tasks), 'task')}, up to "
        f"{_many(seeds, 'seed')} each.",
        f"Verdicts against {comparison.baseline}: {told}."
        if counts
        else f"No verdict against {comparison.baseline} can be given.",
    ]
    if comparison.ranks:
        first = comparison.ranks[0]
        lines.append(
            f"Best average rank over {first['tasks']} tasks: {first['strategy']}, "
            f"{first['average_rank']:.2f}; ranks closer than "
            f"{first['critical_difference']:.2f} are not told apart "
            f"(Friedman p {p_value(first['p'])})."
        )
    lost = sum(len(row["seeds"]) for row in comparison.failures if row["stage"] == "trial")
    lines.append(f"{_many(lost, 'trial')} did not end ok." if lost else "Every trial ended ok.")
    return lines


def _many(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else PLURALS.get(noun, f'{noun}s')}"
