"""Records, as trackers see them: runs with options, a curve and results."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msbench import Record

NAMED = ("task", "model", "loss", "optimizer", "schedule")
"""The parts that a run is named after, without those that every suite has."""

USUAL = ("cross-entropy", "constant")

TRAINED = ("passes", "steps", "samples", "tokens", "seconds")


@dataclass(frozen=True)
class Point:
    """Numbers at one moment of a run."""

    step: int
    time: float
    """UNIX time in seconds."""
    values: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """What a tracker is to show of one record."""

    id: str
    """Of the record, not of the trial: a trial that was tried again is another run."""
    name: str
    group: str
    config: Mapping[str, str | int | float | bool]
    started: float
    """UNIX time in seconds."""
    finished: float
    points: Sequence[Point] = ()
    results: Mapping[str, float] = field(default_factory=dict)
    status: str = "ok"
    reason: str = ""


def run_of(record: Record) -> Run:
    """The run of a trial: its curve and scores; of a throughput measurement: its speeds."""
    finished = datetime.fromisoformat(record.finished).timestamp()
    started = finished - record.seconds
    numbers = _trial(record) if record.is_trial else _measurement(record)
    return Run(
        id=f"{record.key}-{finished:.0f}",
        name=_name(record),
        group=record.group,
        config=dict(_flat("", record.job)),
        started=started,
        finished=finished,
        points=tuple(_points(record, started)) if record.is_trial else (),
        results=_finite({**numbers, "seconds": record.seconds}),
        status=record.status,
        reason=record.reason,
    )


def _name(record: Record) -> str:
    """Short, for people, and different for different trials."""
    data: Mapping[str, Any] = record.trial
    names = [_called(data[kind]) for kind in NAMED if data[kind]["name"] not in USUAL]
    if not record.is_trial:
        names = [names[0], names[1], "throughput"]
    elif record.is_search:
        names.append(f"search {data['tuned']['point']}")
    return " ".join([*names, f"seed {data['seed']}", record.key[:6]])


def _called(part: Mapping[str, Any]) -> str:
    return str(part["label"] or part["name"])


def _flat(key: str, value: Any) -> Iterator[tuple[str, str | int | float | bool]]:
    """("optimizer", "adamw"), ("optimizer.lr", 0.01), ("training.passes", 200), ..."""
    dot = f"{key}." if key else ""
    if isinstance(value, Mapping) and "options" in value and "name" in value:
        yield key, _called(value)
        for name, option in value["options"].items():
            yield from _flat(f"{dot}{name}", option)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _flat(f"{dot}{name}", each)
    elif isinstance(value, str | int | float | bool):
        yield key, value
    elif isinstance(value, Sequence):
        yield (
            key,
            ", ".join(
                _called(v) if isinstance(v, Mapping) and "name" in v else str(v) for v in value
            ),
        )


def _points(record: Record, started: float) -> Iterator[Point]:
    results = record.trial_results
    began = started + (results.get("setup_seconds") or 0)
    for point in results.get("training", {}).get("curve", ()):
        values = _finite({name: value for name, value in point.items() if name != "steps"})
        yield Point(point["steps"], began + (point["seconds"] or 0), values)


def _trial(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {}
    results: Mapping[str, Any] = record.trial_results
    for decoded in results.get("decoding", ()):
        for metric, value in decoded["metrics"].items():
            found[f"test/{_called(decoded['decoder'])}/{metric}"] = value
    training = results.get("training", {})
    found |= {f"training/{name}": training.get(name) for name in TRAINED}
    found |= {f"cost/{name}": value for name, value in results.get("compute", {}).items()}
    found |= {f"cost/{name}": results.get(name) for name in ("parameters", "peak_memory")}
    return found | {f"loss/{name}": value for name, value in results.get("losses", {}).items()}


def _measurement(record: Record) -> dict[str, Any]:
    """Speeds, numbered as the measurement has them: two strategies may have one name."""
    results: Mapping[str, Any] = record.measurement_results
    return {
        f"speed/{number} {_called(rates['strategy']['optimizer'])}": rates["per_second"]
        for number, rates in enumerate(results.get("training", ()), start=1)
    }


def _finite(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Without what is no number: trackers disagree on what to do with those."""
    return {
        name: float(value)
        for name, value in numbers.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
