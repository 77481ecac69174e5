"""Where numbers come from: parts with their versions, data, machines; and what failed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msbench.compare.columns import Columns, Trained
from msbench.compare.labels import Labels, display_name
from msbench.compare.rows import FailureRow, MachineRow, PartRow, StrategyKey
from msbench.records.record import Record
from msbench.records.schema import STATUSES, PartData
from msbench.spec import AXES

KINDS = (*AXES, "learner", "decoder")
"""In the order in which parts are listed."""


def part_rows(columns: Columns, labels: Labels) -> list[PartRow]:
    """A row per part that was used: what it is called, its name, plugin, version and options, and
    for tasks the `data` fingerprint and the `sizes` of the splits."""
    rows: dict[str, PartRow] = {}
    for record, task in zip(columns.groups, columns.tasks, strict=True):
        for row in _parts(record, labels):
            if row["kind"] == "task":
                row["data"] = record.trial["data"]
                row["sizes"] = dict(task["sizes"]) if task else {}
            rows.setdefault(repr(row), row)
    return sorted(rows.values(), key=lambda r: (KINDS.index(r["kind"]), r["label"], repr(r)))


def _parts(record: Record, labels: Labels) -> Iterator[PartRow]:
    trial, axes = record.trial, labels.axes(record)
    for axis in AXES:
        yield _part_row(axis, axes[axis], trial[axis])
    yield _part_row("learner", display_name(trial["learner"]), trial["learner"])
    for part in trial["decoders"]:
        yield _part_row("decoder", labels.of(record, "decoder", part), part)


def _part_row(kind: str, label: str, part: PartData) -> PartRow:
    return {
        "kind": kind,
        "label": label,
        "name": part["name"],
        "plugin": part["plugin"],
        "version": part["version"],
        "options": part["options"],
    }


def machine_rows(machines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[MachineRow]:
    """A row per machine: what tables call it, and what it said of itself."""
    return [{"machine": n, "about": dict(m)} for n, m in zip(names, machines, strict=True)]


def failure_rows(columns: Columns, labels: Labels, trials: Trained) -> list[FailureRow]:
    """A row per strategy, stage, status and reason of what did not end ok, with its seeds: trials
    that count, trials of a search, and measurements of throughput."""
    failed = [
        (
            columns.record(trial),
            "trial",
            STATUSES[columns.trials["status"][trial]],
            columns.reasons[trial],
            columns.seeds[columns.trials["seed"][trial]],
        )
        for trial in sorted(set(trials.trial.tolist()) & set(columns.reasons))
    ]
    failed += [
        (record, "search", record.status, record.reason, record.trial["seed"])
        for record in columns.searches
        if record.is_lost
    ]
    rows: dict[tuple[str, ...], FailureRow] = {}
    seeds: dict[tuple[str, ...], list[int]] = {}
    for record, stage, status, reason, seed in failed:
        key = (*labels.key(record), stage, status, reason)
        seeds.setdefault(key, []).append(seed)
        rows[key] = {
            **labels.axes(record),
            "stage": stage,
            "status": status,
            "reason": reason,
            "seeds": sorted(seeds[key]),
        }
    return [*rows.values(), *_lost_measurements(columns.measured)]


def _lost_measurements(measured: Sequence[Record]) -> Iterator[FailureRow]:
    """What went wrong while throughput was measured."""
    for record in measured:
        task = display_name(record.trial["task"])
        lost = [
            (each["strategy"], "failed", each["reason"])
            for each in record.measurement_results.get("failed", ())
        ]
        if record.status != "ok":
            lost.append(("", record.status, record.reason))
        for strategy, status, reason in lost:
            yield {
                **StrategyKey(task=task, optimizer=strategy).row(),
                "stage": "throughput",
                "seeds": [],
                "status": status,
                "reason": reason,
            }
