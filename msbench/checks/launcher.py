"""Launchers: what takes jobs and hands back their records."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from msbench.checks.findings import Wrong
from msbench.checks.subject import Subject
from msbench.records.record import Record, record
from msbench.spec import Job, Part, Training, Trial

NOTHING = Part("nothing", {}, "msbench", "0")
JOBS = 3


def can_be_made(subject: Subject) -> None:
    """With all options at their defaults it gives a function that launches jobs."""
    if not callable(subject.make()):
        raise Wrong("its factory returns nothing that can be called")


def does_every_job_once(subject: Subject) -> None:
    """Every job that it takes comes back as a record, once, and it ends after the last.

    A job that is lost is reported as lost, and would be run again for ever."""
    wanted = _jobs()
    launched = subject.make()(iter(wanted), done, limit=30.0, preload=())
    records = [each for each in launched if isinstance(each, Record)]
    got, keys = sorted(each.key for each in records), sorted(each.key for each in wanted)
    if got != keys:
        raise Wrong(
            f"of {len(keys)} jobs {len(set(got) & set(keys))} came back, by {len(got)} records"
        )
    if bad := [each.reason for each in records if each.status != "ok"]:
        raise Wrong(f"a job that does nothing ended with {bad[0]!r}")


def takes_jobs_when_it_has_room(subject: Subject) -> None:
    """It asks for a job when it can start one, and not for all at once.

    A job that was asked for is this run's to do: others that share the folder cannot take it."""
    asked = 0

    def many() -> Iterator[Trial]:
        nonlocal asked
        for job in _jobs(100):
            asked += 1
            yield job

    launched = iter(subject.make()(many(), done, limit=30.0, preload=()))
    while not isinstance(next(launched), Record):
        pass
    taken = asked
    getattr(launched, "close", lambda: None)()
    if taken == 100:
        raise Wrong(
            "it took all of 100 jobs before the first was done; ask for the next when needed"
        )


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    does_every_job_once,
    takes_jobs_when_it_has_room,
)


def done(job: Job) -> Record:
    """The record of a job that does nothing."""
    time.sleep(0.01)
    return record(job, "ok")


def _jobs(number: int = JOBS) -> list[Trial]:
    trial = Trial(
        *(NOTHING,) * 5, (), NOTHING, Training(), 0, "cpu", 1, "float32", data="none"
    )  # fmt: skip
    return [replace(trial, seed=seed) for seed in range(number)]
