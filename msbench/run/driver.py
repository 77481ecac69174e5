"""Suite -> records: plan, launch, append, again until nothing is missing.

`run_suite` tells what happens as events (events.py); the command line prints them, and any other
program may do something else with them.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from time import sleep
from typing import Any, TypeVar

from msbench.data.download import fetch
from msbench.data.sources import Source, check
from msbench.errors import DataError, MsbenchError, PluginError, SuiteError
from msbench.faults import fault
from msbench.paths import exists
from msbench.plan.kept import kept_notes
from msbench.plan.known import known_fingerprint
from msbench.plan.modes import mode_notes
from msbench.plan.processes import processes_notes
from msbench.plan.question import question_of
from msbench.plan.shards import Shard, check_shards
from msbench.plan.trials import Fingerprint, expected, measurements
from msbench.plan.tuning import tuning_notes
from msbench.plan.versions import replaced
from msbench.plugins.loading import OWN
from msbench.plugins.registry import Entry, Registry
from msbench.records.leases import Leases
from msbench.records.planned import write_plan
from msbench.records.question import seeds_looked_for, write_question
from msbench.records.record import Record
from msbench.records.store import Stored, prepare_folder, read
from msbench.run.checkpoint import ENDED, Checkpoints
from msbench.run.checkpoint import FOLDER as CHECKPOINTS
from msbench.run.events import Done, Event, Finished, Planned, Stage, Started, Waiting
from msbench.run.job import run_job
from msbench.run.memory import GB
from msbench.run.ranks import check_alone
from msbench.run.weights import FOLDER
from msbench.spec import Choice, Job, Kind, Measurement, Part, Suite, Trial

AnyJob = TypeVar("AnyJob", bound=Job)


PAUSE = 0.25
"""Seconds between two looks at what other drivers have done."""


def run_suite(
    suite: Suite,
    registry: Registry,
    folder: Path,
    *,
    retry: bool = False,
    fetch: Callable[[Source], Any] | None = fetch,
    stopping: Callable[[], bool] = lambda: False,
    shard: Shard | None = None,
) -> Generator[Event, None, None]:
    """Run what of the suite has no record in `folder`; `Planned` comes first and `Done` last.

    Records are appended to the folder as they come, so that an interrupted run goes on where it
    was; several runs at once share the work. Nothing is written before the second event is asked
    for: a caller that stops after `Planned` has made a dry run. retry: also do trials again that
    did not end ok. fetch: brings the archives of tasks; None leaves them, and the data of a
    trial is then unknown (""). stopping: once it is true no job is started any more, and
    KeyboardInterrupt is raised when the running ones are recorded. shard: run this part of the
    trials alone, and measure no throughput.

    Raises SuiteError with all that is wrong with the suite, StoreError if records cannot be kept.
    """
    check_alone()
    fingerprint = cache_by_part(partial(fingerprint_of, registry, fetch=fetch))
    looked = seeds_looked_for(folder)
    _check_looks(suite, folder, looked)
    if shard:
        check_shards(suite)
    leases = Leases(folder)  # before records are read: what is recorded meanwhile is news
    stored = stored_in(folder)
    kept = [record for record in stored.records if not (record.is_lost and retry)]
    plan = partial(_planned, suite, registry, fingerprint, shard)
    whole, every, measured = plan(kept)
    trials, timed = _missing(every, kept), _missing(measured, kept)
    outdated = replaced(trials, stored.records)
    modes = mode_notes([*trials, *(t for each in timed for t in each.strategies)], registry)
    notes = [*tuning_notes(suite), *processes_notes(suite), *modes]
    notes += kept_notes(suite, trials, registry)
    yield Planned(every, trials, timed, stored.problems, stored.unsealed, outdated, notes)
    if trials or timed:
        prepare_folder(folder)
    if folder.is_dir():
        _keep_question(suite, folder, whole, looked)
    fault("prepared")
    with leases:
        launch = partial(_launch_jobs, registry, suite, folder, leases, stopping)
        tried, records = set[str](), stored.records
        # A search decides which trials are next, so the plan is made again until nothing is left.
        while trials and not {trial.key for trial in trials} <= tried:
            yield from launch([t for t in trials if t.is_search], suite.launcher, "tuning")
            yield from launch([t for t in trials if not t.is_search], suite.launcher, "trials")
            tried |= {trial.key for trial in trials}
            records = stored_in(folder).records
            kept = [r for r in records if not (r.is_lost and retry) or r.key in tried]
            whole, every, measured = plan(kept)
            trials = _missing(every, kept)
            _keep_question(suite, folder, whole, looked)  # of a search, only winners have decoders
            fault("planned")
        if timed := _missing(measured, kept):
            yield from launch(timed, Choice("processes", {"workers": 1}), "throughput")
            records = stored_in(folder).records
    jobs: list[Job] = [*every, *measured]
    keys = {job.key for job in jobs}
    finished = [record for record in records if record.key in keys]
    fault("done")
    yield Done(finished, len(keys) - len(finished))


def _planned(
    suite: Suite,
    registry: Registry,
    fingerprint: Fingerprint,
    shard: Shard | None,
    kept: Sequence[Record],
) -> tuple[list[Trial], list[Trial], list[Measurement]]:
    """All trials of the suite, those to run, of a shard or all, and what is measured then."""
    whole = expected(suite, registry, kept, fingerprint)
    if shard:
        return whole, shard.of_suite(whole), []
    return whole, whole, measurements(suite, whole)


def launch_jobs(
    registry: Registry,
    jobs: Sequence[Job],
    launcher: Choice,
    title: str,
    *,
    run: Callable[[Job], Record],
    leases: Leases,
    complete: Callable[[Record], Record | None] = lambda record: record,
    limit: float,
    preload: Sequence[str],
    stopping: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Launch jobs, and keep every record before the next one is awaited.

    Jobs that another driver does are waited for, and done here if it dies. leases: on the jobs.
    complete: what to keep of a job, instead of its record; None for nothing. stopping: as in
    `run_suite`.
    """
    if not jobs:
        return
    yield Stage(title, len(jobs))
    launch = registry.build("launcher", registry.resolve("launcher", launcher))()
    left = {job.key: job for job in jobs}
    waiting = False
    while left:
        free = _leased(list(left.values()), leases, stopping)
        if job := next(free, None):
            fault("launch")
            launched = launch(chain([job], free), run, limit=limit, preload=preload)
            yield from _kept(launched, left, leases, complete)
        for record in leases.news():
            if left.pop(record.key, None):
                yield Finished(record)
        for key in leases.recorded & left.keys():  # before this stage had begun
            del left[key]
        if stopping():
            raise KeyboardInterrupt
        if left and not job:
            if not waiting and (others := leases.others()):
                waiting = True
                yield Waiting(len(left), others)
            sleep(PAUSE)


