"""Sentences below the tables: what is missing, hidden, lost or failed."""

from collections import Counter
from collections.abc import Sequence

from msbench.compare.columns import Columns
from msbench.compare.labels import Labels
from msbench.compare.rows import AccuracyRow
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


def lost_measurements(columns: Columns) -> list[str]:
    """Search trials and measurements that were lost."""
    notes = []
    lost = [r for r in columns.searches if r.status not in ("ok", "diverged")]
    if lost:
        counts = ", ".join(f"{s} {n}" for s, n in Counter(r.status for r in lost).items())
        notes.append(f"{len(lost)} search trials were lost ({counts}): {lost[0].reason}")
    for record in columns.measured:
        for each in record.measurement_results.get("failed", ()):
            notes.append(f"throughput of {each['strategy']}: {each['reason']}")
        if record.status != "ok":
            notes.append(f"throughput: {record.status}: {record.reason}")
    return notes
