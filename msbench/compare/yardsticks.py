"""Strategies against what is none: a linear model, copying, n-grams, on the same splits.

A yardstick is fitted once and has no spread, so it has neither an interval nor a p of its own. A
strategy is held against its one score: the differences over the strategy's seeds are what the one
judge is asked about, in a family of their own. That is a claim about these test examples; the
paired test over examples beside it is about others, too.
"""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np

from msbench.compare.asked import Asked
from msbench.compare.columns import Columns
from msbench.compare.judge import LEVEL, SHOWN, judge
from msbench.compare.labels import Labels, display_name
from msbench.compare.rows import (
    AgainstRow,
    CellRow,
    ExampleRow,
    StrategyKey,
    YardstickRow,
    compared,
)
from msbench.compare.stats import bounded_intervals, cut_at, paired_examples
from msbench.compare.verdicts import UNPAIRED, Scored, added_seeds, family_of, margin_of
from msbench.records.record import Record
from msbench.records.schema import TrialData
from msbench.spec import Compared, digest


def yardstick_rows(columns: Columns, labels: Labels, scores: Scored) -> list[YardstickRow]:
    """What every yardstick scored in the metrics of the tasks that strategies were run on."""
    shown = {(cell["task"], cell["metric"]): cell for cell in scores.cells if cell["primary"]}
    mains = {(cell["task"], cell["metric"]) for cell in scores.cells if cell["main"]}
    rows = []
    for record, task in _placed(columns, labels):
        for (named, metric), cell in shown.items():
            if named == task:
                for decoder, value in _values(record, metric):
                    rows.append(
                        YardstickRow(
                            task=task,
                            yardstick=display_name(record.trial["model"]),
                            decoder=decoder,
                            metric=metric,
                            primary=True,
                            decides=(task, metric) in mains,
                            lower_is_better=cell["lower_is_better"],
                            score=value,
                            status=record.status,
                            reason=record.reason,
                            seconds=record.seconds,
                        )
                    )
    rows += _references(columns, labels, shown)
    return sorted(rows, key=lambda row: (row["task"], not row["decides"], row["yardstick"]))


def _references(
    columns: Columns, labels: Labels, shown: Mapping[tuple[str, str], CellRow]
) -> list[YardstickRow]:
    """What the references of a task score themselves, where its notes say so: how varied text is
    that people wrote."""
    found: dict[tuple[str, str], YardstickRow] = {}
    for record, about in zip(columns.groups, columns.tasks, strict=True):
        task = labels.task(record.trial)
        for metric, value in (about["notes"].get("references", {}) if about else {}).items():
            if (task, metric) in shown and value is not None:
                found[task, metric] = YardstickRow(
                    task=task,
                    yardstick=REFERENCES,
                    decoder="",
                    metric=metric,
                    primary=True,
                    decides=False,
                    lower_is_better=shown[task, metric]["lower_is_better"],
                    score=value,
                    status="ok",
                    reason="",
                    seconds=0.0,
                )
    return list(found.values())


REFERENCES = "references"
"""What people wrote, as a yardstick."""