def _leased(jobs: Sequence[Job], leases: Leases, stopping: Callable[[], bool]) -> Iterator[Job]:
    """The jobs that nobody else does, each leased when a launcher asks for it."""
    for job in jobs:
        if stopping():
            return
        if leases.take(job.key, alone=isinstance(job, Measurement)):
            yield job


def _kept(
    launched: Iterator[Job | Record],
    left: dict[str, Job],
    leases: Leases,
    complete: Callable[[Record], Record | None],
) -> Iterator[Event]:
    """What a launcher tells, as events; what has a record, or gets none, is taken out of `left`."""
    try:
        for each in launched:
            if isinstance(each, Record):
                made = complete(each)
                if made is None:
                    leases.release(each.key)
                elif not (made := leases.record(made)):
                    continue  # another driver has taken it over, and its record counts
                left.pop(each.key, None)
                yield Finished(made or each)
            else:
                yield Started(each)
    finally:
        getattr(launched, "close", lambda: None)()  # any iterator will do
    for key in leases.held():  # the launcher lost them
        leases.release(key)
        left.pop(key, None)


def preload_modules(registry: Registry, entries: Sequence[Entry]) -> list[str]:
    """Our own modules of parts and their learners, and what plugins ask to have preloaded.

    The modules of other plugins are left to the workers that need them: what importing them changes
    of the process must not reach trials that do without them.
    """
    learners = {entry.learner for entry in entries if entry.kind == "model"}
    entries = [*entries, *(registry.find("learner", name) for name in learners)]
    own = {m for e in entries if (m := e.module()).startswith(f"{OWN}.")}
    return sorted(own | {module for e in entries for module in e.preload})


def modules_of(suite: Suite, registry: Registry) -> list[str]:
    """What trials of a suite have imported before they start."""
    choices = [(kind, each) for kind, several in suite.choices().items() for each in several]
    return preload_modules(registry, [registry.find(k, each.name) for k, each in choices])


