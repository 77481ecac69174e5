"""Suite -> trials. Everything that can be wrong in a suite is said here, all of it at once."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from msbench import tuning
from msbench.errors import PluginError, SuiteError, did_you_mean
from msbench.ladder import rungs
from msbench.plugins import Entry, Registry, parts_in
from msbench.spec import (
    Choice,
    Kind,
    Measurement,
    Part,
    Phase,
    Record,
    Suite,
    Trial,
    Tuned,
    Tuning,
    digest,
)

Fingerprint = Callable[[Part], str]
"""Task part -> fingerprint of its prepared data."""

Resolved = list[tuple[Choice, Entry, Part]]


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
    parts, problems = _resolve(suite, registry)
    if not problems:
        problems = _fit_problems(suite, registry, parts)
    searches, more = _searches(suite, registry) if not problems else ({}, [])
    if problems or more:
        raise SuiteError([*problems, *more])
    data = {digest(asdict(part)): fingerprint(part) for _, _, part in parts["task"]}
    trials = list(_trials(suite, registry, parts, data))
    if suite.tuning is not None:
        done = {record.key: record for record in records}
        trials = _tuned(suite.tuning, trials, searches, done)
    return list({trial.key: trial for trial in trials}.values())


@dataclass(frozen=True)
class Search:
    """An optimizer's space and the points of it that are tried."""

    space: tuning.Space
    points: list[dict[str, Any]]
    parts: list[Part]
    """The optimizer at every point."""


def _searches(suite: Suite, registry: Registry) -> tuple[dict[str, Search], list[str]]:
    """The search of every optimizer of the suite, by its part; and what is wrong with any."""
    searches: dict[str, Search] = {}
    problems: list[str] = []
    if suite.tuning is None:
        given = [choice for choice in suite.optimizers if choice.space is not None]
        return {}, [f"{choice.where}.space: needs a [tuning] table" for choice in given]
    if late := [seed for seed in suite.seeds if seed >= tuning.SEEDS]:
        problems.append(
            f"{suite.path}: seeds: {late[0]}: with tuning, seeds from {tuning.SEEDS} on are for "
            f"the search, so that winners run with fresh ones"
        )
    for choice in suite.optimizers:
        try:
            entry = registry.find("optimizer", choice.name)
            space = tuning.space_of(registry, entry, choice)
            every = tuning.points(space, suite.tuning.points)
            parts = [registry.resolve("optimizer", tuning.at(choice, each)) for each in every]
            here = digest(asdict(registry.resolve("optimizer", choice)))
            if here in searches and searches[here].space != space:
                raise PluginError("two of one name have two spaces; give each a label of its own")
            searches[here] = Search(space, every, parts)
        except PluginError as error:
            lines = dict.fromkeys(str(error).splitlines())
            problems += [f"{choice.where}: {line}" for line in lines]
    return searches, problems


def _tuned(
    how: Tuning,
    trials: Sequence[Trial],
    searches: dict[str, Search],
    records: dict[str, Record],
) -> list[Trial]:
    """The search behind `trials`, then those of `trials` whose search is in, at its winner."""
    seeds = range(tuning.SEEDS, tuning.SEEDS + how.seeds)
    searched: dict[str, list[Trial]] = {}
    finals = []
    for trial in trials:
        search = searches[digest(asdict(trial.optimizer))]
        cell = replace(trial, seed=-1).key
        if cell not in searched:
            points = list(zip(search.points, search.parts, strict=True))
            searched[cell] = [
                replace(
                    trial,
                    optimizer=part,
                    seed=seed,
                    decoders=trial.decoders if how.select == "metric" else (),
                    tuned=Tuned("search", number, how.points, options),
                )
                for seed in seeds
                for number, (options, part) in enumerate(points)
            ]
        best = tuning.winner(searched[cell], records, how.select)
        if best is not None:
            at_edge = tuning.edge(search.space, search.points, best)
            tuned = Tuned("final", best, how.points, search.points[best], at_edge)
            finals.append(replace(trial, optimizer=search.parts[best], tuned=tuned))
    return [each for several in searched.values() for each in several] + finals


