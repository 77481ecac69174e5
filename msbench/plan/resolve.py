"""Choices -> parts: do the names exist, are the options right, does every part fit a task."""

import inspect
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

from msbench.errors import MsbenchError, PluginError, PluginWarning, did_you_mean
from msbench.plan.grid import expand_grid, grid_size
from msbench.plan.known import known_of_entry, known_part
from msbench.plan.limits import too_many
from msbench.plugins.parts import DEEPEST, VOCABULARY, parts_in
from msbench.plugins.registry import Entry, Registry
from msbench.spec import COMPARED, Choice, Kind, Part, Suite, display_name


class Resolved(NamedTuple):
    """A choice, what it names, and the part that it becomes."""

    choice: Choice
    entry: Entry
    part: Part


Parts = dict[Kind, list[Resolved]]


def resolve_suite(suite: Suite, registry: Registry) -> tuple[Parts, list[str]]:
    """Every part that the suite names, by kind, and every problem with names and options."""
    parts: Parts = {}
    if problems := too_many("parts", _count_parts(suite, registry)):
        return parts, [f"{suite.path}: {problem}" for problem in problems]
    for kind, choices in suite.choices().items():
        results = [resolve(registry, kind, choice) for choice in choices]
        parts[kind] = [each for resolved, _ in results for each in resolved]
        problems += [problem for _, found in results for problem in found]
    problems += _restriction_problems(suite)
    problems += _phase_problems(suite, registry, parts["task"])
    optimizers = [display_name(choice) for choice in suite.optimizers]
    if suite.baseline and suite.baseline not in optimizers:
        problems.append(
            f"{suite.path}: baseline: no optimizer {suite.baseline!r} in this suite"
            f"{did_you_mean(suite.baseline, optimizers)}"
        )
    return parts, problems


def _count_parts(suite: Suite, registry: Registry) -> int:
    """How many parts the suite names, those inside of others and every point of a grid counted."""
    in_phases = [each for phase in suite.phases for each in phase.parts().items()]
    listed = [(kind, each) for kind, several in suite.choices().items() for each in several]
    count = 0
    for kind, choice in (*listed, *in_phases):
        entry = registry.entries.get((kind, choice.name))
        points = grid_size(entry, choice) if entry and kind == "decoder" else 1
        count += points * sum(1 for _ in _choices_in(choice))
    return count


def _choices_in(choice: Choice, depth: int = 0) -> Iterator[Choice]:
    """A choice and all choices among its options, as deep as they may be."""
    yield choice
    for value in choice.options.values() if depth <= DEEPEST else ():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Choice):
                yield from _choices_in(each, depth + 1)


def resolve(registry: Registry, kind: Kind, choice: Choice) -> tuple[list[Resolved], list[str]]:
    """What a choice stands for (a decoder for its whole grid), and the problems with it."""
    resolved: list[Resolved] = []
    problems: list[str] = []
    choices = [choice]
    try:
        entry = registry.find(kind, choice.name)
        if kind == "decoder":
            choices = expand_grid(entry, choice)
    except PluginError as error:
        choices, problems = [], str(error).splitlines()
    for each in choices:
        try:
            part = known_part(registry, kind, each, partial(_tried, registry, kind, each), "tried")
            resolved.append(Resolved(each, entry, part))
        except PluginError as error:
            problems += str(error).splitlines()
    return resolved, [f"{choice.where}: {line}" for line in dict.fromkeys(problems)]


def fit_problems(suite: Suite, registry: Registry, parts: Parts) -> list[str]:
    """Parts that fit no task, tasks that no part fits, and parts of different frameworks."""
    problems = []
    tasks = parts["task"]
    for kind in COMPARED:
        for each in parts[kind]:
            restricted = each.choice.tasks
            meant = [task for task in tasks if _is_for(each.choice, task.choice)]
            misfits = [task for task in meant if not kind_fits(each.entry, task)]
            if restricted or (misfits and len(misfits) == len(meant)):
                problems += [misfit(each.choice.where, each.entry, task) for task in misfits]
        for task in tasks:
            if not any(fits(each, task) for each in parts[kind]):
                problems.append(
                    f"{task.choice.where}: no {kind} in this suite fits {task.choice.name!r}"
                )
    problems += [
        misfit(each.choice.where, each.entry, tasks[0])
        for each in parts["metric"]
        if tasks and not any(fits(each, task) for task in tasks)
    ]
    for learner in {each.entry.learner for each in parts["model"]}:
        try:
            _check_device(registry.find("learner", learner), suite.device)
        except MsbenchError as error:
            problems.append(f"{suite.path}: device: {suite.device!r} cannot be used: {error}")
    return problems + _framework_problems(parts) + _tokenizer_problems(parts)


