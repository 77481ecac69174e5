"""What a command line says instead of a suite's file: `training.passes=500`, one value each.

Settings are changed where they stand, before anything is checked, so that whatever is wrong with
the outcome is told as of any suite.
"""

import re
import tomllib
from collections.abc import Container, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from msbench.errors import SuiteError, did_you_mean
from msbench.kinds import Kind
from msbench.plugins.registry import Registry
from msbench.spec import LISTED, Choice, Question, Suite, display_name

Table = dict[str, Any]

FITTED: dict[str, Kind] = {
    "models": "model",
    "losses": "loss",
    "optimizers": "optimizer",
    "schedules": "schedule",
    "decoders": "decoder",
    "yardsticks": "model",
}
"""Fields of a suite whose parts are for some tasks, and of which kind they are."""


def overridden(table: Mapping[str, Any], settings: Sequence[str]) -> Table:
    """The table of a suite with `KEY=VALUE` for each of the settings, in their order.

    KEY: `training.passes`, or `KIND.NAME.OPTION` for all entries of a kind with this name or label,
    `optimizer.sam.base.lr` among them; what the suite says of the option by task gives way, too.
    VALUE: as in TOML, or a bare word. SuiteError lists what is wrong with the settings.
    """
    changed, problems = deepcopy(dict(table)), list[str]()
    for setting in settings:
        try:
            _set(changed, *_parsed(setting))
        except ValueError as error:
            problems.append(f"-o {setting}: {error}")
    if problems:
        raise SuiteError(problems)
    return changed


def restricted(suite: Suite, only: Mapping[str, Sequence[str]], registry: Registry) -> Suite:
    """The suite with these of its parts alone, by kind and name; of a kind without names, all.

    Tasks that no model is left for go, too, and parts that no task is left for.
    """
    problems, kept = list[str](), dict[str, Any]()
    for kind, names in only.items():
        choices = getattr(suite, f"{kind}s")
        known = {name for each in choices for name in _names(each)}
        problems += [
            f"--{kind} {name}: the suite has none{did_you_mean(name, known)}"
            for name in names
            if name not in known
        ]
        if names:
            kept[f"{kind}s"] = tuple(each for each in choices if _names(each) & {*names})
    if baseline := _left_out(suite.baseline, suite.optimizers, kept.get("optimizers", ())):
        problems.append(
            f"--optimizer: the baseline {baseline!r} is left out: ask for it too "
            f"(--optimizer {baseline}), or name another (-o baseline=NAME)"
        )
    if problems:
        raise SuiteError(problems)
    return _fitting(replace(suite, **kept), registry) if kept else suite


def _left_out(name: str, choices: Sequence[Choice], kept: Sequence[Choice]) -> str:
    """The name again if something is kept, but of what has the name nothing; else ""."""
    there, left = (any(display_name(c) == name for c in each) for each in (choices, kept))
    return name if kept and there and not left else ""


def _fitting(suite: Suite, registry: Registry) -> Suite:
    """Without tasks that have no model, and without what is for other tasks."""
    tasks = tuple(
        task
        for task in suite.tasks
        if any(_is_for(registry, "model", model, task) for model in suite.models)
    )
    left = {name for task in tasks for name in _names(task)}
    kept: dict[str, Any] = {"tasks": tasks, "question": _question(suite.question, left)}
    for field, kind in FITTED.items():
        kept[field] = tuple(
            replace(each, tasks=tuple(name for name in each.tasks if name in left))
            for each in getattr(suite, field)
            if any(_is_for(registry, kind, each, task) for task in tasks)
        )
    targets = {name: value for name, value in suite.targets.items() if name in left}
    return replace(suite, **kept, targets=targets)


def _is_for(registry: Registry, kind: Kind, choice: Choice, task: Choice) -> bool:
    """Whether a part is meant for a task and works on its kind; what is unknown is told later."""
    if choice.tasks and not _names(task) & {*choice.tasks}:
        return False
    known = registry.entries
    entry, of_task = known.get((kind, choice.name)), known.get(("task", task.name))
    if entry is None or of_task is None or not entry.fits or not of_task.fits:
        return True
    return bool({*entry.fits} & {*of_task.fits})


def _question(question: Question, tasks: Container[str]) -> Question:
    """Of these tasks alone."""
    metric, decoder = (
        {name: each for name, each in by_task.items() if name in tasks}
        for by_task in (question.metric, question.decoder)
    )
    return replace(question, metric=metric, decoder=decoder)


def _names(choice: Choice) -> set[str]:
    return {choice.name, display_name(choice)}


def _parsed(setting: str) -> tuple[list[str], Any]:
    """Key and value; ValueError says what is wrong with them."""
    key, found, text = setting.partition("=")
    path = key.strip().split(".")
    if not found or not all(path):
        raise ValueError("is no KEY=VALUE such as optimizer.adamw.lr=3e-3 or training.passes=500")
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        if not re.fullmatch(r"\s*[\w+-]+\s*", text):
            raise ValueError(f"its value is not as in TOML: {error}") from error
        table = {"value": text.strip()}
    if len(table) > 1:
        raise ValueError("has more than one value")
    return path, table["value"]


def _set(table: Table, path: list[str], value: Any) -> None:
    """Set one value; ValueError if there is no such place."""
    kind, *rest = path
    if kind not in LISTED or not isinstance(table.get(kind), list):
        return _put(table, path, value)
    if len(rest) < 2:
        raise ValueError(f"names no option: {kind}.NAME.OPTION=VALUE")
    name, *option = rest
    entries = [each for each in table[kind] if isinstance(each, dict)]
    known = {str(each[key]) for each in entries for key in ("name", "label") if key in each}
    if name not in known:
        raise ValueError(f"the suite has no {kind} {name!r}{did_you_mean(name, known)}")
    for entry in entries:
        if name in (entry.get("name"), entry.get("label")):
            _put(entry, option, value)
            for task in (entry.get("per_task") or {}).values():
                _forget(task, option)
    return None


def _put(table: Table, path: list[str], value: Any) -> None:
    """Set what is inside tables, which are made where there are none."""
    *outer, last = path
    for depth, name in enumerate(outer, start=1):
        inside = table.setdefault(name, {})
        if not isinstance(inside, dict):
            raise ValueError(f"{'.'.join(path[:depth])} is no table")
        table = inside
    table[last] = value


def _forget(table: Table, path: list[str]) -> None:
    """Take an option out that may be written as `"base.lr"` or as a table in a table."""
    table.pop(".".join(path), None)
    *outer, last = path
    for name in outer:
        if not isinstance(table := table.get(name, {}), dict):
            return
    table.pop(last, None)
