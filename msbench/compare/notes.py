"""Sentences below the tables: what is missing, hidden, lost or failed."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from msbench.compare.columns import Columns
from msbench.compare.labels import Labels
from msbench.compare.rows import AccuracyRow, StrategyKey
from msbench.records.schema import STATUSES


def missing_evidence(accuracy: Sequence[AccuracyRow]) -> list[str]:
    """What keeps verdicts from being given, in whole sentences."""
    shown = [row for row in accuracy if row["primary"]]
    notes = []
    if not any("ok" in row["status"] for row in shown):
        notes.append("no trial ended ok: there is nothing to compare")
    elif max(row["n_ok"] for row in shown) == 1:
        notes.append("one seed each: no interval and no verdict without more (msbench run --seeds)")
    for row in shown:
        if "ok" in row["status"] and not row["n_ok"]:
            what = f"{row['task']}, {row['optimizer']}, {row['decoder']}"
            notes.append(f"{what}: no trial that ended ok gave a number for {row['metric']}")
    return notes


def hidden_tasks(accuracy: Sequence[AccuracyRow], metric: str) -> list[str]:
    """Tasks that the metric asked for is none of."""
    shown = {row["task"] for row in accuracy if row["primary"]}
    left = sorted({row["task"] for row in accuracy} - shown)
    return [f"not shown, since {metric} is no metric of theirs: {', '.join(left)}"] if left else []


def failed_trials(columns: Columns, labels: Labels, trials: Sequence[int]) -> list[str]:
    """The first ten trials that did not end ok, and how many more there are."""
    bad = [trial for trial in sorted(trials) if trial in columns.reasons]
    notes = []
    for trial in bad[:10]:
        axes = labels.axes(columns.record(trial))
        seed = columns.seeds[columns.trials["seed"][trial]]
        status = STATUSES[columns.trials["status"][trial]]
        what = f"{axes['task']} {axes['optimizer']} seed {seed}"
        notes.append(f"{what}: {status}: {columns.reasons[trial]}")
    if len(bad) > 10:
        notes.append(f"and {len(bad) - 10} more trials that did not end ok")
    return notes


def guarded_trials(columns: Columns, labels: Labels, trials: Sequence[int]) -> list[str]:
    """What guards found in trials, once for each strategy: such scores may be worth nothing."""
    named = [", ".join(StrategyKey.of(labels.axes(record))[:4]) for record in columns.groups]
    counts = np.bincount(columns.trials["group"][trials], minlength=len(named))
    every, found = Counter[str](), Counter[tuple[str, str]]()
    for what, count in zip(named, counts.tolist(), strict=True):
        every[what] += count
    for trial in sorted(columns.found.keys() & set(trials)):
        what = named[columns.trials["group"][trial]]
        found.update((what, sentence) for sentence in columns.found[trial])
    return [
        f"look into {what}: {sentence} ({count} of {every[what]} trials)"
        for (what, sentence), count in found.items()
    ]


def seen_in_training(columns: Columns, labels: Labels) -> list[str]:
    """Tasks of whose test split a part is in the training split too."""
    shares = {}
    for record, task in zip(columns.groups, columns.tasks, strict=True):
        known = task["notes"].get("also_in_train") if task else None
        count = known.get("test") if isinstance(known, Mapping) else None
        if task and count:
            shares[labels.axes(record)["task"]] = f"{count} of {task['sizes']['test']}"
    return [
        f"{task}: {share} test texts are in its training split too, and may be known by heart"
        for task, share in shares.items()
    ]


def task_remarks(columns: Columns, labels: Labels) -> list[str]:
    """What tasks say of their data, such as rows that were left out, in `notes.remarks`."""
    said = {}
    for record, task in zip(columns.groups, columns.tasks, strict=True):
        remarks = task["notes"].get("remarks") if task else None
        for remark in remarks if isinstance(remarks, list) else ():
            said[f"{labels.axes(record)['task']}: {remark}"] = True
    return list(said)


def lost_measurements(columns: Columns) -> list[str]:
    """Search trials and measurements that were lost."""
    notes = []
    lost = [r for r in columns.searches if r.status not in ("ok", "diverged", "pruned")]
    if lost:
        counts = ", ".join(f"{s} {n}" for s, n in Counter(r.status for r in lost).items())
        notes.append(f"{len(lost)} search trials were lost ({counts}): {lost[0].reason}")
    for record in columns.measured:
        for each in record.measurement_results.get("failed", ()):
            notes.append(f"throughput of {each['strategy']}: {each['reason']}")
        if record.status != "ok":
            notes.append(f"throughput: {record.status}: {record.reason}")
    return notes
