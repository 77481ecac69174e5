"""A record: what a trial or a measurement left behind."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, cast

from msbench.records.checksum import sealed, verify
from msbench.records.migrations import migrate
from msbench.records.schema import (
    VERSION,
    MeasurementData,
    MeasurementResults,
    PartData,
    Status,
    TrialData,
    TrialResults,
)
from msbench.records.validation import check_job, check_parts, check_scores, parsed
from msbench.spec import Job, Part, Select, group_of, key_of, plain


@dataclass(frozen=True)
class Record:
    """What a job left behind; `schema` has the line of JSON that it is written as."""

    key: str
    group: str
    """Hash of the job without its seed: records of one group are seeds of one strategy."""
    job: Mapping[str, Any]
    """The trial or measurement as plain data; `trial` and `measurement` have its type."""
    status: Status
    reason: str = ""
    """Why the status is not ok, in words; of one that is ok, what was lost nevertheless."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """What was measured; `trial_results` and `measurement_results` have its type."""
    seconds: float = 0.0
    """Wall clock from start to end, everything included."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    finished: str = ""
    """UTC, ISO 8601."""
    schema: int = VERSION

    @property
    def is_trial(self) -> bool:
        """Whether this came from a trial rather than a throughput measurement."""
        return "strategies" not in self.job

    @property
    def is_search(self) -> bool:
        """Whether this came from a trial that only looked for good options."""
        return (self.job.get("tuned") or {}).get("stage") == "search"

    @property
    def is_yardstick(self) -> bool:
        """Whether this came from what strategies are held against."""
        return bool(self.job.get("yardstick"))

    @property
    def is_trained(self) -> bool:
        """Whether this came from a strategy that was trained to be measured."""
        return self.is_trial and not self.is_search and not self.is_yardstick

    @property
    def is_lost(self) -> bool:
        """Whether it did not end as it should; a trial of a search may be pruned."""
        return self.status not in ("ok", "pruned")

    @property
    def trial(self) -> TrialData:
        """The job of a trial; of a measurement, its first strategy's."""
        return cast(TrialData, self.job if self.is_trial else self.job["strategies"][0])

    @property
    def measurement(self) -> MeasurementData:
        """The job of a measurement."""
        return cast(MeasurementData, self.job)

    @property
    def trial_results(self) -> TrialResults:
        """The results of a trial."""
        return cast(TrialResults, self.results)

    @property
    def measurement_results(self) -> MeasurementResults:
        """The results of a measurement."""
        return cast(MeasurementResults, self.results)

    @property
    def validation_loss(self) -> float:
        """The last one; infinite for a trial that did not end ok."""
        if self.status != "ok":
            return math.inf
        value = self.trial_results["training"]["curve"][-1]["validation_loss"]
        return math.inf if value is None else value

    @property
    def validation_curve(self) -> list[float]:
        """The losses on validation as far as training got, infinite where one was no number."""
        curve = (self.results.get("training") or {}).get("curve", ())
        losses = [point["validation_loss"] for point in curve]
        return [math.inf if loss is None else loss for loss in losses]

    def objective(self, select: Select) -> float:
        """What a search minimizes: the validation loss, or the metric of the best decoder, negated
        where more is better. Infinite for a trial that did not end ok or gave none."""
        if select == "loss" or self.status != "ok":
            return self.validation_loss
        task = self.trial_results["task"]
        sign = 1 if task["metrics"][task["metric"]]["lower_is_better"] else -1
        values = [decoded["metrics"].get(task["metric"]) for decoded in self.results["decoding"]]
        return min((sign * value for value in values if value is not None), default=math.inf)

    def to_json(self) -> str:
        """One line of strict JSON that ends in its checksum: numbers that are not finite become
        null, halves of characters (lone surrogates) become "?"."""
        line = json.dumps(_finite(vars(self)), allow_nan=False, ensure_ascii=False)
        return sealed(line.encode(errors="replace")).decode()

    @classmethod
    def from_json(cls, line: str | bytes) -> "Record":
        """The record of one line, of an older layout too; ValueError says what is wrong with it."""
        line = line.encode() if isinstance(line, str) else line
        whole = verify(line)
        data = parsed(line)
        job = data["job"]
        if job is None:
            raise ValueError("its job is missing")
        check_parts(job)
        return cls.of(data, job, key_of(job), group_of(job), whole=whole)

    @classmethod
    def of(
        cls, data: dict[str, Any], job: Mapping[str, Any], key: str, group: str, *, whole: bool
    ) -> "Record":
        """The record of a line's data, which is changed; ValueError if they contradict each other.

        job: with its key and group. whole: whether the line has a checksum.
        """
        if data["schema"] >= SEALED and not whole:
            raise ValueError("its checksum is missing")
        check_job(data, key, group)
        migrate(data)
        data["job"] = job
        # Without __init__: setting the fields of a frozen class one by one takes long.
        record = cls.__new__(cls)
        record.__dict__.update(zip(_FIELDS, _VALUES(data), strict=True))
        if record.is_trial:
            check_scores(record.trial_results)
        return record


def part_data(part: Part) -> PartData:
    """A part as a record has it."""
    return cast(PartData, asdict(part))


_FIELDS = tuple(each.name for each in fields(Record))
_VALUES = itemgetter(*_FIELDS)

SEALED = 3
"""The first layout whose lines end in a checksum."""


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
    data = plain(job)
    return Record(
        job.key, group_of(data), data, status, reason, results or {}, seconds, machine or {}, now
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(v) for v in value]
    return _finite(asdict(value)) if is_dataclass(value) and not isinstance(value, type) else value
