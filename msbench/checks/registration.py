"""What a plugin says of a part when it registers it."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

from msbench.checks.findings import Wrong
from msbench.checks.subject import Subject
from msbench.errors import PluginError, did_you_mean
from msbench.plugins import hookspecs
from msbench.plugins.registry import Entry
from msbench.spec import TaskKind

NAME = re.compile(r"[a-z0-9]+([-.][a-z0-9]+)*")

SCALES = ("log", "linear", "int", "choice")


def says_what_it_is(subject: Subject) -> None:
    """Its name is lower case with hyphens, and one line of `idea` tells a reader what it is."""
    entry = subject.entry
    if not NAME.fullmatch(entry.name):
        raise Wrong(f"its name {entry.name!r} is not lower case with hyphens, such as my-adamw")
    if not entry.idea.strip() or "\n" in entry.idea:
        raise Wrong("give one line that says what it is: register(..., idea=...)")


def declares_what_exists(subject: Subject) -> None:
    """What it registers exists: the factory, task kinds, options to search, its base.

    A misspelt name would never be found, searched or compared."""
    if problems := [*_problems(subject)]:
        raise Wrong("; ".join(problems))


CHECKS: tuple[Callable[[Subject], Any], ...] = (says_what_it_is, declares_what_exists)


def _problems(subject: Subject) -> Iterator[str]:
    entry = subject.entry
    options = entry.options() if entry.kind != "command" else {}
    for kind in entry.fits:
        if kind not in get_args(TaskKind):
            yield f"fits: there is no kind of task {kind!r}{did_you_mean(kind, get_args(TaskKind))}"
    if entry.steps not in get_args(hookspecs.Steps):
        yield f"steps: {entry.steps!r}{did_you_mean(entry.steps, get_args(hookspecs.Steps))}"
    if entry.base and (entry.kind, entry.base) not in subject.registry.entries:
        yield f"base: there is no {entry.kind} {entry.base!r} here"
    if entry.steps and not entry.base and "base" not in options and entry.kind != "loss":
        yield "steps: a multi-step part names the single-step part it is compared with as base"
    if not entry.passes > 0:
        yield f"passes: a step takes at least one, not {entry.passes}"
    for name, searched in (entry.space or {}).items():
        yield from _search_problems(entry, name, tuple(searched), options)


def _search_problems(
    entry: Entry, name: str, space: tuple[Any, ...], options: dict[str, inspect.Parameter]
) -> Iterator[str]:
    """What is wrong with what tuning searches of one option."""
    if name not in options:
        yield f"space: it has no option {name!r}{did_you_mean(name, options)}"
        return
    if not space or space[-1] not in SCALES or (space[-1] != "choice" and len(space) != 3):
        yield f"space: {name} = {space!r} is not (low, high, scale) with a scale of {SCALES}"
        return
    for value in space[:-1]:
        try:
            entry.load()
            _accepts(options[name], value)
        except PluginError as error:
            yield f"space: {name} = {value!r} is refused: {error}"


def _accepts(option: inspect.Parameter, value: Any) -> None:
    """PluginError if the option does not take the value."""
    from msbench.plugins.options import check_options

    _, problems = check_options({option.name: option}, {option.name: value})
    if problems:
        raise PluginError(problems[0])
