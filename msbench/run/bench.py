"""Suite -> measurements of throughput alone, with nothing trained to the end."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from msbench.errors import SuiteError, did_you_mean
from msbench.plan.trials import Fingerprint, expected, measurements
from msbench.plugins.registry import Registry
from msbench.records.leases import Leases
from msbench.records.record import Record
from msbench.records.store import prepare_folder
from msbench.run.driver import entries_of, launch_jobs, preload_modules
from msbench.run.events import Event
from msbench.run.job import run_job
from msbench.run.memory import GB
from msbench.spec import Choice, Measurement, Part, Suite, Throughput, display_name


def planned(
    suite: Suite,
    registry: Registry,
    records: Sequence[Record],
    fingerprint: Fingerprint,
    how: Throughput,
    *,
    tasks: Sequence[str] = (),
    optimizers: Sequence[str] = (),
) -> list[Measurement]:
    """A measurement for each task and model, of those tasks and optimizers if any are named.

    Of a suite with tuning the winners are measured if `records` have all searches, else the
    optimizers as the suite has them: rates that are searched do not change the speed. SuiteError
    with what is wrong, names that are unknown included.
    """
    one = replace(suite, seeds=(min(suite.seeds),), throughput=how)
    trials = expected(one, registry, records, fingerprint)
    done = {record.key for record in records}
    if any(trial.is_search and trial.key not in done for trial in trials):
        trials = expected(replace(one, tuning=None), registry, (), fingerprint)
    found = measurements(one, trials)
    _check("task", tasks, [display_name(each.strategies[0].task) for each in found])
    names = [display_name(trial.optimizer) for each in found for trial in each.strategies]
    _check("optimizer", optimizers, names)
    chosen = [
        replace(each, strategies=mine)
        for each in found
        if (_is_named(each.strategies[0].task, tasks))
        and (mine := tuple(t for t in each.strategies if _is_named(t.optimizer, optimizers)))
    ]
    if not chosen:
        raise SuiteError([f"{suite.path}: none of these optimizers is for one of these tasks"])
    return chosen


def run_bench(
    suite: Suite,
    registry: Registry,
    folder: Path,
    jobs: Sequence[Measurement],
    stopping: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Measure one after the other, alone in the folder, and record each, whatever is recorded."""
    prepare_folder(folder)
    most = max(len(job.strategies) for job in jobs)
    rounds = 2 * max(job.throughput.seconds for job in jobs)
    with Leases(folder) as leases:
        yield from launch_jobs(
            registry,
            jobs,
            Choice("processes", {"workers": 1}),
            "throughput",
            run=partial(run_job, files=tuple(registry.files), memory=round(suite.memory * GB)),
            leases=leases,
            limit=suite.limit * (most + 1) + rounds,
            preload=preload_modules(
                registry, entries_of(registry, [t for job in jobs for t in job.strategies])
            ),
            stopping=stopping,
        )


def _check(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SuiteError(
            [f"no {kind} here is called {name!r}{did_you_mean(name, known)}" for name in unknown]
        )


def _is_named(part: Part, names: Sequence[str]) -> bool:
    return not names or display_name(part) in names
