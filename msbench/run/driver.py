"""Suite -> records: plan, launch, append, again until nothing is missing.

`run_suite` tells what happens as events; the command line prints them, and any other program may
do something else with them.
"""

import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from msbench.data.download import fetch
from msbench.data.sources import Source, check
from msbench.errors import MsbenchError, PluginError
from msbench.plan.trials import Fingerprint, expected, measurements
from msbench.plan.versions import Replaced, replaced
from msbench.plugins.registry import Entry, Registry
from msbench.records.record import Record
from msbench.records.store import Stored, append, prepare_folder, read
from msbench.run.job import run_job
from msbench.run.weights import FOLDER
from msbench.spec import Choice, Job, Kind, Measurement, Part, Suite, Trial

AnyJob = TypeVar("AnyJob", bound=Job)


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
    replaced: Replaced = ()
    """Records of other versions of code or libraries: their work is done again."""


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
    """A job has left its record, which is on the disk."""

    record: Record


@dataclass(frozen=True)
class Done:
    """The last event."""

    records: Sequence[Record]
    """Of every trial and measurement of the suite."""
    lost: int
    """How many left none: their launcher lost them."""


Event = Planned | Stage | Started | Finished | Done


def run_suite(
    suite: Suite,
    registry: Registry,
    folder: Path,
    *,
    retry: bool = False,
    fetch: Callable[[Source], Any] | None = fetch,
) -> Generator[Event, None, None]:
    """Run what of the suite has no record in `folder`; `Planned` comes first and `Done` last.

    Records are appended to the folder as they come, so that an interrupted run goes on where it
    was. Nothing is written before the second event is asked for: a caller that stops after
    `Planned` has made a dry run. retry: also do trials again that did not end ok. fetch: brings
    the archives of tasks; None leaves them, and the data of a trial is then unknown ("").

    Raises SuiteError with all that is wrong with the suite, StoreError if records cannot be kept.
    """
    fingerprint = cache_by_part(partial(fingerprint_of, registry, fetch=fetch))
    stored = _stored(folder)
    kept = [record for record in stored.records if record.status == "ok" or not retry]
    every = expected(suite, registry, kept, fingerprint)
    trials, timed = _missing(every, kept), _missing(measurements(suite, every), kept)
    yield Planned(every, trials, timed, stored.problems, replaced(trials, stored.records))
    if trials or timed:
        prepare_folder(folder)
    launch = partial(_launch_jobs, registry, suite, folder)
    tried: set[str] = set()
    # A search decides which trials are next, so the plan is made again until nothing is left to do.
    while trials and not {trial.key for trial in trials} <= tried:
        yield from launch([t for t in trials if t.is_search], suite.launcher, "tuning")
        yield from launch([t for t in trials if not t.is_search], suite.launcher, "trials")
        tried |= {trial.key for trial in trials}
        records = _stored(folder).records
        kept = [r for r in records if r.status == "ok" or not retry or r.key in tried]
        every = expected(suite, registry, kept, fingerprint)
        trials = _missing(every, kept)
    timed = _missing(measurements(suite, every), kept)
    yield from launch(timed, Choice("processes", {"workers": 1}), "throughput")
    jobs: list[Job] = [*every, *measurements(suite, every)]
    keys = {job.key for job in jobs}
    finished = [record for record in _stored(folder).records if record.key in keys]
    yield Done(finished, len(keys) - len(finished))


def launch_jobs(
    registry: Registry,
    jobs: Sequence[Job],
    launcher: Choice,
    title: str,
    *,
    run: Callable[[Job], Record],
    keep: Callable[[Record], Any],
    limit: float,
    preload: Sequence[str],
) -> Generator[Event, None, None]:
    """Launch jobs, and keep every record before the next one is awaited."""
    if not jobs:
        return
    yield Stage(title, len(jobs))
    launch = registry.build("launcher", registry.resolve("launcher", launcher))()
    launched = launch(jobs, run, limit=limit, preload=preload)
    try:
        for each in launched:
            if isinstance(each, Record):
                keep(each)
                yield Finished(each)
            else:
                yield Started(each)
    finally:
        getattr(launched, "close", lambda: None)()  # any iterator will do


def preload_modules(registry: Registry, entries: Sequence[Entry]) -> list[str]:
    """The modules that parts and their learners live in and that a server can import by name."""
    learners = {entry.learner for entry in entries}
    entries = [*entries, *(registry.find("learner", name) for name in learners)]
    modules = {m for e in entries if (m := e.module()) in sys.modules and find_spec(m)}
    return sorted(modules | {module for e in entries for module in e.preload})


def entries_of(registry: Registry, trials: Sequence[Trial]) -> list[Entry]:
    """Where the tasks, models and decoders of trials come from."""
    names: set[tuple[Kind, str]] = set()
    for trial in trials:
        names |= {("task", trial.task.name), ("model", trial.model.name)}
        names |= {("decoder", part.name) for part in trial.decoders}
    return [registry.find(kind, name) for kind, name in sorted(names)]


def fingerprint_of(registry: Registry, part: Part, *, fetch: Callable[[Source], Any] | None) -> str:
    """The fingerprint of a task's data, fetched first if need be; "" if it is not to be had."""
    for source in registry.sources(part):
        if check(source) == "missing":
            if fetch is None:
                return ""
            fetch(source)
    try:
        fingerprint: str = registry.build("task", part)().fingerprint()
    except MsbenchError:
        raise
    except Exception as error:
        raise PluginError(
            f"task {part.name!r} of plugin {part.plugin} cannot be prepared: "
            f"{type(error).__name__}: {error}"
        ) from error
    return fingerprint


def cache_by_part(function: Fingerprint) -> Fingerprint:
    """`function`, asked once per part."""
    known: dict[str, str] = {}

    def ask(part: Part) -> str:
        if repr(part) not in known:
            known[repr(part)] = function(part)
        return known[repr(part)]

    return ask


def _launch_jobs(
    registry: Registry,
    suite: Suite,
    folder: Path,
    jobs: Sequence[Job],
    launcher: Choice,
    title: str,
) -> Generator[Event, None, None]:
    """Launch jobs of a suite."""
    choices = [(kind, each) for kind, several in suite.choices().items() for each in several]
    weights = folder / FOLDER if suite.keep_weights else None
    return launch_jobs(
        registry,
        jobs,
        launcher,
        title,
        run=partial(run_job, files=tuple(registry.files), weights=weights),
        keep=partial(append, folder),
        limit=suite.limit * max(map(_strategies, jobs), default=1),
        preload=preload_modules(registry, [registry.find(k, each.name) for k, each in choices]),
    )


def _strategies(job: Job) -> int:
    """How many strategies a job trains: a measurement has all of them in one process."""
    return len(job.strategies) if isinstance(job, Measurement) else 1


def _missing(jobs: Sequence[AnyJob], records: Sequence[Record]) -> list[AnyJob]:
    """The jobs that have no record."""
    done = {record.key for record in records}
    return [job for job in jobs if job.key not in done]


def _stored(folder: Path) -> Stored:
    return read(folder, strict=False) if any(folder.glob("*.jsonl")) else Stored(())
