"""Comparison -> the answer: a few lines that say what to use, what is open, what it costs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from msbench.compare.comparison import NOT_RANKED
from msbench.compare.rows import AccuracyRow, Comparison, Row
from msbench.compare.yardsticks import beats
from msbench.errors import printable
from msbench.report.findings import contests, extent
from msbench.report.format import grouped, interval, number
from msbench.spec import COMPARED

Contest = Sequence[AccuracyRow]
"""Strategies that are equal but for what is compared, the best mean first."""

Contests = Sequence[Contest]

WIDTH = 80
"""Characters that a line takes at most; commands are never cut."""

LINES, TASKS = 12, 4
"""Most lines for that many tasks; each further task may have one more."""

NAMES = 8
"""Most strategies that are named; of others their number is told."""


@dataclass(frozen=True)
class Part:
    """Something said of several strategies, whose names may be too many for a line."""

    before: str
    names: Sequence[str]
    after: str = ""

    def text(self, most: int) -> str:
        """It with the first `most` names."""
        if not self.names:
            return self.before
        if not most:
            return f"{len(self.names)} {self.before}{self.after}"
        left = len(self.names) - most
        more = f" and {left} more" if left > 0 else ""
        return f"{self.before}: {', '.join(self.names[:most])}{more}{self.after}"


def answer(comparison: Comparison, commands: Sequence[str]) -> list[str]:
    """At most 12 lines for up to four tasks: of each the best strategy, what it is better than,
    what is undecided, and what it costs; what to bear in mind; and the commands to go on with.

    Verdicts are those against the baseline: of two others nothing is said. The best is the best
    mean, whether that is shown or not, and what is shown is said beside it.
    """
    groups = contests(comparison)
    tasks = len({row["task"] for rows in groups for row in rows})
    room = LINES + max(0, tasks - TASKS) - 1 - len(commands)
    notes = [note for note in comparison.notes if note != NOT_RANKED]
    tell = _in_two if 2 * len(groups) + min(1, len(notes)) <= room else _in_one
    shown = groups if len(groups) <= room else groups[: room - 1]
    lines = [line for rows in shown for line in tell(comparison, groups, rows)]
    if len(shown) < len(groups):
        lines.append(f"and {len(groups) - len(shown)} more comparisons, in the table accuracy")
    if tell is _in_one and len(lines) < room:
        lines += _open(groups)
    lines += _notes(notes, room - len(lines))
    return [_cut(extent(comparison)), *lines, *map(printable, commands)]


def _open(groups: Contests) -> list[str]:
    """What is undecided in all contests together."""
    rows = [row for each in groups for row in each if row["verdict"] == "undecided"]
    count = sum(bool(row["verdict"]) for each in groups for row in each)
    return [f"In all {len(rows)} of {count} are undecided{_needed(rows)}."] if rows else []


def _notes(notes: Sequence[str], room: int) -> list[str]:
    """The first ones, and how many more there are below every table."""
    fit = len(notes) if len(notes) <= room else max(0, room - 1)
    left = len(notes) - fit
    lines = [_cut(f"Note: {note}") for note in notes[:fit]]
    return [*lines, f"and {left} more notes, below every table"] if left and room > 0 else lines


def _in_two(comparison: Comparison, groups: Contests, rows: Contest) -> list[str]:
    """What was found in one contest: the best and its cost, then the verdicts."""
    (lead, short), parts, cost = _told(comparison, groups, rows)
    first = lead if len(lead) <= WIDTH else short
    behind = cost if len(_joined(first, cost)) > WIDTH else ""
    second = _first_that_fits(
        _with_names("  ", told, behind) for told in (parts, _without_seeds(parts))
    )
    return [_cut(first if behind else _joined(first, cost)), *([second] if parts else [])]


def _in_one(comparison: Comparison, groups: Contests, rows: Contest) -> list[str]:
    """The same in one line: the seeds that would decide go first, the baseline's score next."""
    (lead, short), parts, cost = _told(comparison, groups, rows)
    told = ((lead, parts), (lead, _without_seeds(parts)), (short, _without_seeds(parts)))
    lines = [_with_names(f"{first}; ", each, cost) for first, each in told if parts]
    return [_first_that_fits([*lines, _joined(lead, cost), _joined(short, cost)])]


def _told(
    comparison: Comparison, groups: Contests, rows: Contest
) -> tuple[tuple[str, str], list[Part], str]:
    """(who is the best, at length and in short; all verdicts; what it costs)."""
    first = rows[0]
    where = printable(", ".join([first["task"], *_telling(comparison, groups, first)]))
    if math.isnan(first["mean"]):
        nothing = f"{where}: no trial gave a number ({first['status']})"
        return (nothing, nothing), [], ""
    base = next((row for row in rows if row["baseline"]), None)
    lead, short = (f"{where}: {printable(text)}" for text in _lead(comparison, first, base))
    parts = [*_yardsticks(comparison, first), *_verdicts(comparison, rows)]
    return (lead, short), parts, _cost(comparison, first)


