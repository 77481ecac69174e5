"""Searches of tuning: which of several counts, and a row for each, with the winner that ran.

Records do not name their search: they have the number of their point and its options. A later
search, of another space, has other options under the same numbers.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from msbench.compare.columns import Columns
from msbench.compare.labels import Labels, text_of
from msbench.compare.rows import SearchedPoint, StrategyKey, TuningRow
from msbench.records.record import Record
from msbench.records.schema import TunedData


def without_replaced(columns: Columns, labels: Labels) -> tuple[Columns, list[str]]:
    """The columns without searches and trials of winners that later ones have replaced, and notes
    of what was left out."""
    columns, notes = _newest_winners(columns, labels)
    winners = _winners(columns, labels)
    searches = {
        strategy: _newest(records, winners.get(strategy))
        for strategy, records in _by_strategy(columns, labels).items()
    }
    keys = {record.key for records in searches.values() for record in records}
    kept = [record for record in columns.searches if record.key in keys]
    if replaced := len(columns.searches) - len(kept):
        notes.append(f"{replaced} trials of an earlier search are left out")
    for strategy, winner in sorted(winners.items(), key=lambda each: each[0]):
        if strategy in searches and _point_of(winner, searches[strategy]) is None:
            notes.append(
                f"{strategy.task}, {strategy.optimizer}: the scores are of the winner of an "
                f"earlier search, since that of the newest has not run"
            )
    return replace(columns, searches=kept), notes


def without_winner(rows: Sequence[TuningRow]) -> list[str]:
    """A note on every search that has no winner, since nothing ended well."""
    return [
        f"{row['task']}, {row['optimizer']}: no winner, since none of {row['trials']} trials of "
        f"its search ended well"
        for row in rows
        if row["point"] is None and not row["ok"]
    ]


def untuned(columns: Columns, labels: Labels) -> list[str]:
    """The optimizers that ran with options which no search chose."""
    ran = {int(group) for group in columns.trials["group"][columns.kept]}
    unsearched = (columns.groups[group] for group in ran)
    return sorted(
        {labels.axes(each)["optimizer"] for each in unsearched if not each.trial.get("tuned")}
    )


def tuning_rows(columns: Columns, labels: Labels) -> list[TuningRow]:
    """A row per search: how its points did on validation, and the winner that ran."""
    winners = _winners(columns, labels)
    rows = []
    for strategy, records in _by_strategy(columns, labels).items():
        winner = winners.get(strategy)
        point = _point_of(winner, records)
        rows.append(_row(labels, records, point, None if point is None else winner))
    return sorted(rows, key=StrategyKey.of)


def _row(
    labels: Labels, records: Sequence[Record], point: int | None, winner: TunedData | None
) -> TuningRow:
    metric, sign = _selected_by(records)
    trained = [record.trial_results.get("training") for record in records]
    searched = _searched(records, metric, sign)
    found = {each["point"]: each for each in searched}.get(-1 if point is None else point)
    values = [each["score" if metric else "validation_loss"] for each in searched]
    finite = [value for value in values if math.isfinite(value)]
    return {
        **labels.axes(records[0]),
        "trials": len(records),
        "passes": math.fsum(each["passes"] or 0 for each in trained if each),
        "pruned": sum(record.status == "pruned" for record in records),
        "points": len(searched),
        "ok": len(finite),
        "point": point,
        "options": dict(winner["options"]) if winner else {},
        "edge": list(winner["edge"]) if winner else [],
        "validation_loss": found["validation_loss"] if found else math.nan,
        "median": statistics.median(finite) if finite else math.nan,
        "worst": sign * max(sign * value for value in finite) if finite else math.nan,
        "searched": searched,
        "metric": metric,
        "score": found["score"] if found else math.nan,
    }


def _searched(records: Sequence[Record], metric: str, sign: int) -> list[SearchedPoint]:
    """The points with their means over seeds; of a point and seed the newest trial counts."""
    trials: dict[int, dict[int, Record]] = {}
    for record in records:
        trials.setdefault(_tuned(record)["point"], {})[record.trial["seed"]] = record
    return [
        {
            "point": point,
            "options": dict(_tuned(next(iter(seeds.values())))["options"]),
            "validation_loss": statistics.fmean(r.validation_loss for r in seeds.values()),
            "score": sign * statistics.fmean(r.objective("metric") for r in seeds.values())
            if metric
            else math.nan,
        }
        for point, seeds in sorted(trials.items())
    ]


def _selected_by(records: Sequence[Record]) -> tuple[str, int]:
    """(the metric that a search looks at, or "" for the validation loss; -1 where more is better).

    Trials of a search measure decoders only where the metric selects.
    """
    for record in records:
        if record.trial["decoders"] and record.status == "ok":
            task = record.trial_results["task"]
            lower = task["metrics"][task["metric"]]["lower_is_better"]
            return task["metric"], 1 if lower else -1
    return "", 1


def _newest(records: Sequence[Record], winner: TunedData | None) -> list[Record]:
    """Those of the newest search among the searches of one strategy.

    Of every number the newest options count. While the newest search has no winner, it is only
    sure to have begun where a number first came again with other options.
    """
    last = {_tuned(record)["point"]: _key(record) for record in records}
    current = [last[_tuned(r)["point"]] == _key(r) for r in records]
    found = [r for r, each in zip(records, current, strict=True) if each]
    if not all(current) and _point_of(winner, found) is None:
        again = {_tuned(r)["point"] for r, each in zip(records, current, strict=True) if not each}
        start = next(i for i, r in enumerate(found) if _tuned(r)["point"] in again)
        found = found[start:]
    won = winner if winner and _point_of(winner, found) is not None else None
    points = (won or _tuned(records[-1]))["points"]
    return [record for record in found if _tuned(record)["point"] < points]


def _key(record: Record) -> str:
    """What trials of one point of one search share."""
    measures = bool(record.trial["decoders"])
    return text_of({"options": _tuned(record)["options"], "measures": measures})


def _newest_winners(columns: Columns, labels: Labels) -> tuple[Columns, list[str]]:
    """The columns without trials of winners that a later search has replaced, and a note of it."""
    strategies = {t: labels.key(columns.record(t)) for t in columns.tuned if columns.kept[t]}
    # An old winner does not become the newest by being decoded again.
    by_age = sorted(strategies, key=lambda trial: (not columns.trials["redecoded"][trial], trial))
    newest = {strategies[trial]: columns.tuned[trial]["options"] for trial in by_age}
    replaced = [
        trial
        for trial, strategy in strategies.items()
        if columns.tuned[trial]["options"] != newest[strategy]
    ]
    if not replaced:
        return columns, []
    kept = columns.kept.copy()
    kept[replaced] = False
    return replace(columns, kept=kept), [
        f"{len(replaced)} trials of winners of an earlier search are left out"
    ]


def _winners(columns: Columns, labels: Labels) -> dict[StrategyKey, TunedData]:
    """What ran of every search."""
    return {
        labels.key(columns.record(trial)): tuned
        for trial, tuned in columns.tuned.items()
        if columns.kept[trial]
    }


def _by_strategy(columns: Columns, labels: Labels) -> Mapping[StrategyKey, list[Record]]:
    """The search trials of every strategy, the newest last."""
    found: dict[StrategyKey, list[Record]] = {}
    for record in columns.searches:
        found.setdefault(labels.key(record), []).append(record)
    return found


def _point_of(winner: TunedData | None, records: Sequence[Record]) -> int | None:
    """The number of the point that a winner is; None if these trials are of another search."""
    if winner is None:
        return None
    points = {text_of(_tuned(r)["options"]): _tuned(r)["point"] for r in records}
    return points.get(text_of(winner["options"]))


def _tuned(record: Record) -> TunedData:
    return cast(TunedData, record.trial.get("tuned"))
