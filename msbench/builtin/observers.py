"""Who watches a run: its events as lines of JSON, for whatever follows them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msbench
from msbench import (
    Done,
    Event,
    Finished,
    Planned,
    Stage,
    Started,
    Trial,
    Waiting,
    inside,
)


def json_lines(folder: Path, file: str = "events.ndjson") -> Callable[[Event], None]:
    """Appends to a file in the folder of results. file: its name."""
    path = inside(folder, file)
    if path.suffix == ".jsonl":
        raise msbench.MsbenchError(f"{file}: files that end in .jsonl hold records")
    before: list[str] = []

    def observe(event: Event) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        data = {"time": now, "event": type(event).__name__.lower(), **_facts(event)}
        before.append(json.dumps(data, ensure_ascii=False) + "\n")
        if isinstance(event, Planned) or not folder.is_dir():
            return  # a dry run leaves nothing behind
        with path.open("a", encoding="utf-8") as lines:
            lines.writelines(before)
        before.clear()

    return observe


def _facts(event: Event) -> dict[str, Any]:
    match event:
        case Planned():
            return {
                "trials": len(event.expected),
                "to_do": len(event.trials),
                "measurements": len(event.measurements),
            }
        case Stage():
            return {"title": event.title, "jobs": event.total}
        case Started():
            return {"key": event.job.key, **_strategy(event.job)}
        case Finished():
            record = event.record
            return {
                "key": record.key,
                "status": record.status,
                "reason": record.reason,
                "seconds": record.seconds,
            }
        case Waiting():
            return {"jobs": event.jobs, "others": event.others}
        case Done():
            return {"records": len(event.records), "lost": event.lost}


AXES = ("task", "model", "loss", "optimizer", "schedule")


def _strategy(job: Any) -> dict[str, Any]:
    """What a trial trains; of a measurement nothing."""
    if not isinstance(job, Trial):
        return {}
    return {**{axis: getattr(job, axis).name for axis in AXES}, "seed": job.seed}