def _telling(comparison: Comparison, groups: Contests, row: AccuracyRow) -> list[str]:
    """What tells a contest from the others of its task."""
    same: list[Row] = [rows[0] for rows in groups if rows[0]["task"] == row["task"]]
    axes = [axis for axis in (*COMPARED, "metric") if axis != comparison.by]
    of_row: Row = row
    return [str(of_row[axis]) for axis in axes if len({each[axis] for each in same}) > 1]


def _lead(comparison: Comparison, first: AccuracyRow, base: AccuracyRow | None) -> tuple[str, str]:
    """Who has the best mean, and what that is: with the baseline's, and without."""
    name = first[comparison.by]
    score = f"{first['metric']} {_mean(first)}"
    lost = f", {first['n_ok']} of {first['n']} seeds ok" if first["n_ok"] < first["n"] else ""
    alone = f"{name} leads with {score}{lost}"
    if base is None or base is first or math.isnan(base["mean"]):
        return alone, alone
    other = base[comparison.by]
    if first["verdict"] == "better":
        beats_it = f"{name} is better than {other}"
        return f"{beats_it}: {score} against {_mean(base)}{lost}", f"{beats_it}: {score}{lost}"
    return f"{name} leads with {score} ({other} {_mean(base)}){lost}", alone


def _verdicts(comparison: Comparison, rows: Contest) -> list[Part]:
    """Who is better and worse than the baseline, and what is open."""
    base = next((row for row in rows if row["baseline"]), None)
    if base is None:
        return [Part("without a verdict", [row[comparison.by] for row in rows])]
    words = {"better": "better", "undecided": "undecided", "worse": "worse"}
    found = grouped(rows, lambda row: words.get(row["verdict"], "within the margin"))
    found["better"] = [row for row in found.get("better", ()) if row is not rows[0]]
    found["within the margin"] = [r for r in found.get("within the margin", ()) if r["verdict"]]
    return [
        Part(
            "also better" if word == "better" and rows[0]["verdict"] == "better" else word,
            [row[comparison.by] for row in told],
            _needed(told) if word == "undecided" else "",
        )
        for word in ("better", "within the margin", "undecided", "worse")
        if (told := found.get(word))
    ]


def _needed(rows: Contest) -> str:
    """How many seeds would decide."""
    if all(row["looked"] and row["stopped"] for row in rows):
        return f" ({', '.join(dict.fromkeys(row['stopped'] for row in rows))})"
    if all(row["pairs"] < 2 for row in rows):
        return " (one seed is too few)"
    needed = sorted(row["seeds_needed"] for row in rows if not math.isnan(row["seeds_needed"]))
    if not needed:
        return ""
    least, most = ("10,000+" if math.isinf(n) else f"{n:,.0f}" for n in (needed[0], needed[-1]))
    return f" ({least} seeds needed)" if least == most else f" ({least} to {most} seeds needed)"


def _yardsticks(comparison: Comparison, row: AccuracyRow) -> list[Part]:
    """How many strategies beat what is none."""
    parts = []
    for held in comparison.yardsticks:
        same = (held["task"], held["metric"]) == (row["task"], row["metric"])
        if same and held["decides"] and not math.isnan(held["score"]):
            better = beats(held, comparison.against, comparison.by)
            what = f"{held['yardstick']} {number(held['score'])}"
            if better is not None:
                parts.append(Part(f"beat {what}" if better else f"none beats {what}", better))
    return parts


def _cost(comparison: Comparison, row: AccuracyRow) -> str:
    """What the best took: passes and seconds of training, or of decoding."""
    if comparison.by == "decoder":
        same = [r for r in comparison.throughput if r["task"] == row["task"]]
        alone = [r for r in same if r["decoder"] == row["decoder"]]
        return f"{number(alone[0]['per_second'])} {alone[0]['unit']}" if alone else ""
    seconds = row["train_seconds"]
    passes = f"{number(row['passes'])} passes" if not math.isnan(row["passes"]) else ""
    time = "" if math.isnan(seconds) else f"{_digits(seconds)} s"
    return ", ".join(filter(None, [passes, time]))


def _digits(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}"


def _mean(row: AccuracyRow) -> str:
    return interval(row["mean"], math.nan, math.nan)


def _with_names(before: str, parts: Sequence[Part], after: str) -> str:
    """One line with as many names as fit, the first parts first."""
    counts = [0] * len(parts)

    def line() -> str:
        told = [part.text(count) for part, count in zip(parts, counts, strict=True)]
        return printable(before + "; ".join(filter(None, [*told, after])))

    for place, part in enumerate(parts):
        for count in range(min(len(part.names), NAMES), -1, -1):
            counts[place] = count
            if len(line()) <= WIDTH:
                break
    return line()


def _without_seeds(parts: Sequence[Part]) -> list[Part]:
    return [replace(part, after="") for part in parts]


def _joined(*texts: str) -> str:
    return "; ".join(filter(None, texts))


def _first_that_fits(lines: Iterable[str]) -> str:
    """The first line that does; the last one, cut, if none does."""
    every = [*lines]
    return next((line for line in every if len(line) <= WIDTH), _cut(every[-1]))


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
