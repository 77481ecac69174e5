"""A record: what a trial or a measurement left behind, one line of JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from msbench.spec import Job, Measurement, Trial, digest, identity

SCHEMA = 1
"""Version of the record layout, written into every record."""


Status = Literal["ok", "diverged", "crashed", "timeout", "oom", "failed"]


STATUSES: tuple[Status, ...] = ("ok", "diverged", "crashed", "timeout", "oom", "failed")


@dataclass(frozen=True)
class Record:
    """What a trial (or a measurement) left behind: one JSON line."""

    key: str
    group: str
    """Hash of the job without its seed: records of one group are seeds of one strategy."""
    job: Mapping[str, Any]
    """The trial or measurement as plain data."""
    status: Status
    reason: str = ""
    """Why the status is not ok, in words; of one that is ok, what was lost nevertheless."""
    results: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    """Wall clock from start to end, everything included."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    finished: str = ""
    """UTC, ISO 8601."""
    schema: int = SCHEMA

    @property
    def is_trial(self) -> bool:
        """Whether this came from a trial rather than a throughput measurement."""
        return "strategies" not in self.job

    @property
    def is_search(self) -> bool:
        """Whether this came from a trial that only looked for good options."""
        return (self.job.get("tuned") or {}).get("stage") == "search"

    @property
    def validation_loss(self) -> float:
        """The last one; infinite for a trial that did not end ok."""
        if self.status != "ok":
            return math.inf
        value = self.results["training"]["curve"][-1]["validation_loss"]
        return math.inf if value is None else float(value)

    def to_json(self) -> str:
        """One line of strict JSON: numbers that are not finite become null."""
        return json.dumps(_finite(asdict(self)), allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> "Record":
        """The record of one line; ValueError says what is wrong with it."""
        return cls.of(json.loads(line))

    @classmethod
    def of(cls, data: Any, *, whole: bool = False) -> "Record":
        """The record of parsed JSON; ValueError says what is wrong with it.

        whole: its job is known to be.
        """
        if not isinstance(data, dict) or not data.keys() >= {"key", "group", "job"}:
            raise ValueError("not an msbench record")
        if data.get("schema") != SCHEMA:
            raise ValueError(f"record layout {data.get('schema')}, this msbench reads {SCHEMA}")
        if data.get("status") not in STATUSES:
            raise ValueError(f"unknown status {data.get('status')!r}")
        if not data.keys() <= _RECORD:  # a later version may have added some
            data = {name: value for name, value in data.items() if name in _RECORD}
        # Without __init__: setting the fields of a frozen class one by one takes long.
        made = cls.__new__(cls)
        made.__dict__.update({**_DEFAULTS, "results": {}, "machine": {}, **data})
        try:
            if not whole:
                Trial.of(made.job) if made.is_trial else Measurement.of(made.job)
            for decoded in made.results.get("decoding", ()) if made.is_trial else ():
                sum(filter(None, decoded["metrics"].values()))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("its job or results are not whole") from error
        return made


_RECORD = frozenset(each.name for each in fields(Record))


_DEFAULTS = {each.name: each.default for each in fields(Record)}


def record(
    job: Job,
    status: Status,
    reason: str = "",
    *,
    results: Mapping[str, Any] | None = None,
    seconds: float = 0.0,
    machine: Mapping[str, Any] | None = None,
) -> Record:
    """The record of `job`, dated now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    plain: dict[str, Any] = asdict(job)  # type: ignore[call-overload]
    group = digest({**identity(plain), "seed": None})
    return Record(job.key, group, plain, status, reason, results or {}, seconds, machine or {}, now)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(v) for v in value]
    return value
