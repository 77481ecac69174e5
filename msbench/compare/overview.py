"""Folders of records -> what was run in each, when, with what, and how complete it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from msbench.compare.labels import display_name
from msbench.errors import RecordsError
from msbench.records.outputs import SUFFIX, folder_of
from msbench.records.planned import read_plan
from msbench.records.record import Record
from msbench.records.store import THROUGHPUT, TRIALS, stream


class ResultsRow(TypedDict):
    """What a folder of records holds."""

    results: str
    """The folder."""
    suite: str
    finished: str
    """When the newest record was made: UTC, ISO 8601."""
    ok: int
    """Trials that ended ok; of those in the plan, if there is one."""
    failed: int
    missing: int | None
    """Trials of the plan without a record; None where no plan was kept."""
    others: int
    """Trials that are not in the plan, such as those of other versions."""
    measurements: int
    """Of throughput."""
    tasks: Sequence[str]
    models: Sequence[str]
    losses: Sequence[str]
    optimizers: Sequence[str]
    decoders: Sequence[str]
    seeds: Sequence[int]
    devices: Sequence[str]
    versions: Sequence[str]
    """Of msbench and torch."""
    outputs: int
    """Trials with kept outputs."""
    damaged: int
    """Lines that are no records."""


@dataclass(frozen=True)
class Overview:
    """All folders, the newest first."""

    rows: Sequence[ResultsRow]
    notes: Sequence[str] = ()


def overview(root: Path) -> Overview:
    """What lies in a folder and below it; RecordsError if there are no records."""
    names = (TRIALS, THROUGHPUT)
    try:
        folders = sorted({file.parent for name in names for file in root.rglob(name)})
    except OSError as error:
        raise RecordsError(f"{root}: cannot be read: {error.strerror or error}") from error
    rows, notes = list[ResultsRow](), list[str]()
    for folder in folders:
        try:
            rows += [row] if (row := _row(folder)) else []
        except RecordsError as error:
            notes.append(str(error))
    if not rows:
        raise RecordsError("\n".join(notes) or f"{root}: no records here, nor in any folder below")
    return Overview(sorted(rows, key=lambda row: row["finished"], reverse=True), notes)


@dataclass
class _Seen:
    """Names, each once, in the order of their records."""

    names: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, kind: str, *names: str) -> None:
        self.names.setdefault(kind, {}).update(dict.fromkeys(names))

    def of(self, kind: str) -> list[str]:
        return list(self.names.get(kind, ()))


def _row(folder: Path) -> ResultsRow | None:
    """None for a folder that holds no record yet."""
    problems: list[str] = []
    status, measured, seen = dict[str, str](), set[str](), _Seen()
    seeds, newest = set[int](), ""
    for record in stream(folder, problems, strict=False):
        newest = max(newest, record.finished)
        _look(record, seen)
        if record.is_trial:
            status[record.key] = record.status
            seeds.add(record.trial["seed"])
        else:
            measured.add(record.key)
    if not newest:
        return None
    plan = read_plan(folder)
    counted = status if plan is None else {k: s for k, s in status.items() if k in plan.trials}
    ok = sum(each == "ok" for each in counted.values())
    return {
        "results": str(folder),
        "suite": plan.suite if plan else folder.name,
        "finished": newest,
        "ok": ok,
        "failed": len(counted) - ok,
        "missing": len(plan.trials - status.keys()) if plan else None,
        "others": len(status) - len(counted),
        "measurements": len(measured),
        "tasks": seen.of("task"),
        "models": seen.of("model"),
        "losses": seen.of("loss"),
        "optimizers": seen.of("optimizer"),
        "decoders": seen.of("decoder"),
        "seeds": sorted(seeds),
        "devices": seen.of("device"),
        "versions": seen.of("version"),
        "outputs": sum(1 for _ in folder_of(folder).glob(f"*{SUFFIX}")),
        "damaged": len(problems),
    }


def _look(record: Record, seen: _Seen) -> None:
    trial = record.trial
    if not record.is_yardstick:
        parts = {kind: trial[kind] for kind in ("task", "model", "loss", "optimizer")}
        for kind, part in parts.items():
            seen.add(kind, display_name(part))
        seen.add("decoder", *map(display_name, trial["decoders"]))
    seen.add("device", trial["device"])
    known = record.machine.get("versions") or {}
    told = [f"{name} {known[name]}" for name in ("msbench", "torch") if name in known]
    if told:
        seen.add("version", ", ".join(told))


def complete(row: ResultsRow) -> str:
    """Such as "57 ok, 2 failed, 1 missing"."""
    told = [f"{row['ok']} ok"]
    told += [f"{row['failed']} failed"] if row["failed"] else []
    told += [f"{row['missing']} missing"] if row["missing"] else []
    told += ["no plan kept"] if row["missing"] is None else []
    return ", ".join(told)
