"""Suite -> trials. Everything that can be wrong in a suite is said here, all of it at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from itertools import product

from msbench.errors import SuiteError
from msbench.plan.resolve import Resolved, display_name, fit_problems, fits, resolve_suite
from msbench.plan.tuning import searches_of, tuned_trials
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.spec import (
    COMPARED,
    Choice,
    Kind,
    Measurement,
    Part,
    Phase,
    Suite,
    Trial,
    digest,
)

Fingerprint = Callable[[Part], str]
"""Task part -> fingerprint of its prepared data."""


def plan(
    suite: Suite, registry: Registry, records: Iterable[Record], fingerprint: Fingerprint
) -> list[Trial]:
    """The trials of `suite` that have no record yet and can be done now, seed by seed.

    With tuning, final trials can be done once their search is in: ask again with its records.
    """
    done = {record.key: record for record in records}
    trials = expected(suite, registry, done.values(), fingerprint)
    return [trial for trial in trials if trial.key not in done]


def expected(
    suite: Suite, registry: Registry, records: Iterable[Record], fingerprint: Fingerprint
) -> list[Trial]:
    """All trials that belong to `suite` as far as `records` decide, done or not.

    SuiteError lists every problem with file, key and the nearest name; `fingerprint` (which
    reads data) is only asked when there is none.
    """
    parts, problems = resolve_suite(suite, registry)
    if not problems:
        problems = fit_problems(suite, registry, parts)
    searches, more = searches_of(suite, registry) if not problems else ({}, [])
    if problems or more:
        raise SuiteError([*problems, *more])
    data = {digest(asdict(part)): fingerprint(part) for _, _, part in parts["task"]}
    trials = list(_trials(suite, registry, parts, data))
    if suite.tuning is not None:
        done = {record.key: record for record in records}
        trials = tuned_trials(suite.tuning, trials, searches, done)
    return list({trial.key: trial for trial in trials}.values())


def measurements(suite: Suite, trials: Sequence[Trial]) -> list[Measurement]:
    """What to time, apart from the trials: per task and model, all strategies side by side."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.seed == min(suite.seeds) and not trial.is_search:
            groups.setdefault(digest([asdict(trial.task), asdict(trial.model)]), []).append(trial)
    base = suite.baseline or display_name(suite.optimizers[0])
    ordered = [
        tuple(sorted(group, key=lambda t: ((t.optimizer.label or t.optimizer.name) != base, t.key)))
        for group in groups.values()
    ]
    return [Measurement(group, suite.throughput) for group in ordered if suite.throughput.rounds]


def _trials(
    suite: Suite, registry: Registry, parts: dict[Kind, Resolved], data: dict[str, str]
) -> Iterable[Trial]:
    learners = {
        name: registry.resolve("learner", Choice(name))
        for name in {entry.learner for _, entry, _ in parts["model"]}
    }
    phases = tuple(_planned(registry, phase) for phase in suite.phases)
    for seed, task in product(suite.seeds, parts["task"]):
        fitting = {
            kind: [
                (entry, part) for choice, entry, part in parts[kind] if fits(choice, entry, task)
            ]
            for kind in COMPARED
        }
        axes = [fitting[kind] for kind in COMPARED if kind != "decoder"]
        for optimizer, loss, model, schedule in product(*axes):
            framework = model[0].learner
            decoders = [p for e, p in fitting["decoder"] if e.learner == framework]
            # One that two tables name, one of them by a ladder, is one.
            unique = {digest(asdict(part)): part for part in decoders}
            if {loss[0].learner, optimizer[0].learner} != {framework}:
                continue
            yield Trial(
                task=task[2],
                model=model[1],
                loss=loss[1],
                optimizer=optimizer[1],
                schedule=schedule[1],
                decoders=tuple(unique[each] for each in sorted(unique)),
                learner=learners[framework],
                training=suite.training[display_name(task[0])],
                seed=seed,
                device=suite.device,
                threads=suite.threads,
                dtype=suite.dtype,
                data=data[digest(asdict(task[2]))],
                phases=phases,
            )


def _planned(registry: Registry, phase: Phase) -> Phase:
    parts = {kind: registry.resolve(kind, choice) for kind, choice in phase.parts().items()}
    return Phase(phase.passes, parts.get("loss"), parts.get("optimizer"), parts.get("schedule"))


def with_overrides(
    suite: Suite, *, seeds: int | None, device: str | None, workers: int | None
) -> Suite:
    """The suite with what the command line says instead."""
    if seeds is not None:
        suite = replace(suite, seeds=tuple(range(seeds)))
    if device is not None:
        suite = replace(suite, device=device)
    if workers is not None:
        options = {**suite.launcher.options, "workers": workers}
        suite = replace(suite, launcher=replace(suite.launcher, options=options))
    return suite
