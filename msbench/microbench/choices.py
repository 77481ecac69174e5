"""Parts with every required option filled: the plainest ones, so that nothing else is timed."""

import inspect
from typing import Any

from msbench.errors import PluginError
from msbench.plugins.parts import LISTED, NESTED, nested_kind
from msbench.plugins.registry import Entry, Registry
from msbench.spec import Choice, Kind, Part, TaskKind

PLAIN = ("adamw", "cross-entropy", "greedy", "argmax", "constant", "encoder")
"""The parts that others are put together with, where they are registered; else the first one."""


def able(registry: Registry, entry: Entry, width: int = 0) -> Part:
    """The part with its required options: those that are parts themselves are the plainest of
    their kind; PluginError names what else has no default. width: of a model that has one."""
    options: dict[str, Any] = {}
    for name, parameter in entry.options().items():
        if parameter.default is inspect.Parameter.empty and name in NESTED:
            inner = registry.find(nested_kind(entry.kind, name), _name(registry, entry, name))
            choice = Choice(inner.name)
            options[name] = [choice] if name in LISTED else choice
    if width and "width" in entry.options():
        options["width"] = width
    return registry.resolve(entry.kind, Choice(entry.name, options))


def plain(registry: Registry, kind: Kind, framework: str, task: TaskKind) -> Part:
    """The plainest part of a kind for a task's kind in a framework."""
    return able(registry, _plainest(registry, kind, framework, task))


def model_of(registry: Registry, task: TaskKind, framework: str, width: int) -> Part:
    """The plainest model of that width, if it has one."""
    return able(registry, _plainest(registry, "model", framework, task), width)


def _name(registry: Registry, entry: Entry, option: str) -> str:
    """What stands in a required option of a part: never what needs such an option itself."""
    kind = nested_kind(entry.kind, option)
    task: Any = (entry.fits or ("classify",))[0]
    return _plainest(registry, kind, entry.learner, task).name


def _plainest(registry: Registry, kind: Kind, framework: str, task: TaskKind) -> Entry:
    fitting = [
        entry
        for entry in registry.of(kind)
        if entry.learner == framework
        and (not entry.fits or task in entry.fits)
        and not any(_is_required(each) for each in entry.options().values())
    ]
    if not fitting:
        raise PluginError(f"there is no {kind} for {task} in {framework!r} to time it with")
    return min(fitting, key=lambda entry: (entry.name not in PLAIN, entry.name))


def _is_required(option: inspect.Parameter) -> bool:
    return option.default is inspect.Parameter.empty and option.kind not in (
        inspect.Parameter.VAR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
