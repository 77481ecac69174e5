"""What planning found out before, so that a plan that was made before needs no framework.

Finding out what a choice becomes imports its factory, and with it all of a framework. Facts are
kept by all that they depend on: the choice, the code and the libraries behind every part in it, and
the rules of planning. What is wrong with a choice is never remembered.
"""

import inspect
import platform
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from typing import Any

import pydantic

from msbench.cache import code_digest, keep, known
from msbench.plugins.parts import DEEPEST, nested_kind, parts_in
from msbench.plugins.registry import Entry, Registry
from msbench.spec import Choice, Kind, Part

FACTS = "plans"

RULES = ("plan", "plugins", "spec.py")
"""The files of msbench that say what a suite's choices become, besides the parts' own."""


def known_part(
    registry: Registry, kind: Kind, choice: Choice, find: Callable[[], Part], what: str
) -> Part:
    """The part that a choice becomes: `find()`, asked once.

    what: how much `find` checks. PluginError as `find` raises it.
    """
    said = _said(choice)
    versions = [_version(registry, *each) for each in _named(kind, choice)]
    framework = _framework(registry, registry.entries.get((kind, choice.name)))
    about = [rules(), what, kind, said, versions, framework]
    told: list[warnings.WarningMessage] = []

    def found() -> Any:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            part = asdict(find())
        told.extend(caught)
        return part

    # What was warned of has to be said in every plan, so it is found out in every plan.
    part = known(FACTS, about, found, lasting=lambda: not told)
    for each in told:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return Part.of(part)


def resolved_part(registry: Registry, kind: Kind, choice: Choice) -> Part:
    """The part that a choice becomes, by `Registry.resolve`; it is not tried out."""
    return known_part(
        registry, kind, choice, lambda: registry.resolve(kind, choice), what="resolved"
    )


def known_of_entry(entry: Entry, what: str, find: Callable[[], Any]) -> Any:
    """Plain data about a factory: `find()`, asked once."""
    about = [rules(), what, entry.kind, entry.name, entry.plugin, entry.full_version]
    return known(FACTS, about, find)


def known_fingerprint(registry: Registry, part: Part, find: Callable[[], str]) -> str:
    """The fingerprint of a task's data: `find()`, asked once if its data and those of tasks in it
    depend on nothing but what is known here."""
    tasks = [each.name for kind, each in parts_in("task", part) if kind == "task"]
    if not all(registry.find("task", name).fixed for name in tasks):
        return find()
    archives = [source.sha256 for source in registry.sources(part)]
    fingerprint: str = known(FACTS, ["data", part.json, archives], find)
    return fingerprint


def keep_known() -> None:
    """Write what was found out to the cache."""
    keep(FACTS)


@cache
def rules() -> str:
    """What decides how a choice is read."""
    return f"{code_digest(*RULES)} {platform.python_version()} {pydantic.VERSION}"


def _said(choice: Choice, depth: int = 0) -> Any:
    """All that a choice says, as plain data, but not where; as deep as choices may be."""
    said = _plain(choice.options, depth) if depth <= DEEPEST else "deeper"
    return [choice.name, choice.label, said]


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, Choice):
        return {"choice": _said(value, depth + 1)}
    if isinstance(value, dict):
        return {"table": {str(name): _plain(each, depth) for name, each in value.items()}}
    if isinstance(value, list | tuple):
        return [_plain(each, depth) for each in value]
    return value if isinstance(value, str | int | float | None) else repr(value)  # a date of TOML


def _named(kind: Kind, choice: Choice, depth: int = 0) -> Iterator[tuple[Kind, str]]:
    """Kind and name of a choice and of those in it, as deep as they may be."""
    yield kind, choice.name
    for option, value in choice.options.items() if depth <= DEEPEST else ():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Choice):
                yield from _named(nested_kind(kind, option), each, depth + 1)


def _version(registry: Registry, kind: Kind, name: str) -> str:
    """Whose it is and which; "" where there is none, which finding out will complain about.

    Of a factory that is imported already also its parameters: defaults may come from anywhere.
    """
    entry = registry.entries.get((kind, name))
    if entry is None:
        return ""
    seen = "" if isinstance(entry.factory, str) else _signature(entry.factory)
    return f"{entry.plugin} {entry.full_version} {seen}"


def _signature(factory: Any) -> str:
    try:
        return str(inspect.signature(factory))
    except (TypeError, ValueError):
        return ""


def _framework(registry: Registry, entry: Entry | None) -> str:
    """The version of the learner that tries a part out."""
    return _version(registry, "learner", entry.learner) if entry else ""
