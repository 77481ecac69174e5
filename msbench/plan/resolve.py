"""Choices -> parts: names, options and fit, with every problem that was found."""

import inspect
from collections.abc import Sequence
from itertools import product

from msbench.errors import PluginError, did_you_mean
from msbench.plan.grid import rungs
from msbench.plugins.parts import parts_in
from msbench.plugins.registry import Entry, Registry
from msbench.spec import COMPARED, Choice, Kind, Part, Suite

Resolved = list[tuple[Choice, Entry, Part]]


def resolve_suite(suite: Suite, registry: Registry) -> tuple[dict[Kind, Resolved], list[str]]:
    lists = suite.choices()
    parts: dict[Kind, Resolved] = {kind: [] for kind in lists}
    problems = []
    for kind, choices in lists.items():
        for choice in choices:
            found, wrong = resolve(registry, kind, choice)
            parts[kind] += found
            problems += wrong
    known = [display_name(task) for task in suite.tasks] + [task.name for task in suite.tasks]
    for choice in (c for kind, choices in lists.items() if kind != "task" for c in choices):
        for name in choice.tasks:
            if name not in known:
                problems.append(
                    f"{choice.where}: tasks: no task {name!r} in this suite"
                    f"{did_you_mean(name, known)}"
                )
    optimizers = [display_name(choice) for choice in suite.optimizers]
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


def fit_problems(suite: Suite, registry: Registry, parts: dict[Kind, Resolved]) -> list[str]:
    problems = []
    tasks = parts["task"]
    for kind in COMPARED:
        for choice, entry, _ in parts[kind]:
            if choice.tasks:
                misfits = [t for t in tasks if _names(choice, t[0]) and not kind_fits(entry, t)]
            else:
                misfits = [] if any(kind_fits(entry, t) for t in tasks) else tasks
            for task in misfits:
                problems.append(
                    f"{choice.where}: {kind} {entry.name!r} works on "
                    f"{' and '.join(entry.fits)} tasks, and {display_name(task[0])!r} is a "
                    f"{' or '.join(task_kinds(task))} task"
                )
        for task in tasks:
            if not any(fits(choice, entry, task) for choice, entry, _ in parts[kind]):
                problems.append(f"{task[0].where}: no {kind} in this suite fits {task[0].name!r}")
    for learner in {entry.learner for _, entry, _ in parts["model"]}:
        check = getattr(registry.find("learner", learner).load(), "check_device", None)
        if check is not None and (reason := check(suite.device)):
            problems.append(f"{suite.path}: device: {suite.device!r} cannot be used: {reason}")
    for task, model in product(tasks, parts["model"]):
        framework = model[1].learner
        kinds: tuple[Kind, ...] = ("loss", "optimizer", "decoder")
        for each in kinds if fits(model[0], model[1], task) else ():
            found = [e for c, e, _ in parts[each] if fits(c, e, task)]
            if found and all(entry.learner != framework for entry in found):
                problems.append(
                    f"{model[0].where}: model {model[1].name!r} is for {framework}, and no {each} "
                    f"for {task[0].name!r} is ({found[0].name!r} is for {found[0].learner})"
                )
    return problems


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
                f"and {display_name(task[0])!r} is a {' or '.join(task_kinds(task))} task"
                for task in tasks
                if not kind_fits(entry, task)
            ]
    return problems


def fits(choice: Choice, entry: Entry, task: tuple[Choice, Entry, Part]) -> bool:
    named = not choice.tasks or _names(choice, task[0])
    return named and kind_fits(entry, task)


def _names(choice: Choice, task: Choice) -> bool:
    return bool({task.name, display_name(task)} & set(choice.tasks))


def kind_fits(entry: Entry, task: tuple[Choice, Entry, Part]) -> bool:
    """Whether a part works on a task's kind."""
    several = task_kinds(task)
    return not entry.fits or not several or bool(set(entry.fits) & set(several))


def task_kinds(task: tuple[Choice, Entry, Part]) -> Sequence[str]:
    """What a task is registered as; of several kinds, the one that its option `kind` says."""
    kind = task[2].options.get("kind")
    return [kind] if isinstance(kind, str) and kind in task[1].fits else task[1].fits


def display_name(choice: Choice) -> str:
    return choice.label or choice.name
