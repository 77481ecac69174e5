"""Comparison -> sentences: what a hurried reader should take home."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from msbench.compare.rows import AccuracyRow, Comparison
from msbench.compare.yardsticks import headlines
from msbench.report.format import (
    difference_of,
    grouped,
    interval,
    mean_of,
    number,
    probability,
    stopped,
    undecided,
    varies,
)
from msbench.spec import COLUMNS, Compared

MARKS = {
    "better": "▲",
    "worse": "▼",
    "better within the margin": "△",
    "worse within the margin": "▽",
    "equivalent": "≈",
    "undecided": "·",
    "": "–",
}
"""A sign for each verdict, so that no colour is needed, in the order they are told in; the last is
that of none."""


@dataclass(frozen=True)
class Finding:
    """One strategy in one comparison."""

    verdict: str
    """One of MARKS."""
    sentence: str


@dataclass(frozen=True)
class Findings:
    """What one comparison found: strategies that are equal but for what is compared."""

    title: str
    baseline: str
    """A sentence about the baseline."""
    others: Sequence[Finding]


def findings(comparison: Comparison) -> list[Findings]:
    """One for each task and whatever else is equal, of what answers the declared question; in it
    the verdicts in the order of MARKS, the best first. Where nothing does, of all that is shown."""
    groups = _contests(comparison)
    return [_findings(comparison.by, *key, rows=rows) for key, rows in groups.items()]


def contests(comparison: Comparison) -> list[list[AccuracyRow]]:
    """The rows of each of these comparisons, the best mean first."""
    return [*_contests(comparison).values()]


def _contests(comparison: Comparison) -> dict[tuple[str, ...], list[AccuracyRow]]:
    """By task, metric and whatever else is equal in them and told."""
    shown = _headline(comparison)
    axes = [axis for axis in COLUMNS if axis != comparison.by]
    around = [axis for axis in axes if axis == "decoder" or varies(shown, axis)]
    return grouped(shown, lambda row: (row["task"], row["metric"], *(row[axis] for axis in around)))


def _headline(comparison: Comparison) -> list[AccuracyRow]:
    """The rows that decide; where none does, those that are shown."""
    rows = [row for row in comparison.accuracy if row["decides"]]
    return rows or [row for row in comparison.accuracy if row["primary"]]


def _findings(by: Compared, task: str, *around: str, rows: Sequence[AccuracyRow]) -> Findings:
    base = next((row for row in rows if row["baseline"]), None)
    baseline = "The baseline was not run on these." if base is None else _alone(base, by)
    others = [Finding(row["verdict"], _sentence(row, base, by)) for row in rows if row is not base]
    others.sort(key=lambda finding: [*MARKS].index(finding.verdict))
    secondary = "" if all(row["decides"] for row in rows) else " (secondary)"
    return Findings(f"{task}: {', '.join(around)}{secondary}", baseline, others)


def _alone(row: AccuracyRow, by: Compared) -> str:
    if "ok" not in row["status"]:
        return f"{row[by]}: no trial ended ok ({row['status']})."
    if not row["n_ok"]:
        return f"{row[by]}: no trial that ended ok gave a number."
    return f"{row[by]}: {mean_of(row)}{_lost(row)}."


def _sentence(row: AccuracyRow, base: AccuracyRow | None, by: Compared) -> str:
    if base is None or not row["verdict"] or math.isnan(row["difference"]):
        return _alone(row, by)
    means = " against ".join(interval(each["mean"], math.nan, math.nan) for each in (row, base))
    p = probability(row["p_adjusted"])
    numbers = ", ".join(filter(None, [means, difference_of(row), p, stopped(row)])) + _lost(row)
    name, other = row[by], base[by]
    remark = f" ({row['remark']})" if row["remark"] else ""
    verdict, margin = row["verdict"], number(row["margin"])
    if verdict == "undecided":
        open_ = undecided(row["pairs"], row["difference"], row["p_adjusted"], row["seeds_needed"])
        return f"{name} against {other} is undecided, {open_}: {numbers}{remark}."
    if verdict == "equivalent":
        return f"{name} is equivalent to {other} (within {margin}): {numbers}{remark}."
    if verdict.endswith("within the margin"):
        word = verdict.partition(" ")[0]
        return (
            f"{name} is {word} than {other}, but within the margin of {margin}: {numbers}{remark}."
        )
    return f"{name} is {verdict} than {other}: {numbers}{remark}."


def _lost(row: AccuracyRow) -> str:
    if row["n_ok"] == row["n"]:
        return ""
    numbers = f"ok {row['n_ok']}" in row["status"].split(", ")
    what = "ended ok" if numbers else "gave a number"
    return f", {row['n_ok']} of {row['n']} trials {what}"


def summary(comparison: Comparison) -> list[str]:
    """A few sentences about all of it."""
    shown = _headline(comparison)
    verdicts = Counter(row["verdict"] for row in shown if row["verdict"])
    counts = ", ".join(f"{verdicts[word]} {word}" for word in MARKS if verdicts[word])
    untuned = ", untuned and so not ranked" if comparison.untuned else ""
    lines = [
        f"{_size(comparison)} each{untuned}.",
        f"Verdicts against {comparison.baseline}: {counts}."
        if verdicts
        else f"No verdict against {comparison.baseline} can be given.",
    ]
    if comparison.ranks:
        first = comparison.ranks[0]
        lines.append(
            f"Best average rank over {first['tasks']} tasks: {first['strategy']}, "
            f"{first['average_rank']:.2f}; ranks closer than "
            f"{first['critical_difference']:.2f} are not told apart "
            f"(Friedman {probability(first['p'])})."
        )
    held = headlines(comparison.yardsticks, comparison.against, comparison.by)
    return [*lines, *held, _failures(comparison)]


def extent(comparison: Comparison) -> str:
    """How much was compared with what, and what was lost of it, in one line: that trials diverge is
    what a search for the best rate expects."""
    lost = sum(len(row["seeds"]) for row in comparison.failures if row["stage"] == "trial")
    failed = f"; {_count(lost, 'trial')} failed" if lost else ""
    untuned = "; untuned, so not ranked" if comparison.untuned else ""
    return f"{_size(comparison)}, against {comparison.baseline}{untuned}{failed}"


def _size(comparison: Comparison) -> str:
    """How much was compared."""
    shown = _headline(comparison)
    names, tasks = ({row[axis] for row in shown} for axis in (comparison.by, "task"))
    seeds = max((row["n"] for row in shown), default=0)
    return (
        f"{_count(len(names), comparison.by)} on {_count(len(tasks), 'task')}, "
        f"up to {_count(seeds, 'seed')}"
    )


def _failures(comparison: Comparison) -> str:
    """How many trials did not end ok."""
    lost, searched = (
        sum(len(row["seeds"]) for row in comparison.failures if row["stage"] == stage)
        for stage in ("trial", "search")
    )
    if searched:
        finals = f"{_count(lost, 'trial')} and " if lost else ""
        return f"{finals}{_count(searched, 'trial')} of a search did not end ok."
    return f"{_count(lost, 'trial')} did not end ok." if lost else "Every trial ended ok."


def _count(count: int, noun: str) -> str:
    plural = "losses" if noun == "loss" else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"