def measurements(suite: Suite, trials: Sequence[Trial]) -> list[Measurement]:
    """What to time, apart from the trials: per task and model, all strategies side by side."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.seed == min(suite.seeds) and not trial.is_search:
            groups.setdefault(digest([asdict(trial.task), asdict(trial.model)]), []).append(trial)
    base = suite.baseline or _display(suite.optimizers[0])
    ordered = [
        tuple(sorted(group, key=lambda t: ((t.optimizer.label or t.optimizer.name) != base, t.key)))
        for group in groups.values()
    ]
    return [Measurement(group, suite.throughput) for group in ordered if suite.throughput.rounds]


def _resolve(suite: Suite, registry: Registry) -> tuple[dict[Kind, Resolved], list[str]]:
    lists = suite.choices()
    parts: dict[Kind, Resolved] = {kind: [] for kind in lists}
    problems = []
    for kind, choices in lists.items():
        for choice in choices:
            found, wrong = resolve(registry, kind, choice)
            parts[kind] += found
            problems += wrong
    known = [_display(task) for task in suite.tasks] + [task.name for task in suite.tasks]
    for choice in (c for kind, choices in lists.items() if kind != "task" for c in choices):
        for name in choice.tasks:
            if name not in known:
                problems.append(
                    f"{choice.where}: tasks: no task {name!r} in this suite"
                    f"{did_you_mean(name, known)}"
                )
    optimizers = [_display(choice) for choice in suite.optimizers]
    problems += _phase_problems(suite, registry, parts["task"])
    if suite.baseline and suite.baseline not in optimizers:
        problems.append(
            f"{suite.path}: baseline: no optimizer {suite.baseline!r} in this suite"
            f"{did_you_mean(suite.baseline, optimizers)}"
        )
    return parts, problems


def resolve(registry: Registry, kind: Kind, choice: Choice) -> tuple[Resolved, list[str]]:
    """What a choice stands for, of a decoder every rung; and what is wrong with it."""
    found: Resolved = []
    problems: list[str] = []
    try:
        entry = registry.find(kind, choice.name)
        each_one = rungs(entry, choice) if kind == "decoder" else [choice]
    except PluginError as error:
        each_one, problems = [], str(error).splitlines()
    for each in each_one:
        try:
            part = registry.resolve(kind, each)
            _try_building(registry, kind, part)
            found.append((each, entry, part))
        except PluginError as error:
            problems += str(error).splitlines()
    return found, [f"{choice.where}: {line}" for line in dict.fromkeys(problems)]


def _try_building(registry: Registry, kind: Kind, part: Part) -> None:
    """Parts that are made from their options alone are made once here: bad options show early.

    An optimizer is made for a very small model, if its framework has one for that.
    """
    build = registry.build(kind, part)
    if kind == "optimizer":
        framework = registry.find("learner", registry.find(kind, part.name).learner)
        check = getattr(framework.load(), "check_optimizer", None)
        if check is not None and (reason := check(build)):
            raise PluginError(f"optimizer {part.name!r}: {reason}")
    if kind not in ("loss", "schedule", "decoder", "launcher"):
        return
    if kind == "decoder":  # of one that needs a task at least what is inside is made
        for nested, inside in parts_in(kind, part):
            if inside is not part:
                _try_building(registry, nested, inside)
    try:
        if "task" not in inspect.signature(build).parameters:  # some losses read their samples
            build()
    except Exception as error:
        raise PluginError(str(error) or type(error).__name__) from error


def _fit_problems(suite: Suite, registry: Registry, parts: dict[Kind, Resolved]) -> list[str]:
    problems = []
    tasks = parts["task"]
    for kind in ("model", "loss", "optimizer", "schedule", "decoder"):
        for choice, entry, _ in parts[kind]:
            if choice.tasks:
                misfits = [t for t in tasks if _names(choice, t[0]) and not kind_fits(entry, t)]
            else:
                misfits = [] if any(kind_fits(entry, t) for t in tasks) else tasks
            for task in misfits:
                problems.append(
                    f"{choice.where}: {kind} {entry.name!r} works on "
                    f"{' and '.join(entry.fits)} tasks, and {_display(task[0])!r} is a "
                    f"{' or '.join(task_kinds(task))} task"
                )
        for task in tasks:
            if not any(_fits(choice, entry, task) for choice, entry, _ in parts[kind]):
                problems.append(f"{task[0].where}: no {kind} in this suite fits {task[0].name!r}")
    for learner in {entry.learner for _, entry, _ in parts["model"]}:
        check = getattr(registry.find("learner", learner).load(), "check_device", None)
        if check is not None and (reason := check(suite.device)):
            problems.append(f"{suite.path}: device: {suite.device!r} cannot be used: {reason}")
    for task, model in product(tasks, parts["model"]):
        framework = model[1].learner
        kinds: tuple[Kind, ...] = ("loss", "optimizer", "decoder")
        for kind in kinds if _fits(model[0], model[1], task) else ():
            found = [e for c, e, _ in parts[kind] if _fits(c, e, task)]
            if found and all(entry.learner != framework for entry in found):
                problems.append(
                    f"{model[0].where}: model {model[1].name!r} is for {framework}, and no {kind} "
                    f"for {task[0].name!r} is ({found[0].name!r} is for {found[0].learner})"
                )
    return problems


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
                (entry, part) for choice, entry, part in parts[kind] if _fits(choice, entry, task)
            ]
            for kind in ("model", "loss", "optimizer", "schedule", "decoder")
        }
        axes = [fitting[kind] for kind in ("model", "loss", "optimizer", "schedule")]
        for model, loss, optimizer, schedule in product(*axes):
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
                training=suite.training[_display(task[0])],
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


def _phase_problems(suite: Suite, registry: Registry, tasks: Resolved) -> list[str]:
    """What is wrong with the parts of phases; each must fit every task of the suite."""
    problems = []
    for kind, choices in suite.choices().items():
        set_by_all = suite.phases and all(kind in phase.parts() for phase in suite.phases)
        if set_by_all and (len(choices) > 1 or (kind == "optimizer" and suite.tuning)):
            problems.append(
                f"{suite.path}: phase: every phase sets its {kind}, so [[{kind}]] is never used; "
                f"leave it out of the phase that is compared"
            )
    for phase in suite.phases:
        for kind, choice in phase.parts().items():
            try:
                part = registry.resolve(kind, choice)
                _try_building(registry, kind, part)
            except PluginError as error:
                problems += [f"{choice.where}: {line}" for line in str(error).splitlines()]
                continue
            entry = registry.find(kind, choice.name)
            problems += [
                f"{choice.where}: {kind} {entry.name!r} works on {' and '.join(entry.fits)} tasks, "
                f"and {_display(task[0])!r} is a {' or '.join(task_kinds(task))} task"
                for task in tasks
                if not kind_fits(entry, task)
            ]
    return problems


def _fits(choice: Choice, entry: Entry, task: tuple[Choice, Entry, Part]) -> bool:
    named = not choice.tasks or _names(choice, task[0])
    return named and kind_fits(entry, task)


def _names(choice: Choice, task: Choice) -> bool:
    return bool({task.name, _display(task)} & set(choice.tasks))


def kind_fits(entry: Entry, task: tuple[Choice, Entry, Part]) -> bool:
    """Whether a part works on a task's kind."""
    several = task_kinds(task)
    return not entry.fits or not several or bool(set(entry.fits) & set(several))


def task_kinds(task: tuple[Choice, Entry, Part]) -> Sequence[str]:
    """What a task is registered as; of several kinds, the one that its option `kind` says."""
    kind = task[2].options.get("kind")
    return [kind] if isinstance(kind, str) and kind in task[1].fits else task[1].fits


def _display(choice: Choice) -> str:
    return choice.label or choice.name


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