def entries_of(registry: Registry, trials: Sequence[Trial]) -> list[Entry]:
    """Where the tasks, models and decoders of trials come from."""
    names: set[tuple[Kind, str]] = set()
    for trial in trials:
        names |= {("task", trial.task.name), ("model", trial.model.name)}
        names |= {("decoder", part.name) for part in trial.decoders}
    return [registry.find(kind, name) for kind, name in sorted(names)]


def fingerprint_of(
    registry: Registry,
    part: Part,
    model: Part | None = None,
    *,
    fetch: Callable[[Source], Any] | None,
) -> str:
    """The fingerprint of a task's data, fetched first if need be; "" if it is not to be had.

    model: one that brings a tokenizer, which may come from files anywhere, so nothing of it is
    remembered.
    """
    for source in registry.sources(part):
        if check(source) != "ok":
            if fetch is None:
                return ""
            fetch(source)
    find = partial(_fingerprint, registry, part, model)
    return find() if model else known_fingerprint(registry, part, find)


def _fingerprint(registry: Registry, part: Part, model: Part | None) -> str:
    try:
        task = registry.make_task(part, model) if model else registry.build("task", part)()
        fingerprint: str = task.fingerprint()
    except DataError as error:
        raise DataError(f"task {(part.label or part.name)!r}: {error}") from error
    except MsbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"task {part.name!r} of plugin {part.plugin} cannot be prepared"
            f"{f' for model {model.name!r}' if model else ''}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return fingerprint


def cache_by_part(function: Fingerprint) -> Fingerprint:
    """`function`, asked once per part."""
    known: dict[str, str] = {}

    def ask(*parts: Part) -> str:
        if repr(parts) not in known:
            known[repr(parts)] = function(*parts)
        return known[repr(parts)]

    return ask


def _launch_jobs(
    registry: Registry,
    suite: Suite,
    folder: Path,
    leases: Leases,
    stopping: Callable[[], bool],
    jobs: Sequence[Job],
    launcher: Choice,
    title: str,
) -> Generator[Event, None, None]:
    """Launch jobs of a suite."""
    weights = folder / FOLDER if suite.keep_weights else None
    memory = round(suite.memory * GB)
    checkpoints = Checkpoints(folder / CHECKPOINTS, suite.checkpoint) if suite.checkpoint else None
    events = launch_jobs(
        registry,
        jobs,
        launcher,
        title,
        run=partial(
            run_job,
            files=tuple(registry.files),
            weights=weights,
            memory=memory,
            checkpoints=checkpoints,
            keep_outputs=suite.keep_outputs,
        ),
        leases=leases,
        stopping=stopping,
        limit=suite.limit * max(map(_strategies, jobs), default=1),
        preload=modules_of(suite, registry),
    )
    for event in events:
        if checkpoints and isinstance(event, Finished) and event.record.status in ENDED:
            checkpoints.of(event.record.key).remove()  # not before its record is on the disk
        yield event


def _strategies(job: Job) -> int:
    """How many strategies a job trains: a measurement has all of them in one process."""
    return len(job.strategies) if isinstance(job, Measurement) else 1


def _check_looks(suite: Suite, folder: Path, looked: int) -> None:
    """SuiteError if seeds are to be added up to another number than before: what an earlier look
    has shown cannot be unseen."""
    if looked and suite.question.max_seeds not in (0, looked):
        raise SuiteError(
            [
                f"{suite.path}: seeds were added to {folder} until there was a verdict, up to "
                f"{looked}, and looks cannot be taken back: keep --max-seeds {looked}, or use "
                f"another folder (--out)"
            ]
        )


def _keep_question(suite: Suite, folder: Path, trials: Sequence[Trial], looked: int) -> None:
    """Write what the suite asks and is to run; that there were looks stays true, whatever is run
    later."""
    question = question_of(suite, trials)
    write_question(folder, replace(question, max_seeds=question.max_seeds or looked))
    write_plan(folder, suite.name, [trial.key for trial in trials])


def _missing(jobs: Sequence[AnyJob], records: Sequence[Record]) -> list[AnyJob]:
    """The jobs that have no record."""
    done = {record.key for record in records}
    return [job for job in jobs if job.key not in done]


def stored_in(folder: Path) -> Stored:
    """The records of a folder, which need not exist."""
    there = exists(folder) and any(folder.glob("*.jsonl"))
    return read(folder, strict=False) if there else Stored(())
