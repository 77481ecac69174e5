"""Where numbers come from: parts with their versions, data, machines; and what failed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msbench.compare.columns import Ledger, Trained
from msbench.compare.labels import Labels
from msbench.compare.rows import Row
from msbench.records.record import Record
from msbench.records.schema import STATUSES
from msbench.spec import AXES

PARTS = (*AXES, "learner")
"""What a trial has one of."""


def part_rows(ledger: Ledger, labels: Labels) -> list[Row]:
    """A row per part that was used: what it is called, its name, plugin, version and options, and
    for tasks the `data` fingerprint and the `sizes` of the splits."""
    rows: dict[str, Row] = {}
    for record, told in zip(ledger.groups, ledger.tasks, strict=True):
        for row in _parts(record, labels):
            if row["kind"] == "task":
                row |= {"data": record.job["data"], "sizes": dict(told.get("sizes", {}))}
            rows.setdefault(repr(row), row)
    kinds = (*PARTS, "decoder")
    return sorted(rows.values(), key=lambda r: (kinds.index(r["kind"]), r["label"], repr(r)))


def _parts(record: Record, labels: Labels) -> Iterator[Row]:
    axes = labels.axes(record)
    for kind in PARTS:
        part = record.job[kind]
        yield _part_row(kind, axes.get(kind, part["label"] or part["name"]), part)
    for part in record.job["decoders"]:
        yield _part_row("decoder", labels.of(record, "decoder", part), part)


def _part_row(kind: str, label: str, part: Mapping[str, Any]) -> Row:
    about = {key: part[key] for key in ("name", "plugin", "version", "options")}
    return {"kind": kind, "label": label, **about}


def machine_rows(machines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Row]:
    """A row per machine: what tables call it, and what it said of itself."""
    return [{"machine": n, "about": dict(m)} for n, m in zip(names, machines, strict=True)]


def failure_rows(ledger: Ledger, labels: Labels, trials: Trained) -> list[Row]:
    """A row per strategy, stage, status and reason of what did not end ok, with its seeds: trials
    that count, trials of a search, and measurements of throughput."""
    found: dict[tuple[str, ...], list[int]] = {}
    for trial in sorted(set(trials.trial.tolist()) & set(ledger.reasons)):
        axes = labels.axes(ledger.groups[ledger.trials["group"][trial]])
        status = STATUSES[ledger.trials["status"][trial]]
        key = (*(axes[axis] for axis in AXES), "trial", status, ledger.reasons[trial])
        found.setdefault(key, []).append(ledger.seeds[ledger.trials["seed"][trial]])
    for record in ledger.searches:
        if record.status != "ok":
            axes = labels.axes(record)
            key = (*(axes[axis] for axis in AXES), "search", record.status, record.reason)
            found.setdefault(key, []).append(record.job["seed"])
    rows: list[Row] = [
        {
            **dict(zip((*AXES, "stage", "status", "reason"), key, strict=True)),
            "seeds": sorted(seeds),
        }
        for key, seeds in found.items()
    ]
    return [*rows, *_lost_speeds(ledger.measured)]


def _lost_speeds(measured: Iterable[Record]) -> Iterator[Row]:
    """What went wrong while throughput was measured."""
    nothing: Row = {**dict.fromkeys(AXES, ""), "stage": "throughput", "seeds": []}
    for record in measured:
        first = record.job["strategies"][0]
        task = first["task"]["label"] or first["task"]["name"]
        for each in record.results.get("failed", ()):
            failed = {"optimizer": str(each["strategy"]), "reason": str(each["reason"])}
            yield {**nothing, "task": task, "status": "failed", **failed}
        if record.status != "ok":
            yield {**nothing, "task": task, "status": record.status, "reason": record.reason}