def against_rows(
    columns: Columns,
    labels: Labels,
    scores: Scored,
    asked: Asked,
    held: Sequence[YardstickRow],
    margin: float | None = None,
) -> list[AgainstRow]:
    """The verdict on every strategy against every yardstick, of what decides on the task.

    margin: that of equivalence instead of the metric's.
    """
    pairs = list(_pairs(scores, asked, held))
    if not pairs:
        return []
    most = asked.max_seeds
    values = added_seeds(scores, most) if most else scores.values
    at = np.array([number for number, _ in pairs])
    score = np.array([row["score"] for _, row in pairs])
    cells = [scores.cells[number] for number in at]
    lower = np.array([cell["lower_is_better"] for cell in cells], dtype=bool)
    families: list[Hashable] = [
        (family_of(cell, asked.by), row["yardstick"])
        for cell, (_, row) in zip(cells, pairs, strict=True)
    ]
    margins = [margin or margin_of(c, s) for c, s in zip(cells, score.tolist(), strict=True)]
    found = judge(values[at] - score[:, None], families, margins, lower, max_seeds=most)
    lowest, highest = (np.array([c[k] for c in cells]) for k in ("lowest", "highest"))
    mean, low, high, _ = bounded_intervals(scores.values[at], lowest, highest, LEVEL)
    below, above = cut_at(found.tests, highest - lowest)
    examples = _examples(columns, labels, scores, pairs)
    return [
        {
            **StrategyKey.of(cell).row(),
            "decoder": cell["decoder"],
            "metric": cell["metric"],
            "yardstick": row["yardstick"],
            "score": row["score"],
            "decides": True,
            "lower_is_better": cell["lower_is_better"],
            "n": int((scores.status[number] >= 0).sum()),
            "n_ok": int(((scores.status[number] == 0) & ~np.isnan(scores.values[number])).sum()),
            "mean": float(mean[i]),
            "low": float(low[i]),
            "high": float(high[i]),
            "difference": float(found.tests.difference[i]),
            "difference_low": float(below[i]),
            "difference_high": float(above[i]),
            "pairs": int(found.tests.n[i]),
            "p_adjusted": float(found.p_adjusted[i]),
            "verdict": found.verdicts[i] if found.tests.n[i] else "",
            "family": int(found.family[i]),
            "seeds_needed": float(found.needed[i]),
            "margin": float(margins[i]),
            **examples[i],
        }
        for i, (cell, (number, row)) in enumerate(zip(cells, pairs, strict=True))
    ]


def headlines(
    held: Sequence[YardstickRow], against: Sequence[AgainstRow], by: Compared
) -> list[str]:
    """A sentence for every yardstick and task: which strategies beat it, or that none does."""
    found = []
    for row in held:
        rivals = _rivals(row, against)
        if row["decides"] and rivals and not math.isnan(row["score"]):
            found.append(_headline(row, rivals, by))
    return list(dict.fromkeys(found))


def beaten(row: YardstickRow, against: Sequence[AgainstRow]) -> str:
    """Such as "beaten by 2 of 8"."""
    rivals = _rivals(row, against)
    if not rivals:
        return ""
    count = sum(each["verdict"] == SHOWN[0] for each in rivals)
    return f"beaten by {count or 'none'} of {len(rivals)}"


def beats(row: YardstickRow, against: Sequence[AgainstRow], by: Compared) -> list[str] | None:
    """The strategies that beat it; None where none is held against it."""
    rivals = _rivals(row, against)
    better = [each for each in rivals if each["verdict"] == SHOWN[0]]
    names = dict.fromkeys(compared(each, by, each["decoder"]) for each in better)
    return [*names] if rivals else None


def lost_yardsticks(held: Sequence[YardstickRow]) -> list[str]:
    """Yardsticks that did not end ok."""
    lost = [f"{r['yardstick']} on {r['task']}: {r['status']}: {r['reason']}" for r in held]
    bad = [row["status"] != "ok" for row in held]
    return list(dict.fromkeys(text for text, is_bad in zip(lost, bad, strict=True) if is_bad))


def _rivals(row: YardstickRow, against: Sequence[AgainstRow]) -> list[AgainstRow]:
    """The strategies that are held against it."""
    same = (row["task"], row["metric"], row["yardstick"])
    return [each for each in against if (each["task"], each["metric"], each["yardstick"]) == same]


def _headline(row: YardstickRow, rivals: Sequence[AgainstRow], by: Compared) -> str:
    sign = -1 if row["lower_is_better"] else 1
    best = max(
        rivals, key=lambda each: -math.inf if math.isnan(each["mean"]) else sign * each["mean"]
    )
    what = f"{row['task']}: {{}} {row['yardstick']} ({row['metric']} {row['score']:.3g})"
    better = [each for each in rivals if each["verdict"] == SHOWN[0]]
    if better:
        names = _names(better, by)
        return f"{what.format(f'{names} beat' + ('s' if len(better) == 1 else ''))}."
    near = [each for each in rivals if each["verdict"] and not each["verdict"].startswith("worse")]
    told = f"the best, {compared(best, by, best['decoder'])}, has {best['mean']:.3g}"
    if within := [each for each in near if each["verdict"] != "undecided"]:
        told += f"; within the margin: {_names(within, by)}"
    if open_ := [each for each in near if each["verdict"] == "undecided"]:
        told += f"; undecided: {_names(open_, by)}"
    return f"{what.format('no strategy beats')}: {told}."


