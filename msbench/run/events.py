"""What a driver tells while a suite runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from msbench.plan.versions import Replaced
from msbench.records.record import Record
from msbench.spec import Job, Measurement, Trial


@dataclass(frozen=True)
class Planned:
    """The first event: what belongs to the suite, and what of it is still to do."""

    expected: Sequence[Trial]
    """All trials, as far as records decide: with tuning, winners are known after their search."""
    trials: Sequence[Trial]
    """Those that have no record yet."""
    measurements: Sequence[Measurement]
    """Throughput measurements that have no record yet."""
    problems: Sequence[str]
    """A sentence for every line of the folder that is no record."""
    unsealed: Sequence[str]
    """A sentence for every file of it with records that have no checksum."""
    replaced: Replaced
    """Records of other versions of code or libraries: their work is done again."""
    notes: Sequence[str] = ()
    """Who chose the options that are compared; what is done otherwise than the suite says."""


@dataclass(frozen=True)
class Stage:
    """Some jobs are about to be launched."""

    title: str
    total: int


@dataclass(frozen=True)
class Started:
    """A job has started."""

    job: Job


@dataclass(frozen=True)
class Finished:
    """A job has left its record, which is on the disk; maybe another driver's."""

    record: Record


@dataclass(frozen=True)
class Waiting:
    """What is left of a stage is done by other drivers of this folder, unless they die."""

    jobs: int
    others: str
    """Who they are, in words."""


@dataclass(frozen=True)
class Done:
    """The last event."""

    records: Sequence[Record]
    """Of every trial and measurement of the suite."""
    lost: int
    """How many left none: their launcher lost them."""


Event = Planned | Stage | Started | Finished | Waiting | Done