def misfit(where: str, entry: Entry, task: Resolved) -> str:
    """That a part does not work on a task of this kind, as a sentence."""
    return (
        f"{where}: {entry.kind} {entry.name!r} works on {' and '.join(entry.fits)} tasks, and "
        f"{display_name(task.choice)!r} is a {' or '.join(task_kinds(task.entry, task.part))} task"
    )


def fits(resolved: Resolved, task: Resolved) -> bool:
    """Whether a part is for a task: it works on its kind, and is not restricted to others."""
    return _is_for(resolved.choice, task.choice) and kind_fits(resolved.entry, task)


def kind_fits(entry: Entry, task: Resolved) -> bool:
    """Whether a part works on a task's kind."""
    kinds = task_kinds(task.entry, task.part)
    return not entry.fits or not kinds or not set(entry.fits).isdisjoint(kinds)


def task_kinds(entry: Entry, part: Part) -> Sequence[str]:
    """What a task is registered as; of several kinds, the one that its option `kind` says."""
    kind = part.options.get("kind")
    return [kind] if isinstance(kind, str) and kind in entry.fits else entry.fits


def _is_for(choice: Choice, task: Choice) -> bool:
    """Whether the suite means a part for a task."""
    names = {task.name, display_name(task)}
    return names.isdisjoint(choice.others) and (
        not choice.tasks or not names.isdisjoint(choice.tasks)
    )


def _check_device(learner: Entry, device: str) -> None:
    """MsbenchError if the learner cannot use the device. That a CPU can be used is remembered;
    other devices come and go."""

    def check() -> bool:
        getattr(learner.load(), "check_device", lambda device: None)(device)
        return True

    if device == "cpu":
        known_of_entry(learner, device, check)
    else:
        check()


def _tried(registry: Registry, kind: Kind, choice: Choice) -> Part:
    """What the choice becomes, after it was made once as far as that is possible."""
    part = registry.resolve(kind, choice)
    _try_building(registry, kind, part)
    return part


def _try_building(registry: Registry, kind: Kind, part: Part) -> None:
    """Parts that are made from their options alone are made once here: bad options show early.

    An optimizer is made for a very small model, if its framework has one for that.
    """
    build = registry.build(kind, part)
    if kind == "optimizer":
        framework = registry.find("learner", registry.find(kind, part.name).learner)
        check = getattr(framework.load(), "check_optimizer", None)
        try:
            remark = check(build) if check is not None else ""
            if remark:
                warnings.warn(f"optimizer {part.name!r}: {remark}", PluginWarning, stacklevel=2)
        except MsbenchError as error:
            raise PluginError(f"optimizer {part.name!r}: {error}") from error
    if kind not in ("loss", "schedule", "decoder", "metric", "launcher"):
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
    except SystemExit as error:
        raise PluginError(f"{kind} {part.name!r} ends the process: SystemExit({error})") from error


def _restriction_problems(suite: Suite) -> list[str]:
    """Tasks that `tasks = [...]` of a part names and the suite does not have."""
    known = {name for task in suite.tasks for name in (task.name, display_name(task))}
    return [
        f"{choice.where}: tasks: no task {name!r} in this suite{did_you_mean(name, known)}"
        for choices in (*suite.choices().values(), suite.yardsticks)
        for choice in choices
        for name in choice.tasks
        if name not in known
    ]


def _framework_problems(parts: Parts) -> list[str]:
    """Models with a task for which no loss, optimizer or decoder is of their framework."""
    problems = []
    kinds: tuple[Kind, ...] = ("loss", "optimizer", "decoder")
    for task, model in product(parts["task"], parts["model"]):
        framework = model.entry.learner
        for kind in kinds if fits(model, task) else ():
            entries = [each.entry for each in parts[kind] if fits(each, task)]
            if entries and all(entry.learner != framework for entry in entries):
                problems.append(
                    f"{model.choice.where}: model {model.entry.name!r} is for {framework}, and no "
                    f"{kind} for {task.choice.name!r} is ({entries[0].name!r} is for "
                    f"{entries[0].learner})"
                )
    return problems


def _tokenizer_problems(parts: Parts) -> list[str]:
    """Models with a tokenizer of their own that a task cannot be prepared with."""
    return [
        f"{model.choice.where}: model {model.entry.name!r} brings its own tokenizer, and task "
        f"{task.choice.name!r} has no option {VOCABULARY!r} to take it"
        for task, model in product(parts["task"], parts["model"])
        if model.entry.tokenizer and fits(model, task) and VOCABULARY not in task.part.options
    ]


def _phase_problems(suite: Suite, registry: Registry, tasks: list[Resolved]) -> list[str]:
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
            resolved, found = resolve(registry, kind, choice)
            problems += found
            problems += [
                misfit(choice.where, entry, task)
                for _, entry, _ in resolved
                for task in tasks
                if not kind_fits(entry, task)
            ]
    return problems