MOST_NAMES = 4
"""Strategies that a sentence names."""


def _names(rows: Sequence[AgainstRow], by: Compared) -> str:
    names = list(dict.fromkeys(compared(row, by, row["decoder"]) for row in rows))
    more = [f"{len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    named = [*names[:MOST_NAMES], *more]
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]


def _pairs(
    scores: Scored, asked: Asked, held: Sequence[YardstickRow]
) -> Iterator[tuple[int, YardstickRow]]:
    """(cell, yardstick) where both have the metric that decides."""
    for number, cell in enumerate(scores.cells):
        for row in held if asked.decides[number] else ():
            same = (row["task"], row["metric"]) == (cell["task"], cell["metric"])
            if same and not math.isnan(row["score"]):
                yield number, row


def _placed(columns: Columns, labels: Labels) -> Iterator[tuple[Record, str]]:
    """Yardsticks with the tasks of strategies on the same data; of equals the last.

    A model that brings its own tokenizer sees other arrays of the same texts, in splits of the same
    sizes: where no yardstick saw these arrays, one of the same task and version is meant.
    """
    last: dict[tuple[str, str], Record] = {}
    for group, about in zip(columns.groups, columns.tasks, strict=True):
        sizes = about["sizes"] if about else {}
        same = [r for r in columns.yardsticks if _task(r.trial) == _task(group.trial)]
        exact = [r for r in same if r.trial["data"] == group.trial["data"]]
        alike = [r for r in same if sizes and _sizes(r) == sizes]
        for record in exact or alike:
            last[labels.task(group.trial), display_name(record.trial["model"])] = record
    for (task, _), record in last.items():
        yield record, task


def _task(trial: TrialData) -> tuple[str, str]:
    """What tells a task and its scores, whatever is trained on it."""
    task = trial["task"]
    return digest([task["name"], task["label"], task["options"]]), task["version"]


def _sizes(record: Record) -> Mapping[str, int]:
    return record.trial_results["task"]["sizes"] if "task" in record.results else {}


def _values(record: Record, metric: str) -> Iterator[tuple[str, float]]:
    """(decoder, score) of those decoders that give the metric; without any, no number."""
    given = [
        (display_name(decoded["decoder"]), value)
        for decoded in record.trial_results.get("decoding", ())
        if (value := decoded["metrics"].get(metric)) is not None
    ]
    yield from given or ([("", math.nan)] if record.status != "ok" else [])


def _examples(
    columns: Columns,
    labels: Labels,
    scores: Scored,
    pairs: Sequence[tuple[int, YardstickRow]],
) -> list[ExampleRow]:
    """The paired test over seeds and examples, where both kept scores of the same examples."""
    known = {
        (task, display_name(record.trial["model"])): record
        for record, task in _placed(columns, labels)
    }
    return [
        _example_row(columns, scores, number, known[row["task"], row["yardstick"]], row)
        for number, row in pairs
    ]


def _example_row(
    columns: Columns, scores: Scored, number: int, record: Record, row: YardstickRow
) -> ExampleRow:
    cell: CellRow = scores.cells[number]
    wanted = [
        decoded["examples"][cell["metric"]]
        for decoded in record.trial_results.get("decoding", ())
        if display_name(decoded["decoder"]) == row["decoder"]
        and cell["metric"] in decoded["examples"]
    ]
    ok = scores.status[number] == 0
    mine = [
        found
        for trial, place in zip(
            scores.trial[number, ok].tolist(), scores.place[number, ok].tolist(), strict=True
        )
        if (found := columns.examples.get((trial, place, cell["metric"]))) is not None
    ]
    if not wanted or not mine or any(len(each) != len(wanted[0]) for each in mine):
        return UNPAIRED
    other = np.array(wanted[0], dtype=float)
    test = paired_examples(np.array(mine), np.tile(other, (len(mine), 1)))
    return {
        "example_difference": test.difference,
        "example_low": test.low,
        "example_high": test.high,
        "example_p": test.p,
        "examples": test.examples,
    }
