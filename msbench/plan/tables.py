"""TOML tables -> fields of the dataclasses in spec.py, which are the schema.

What is wrong is appended to `problems`, with `where` (file and key) in front, and reading goes on,
so that all problems of a file are found at once.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from msbench.errors import did_you_mean, shown
from msbench.spec import Choice

NAMED = ("name", "label")
"""Keys that any part may have and that are not options of its factory."""

SHOWN = 100
"""Problems of one table that are told."""


def parse_fields(
    kind: Any, table: Any, where: str, problems: list[str], separator: str = "."
) -> dict[str, Any]:
    """The fields of the dataclass `kind` that a table gives; none of them if it has problems.

    separator: between `where` and a key.
    """
    if not isinstance(table, dict):
        problems.append(f"{where}: should be a table, not {shown(table)}")
        return {}
    try:
        model = _model(kind).model_validate(table)
    except ValidationError as error:
        found = error.errors()
        problems += [f"{where}{separator}{_problem(kind, each)}" for each in found[:SHOWN]]
        if len(found) > SHOWN:  # the nearest names of thousands of keys would take seconds
            problems.append(f"{where}: and {len(found) - SHOWN:,} more")
        return {}
    return {name: getattr(model, key) for name, key in _keys(kind).items() if key in table}


def parse_choice(
    table: Any,
    where: str,
    problems: list[str],
    keys: tuple[str, ...] = NAMED,
    separator: str = ".",
) -> Choice:
    """A table with a name, and the tables with a name among its options, as choices.

    keys: those of the table that are not options.
    """
    options = {
        key: _option(value, f"{where}.{key}", problems)
        for key, value in (table.items() if isinstance(table, dict) else ())
        if key not in keys
    }
    if "tasks" in options:
        problems.append(
            f"{where}{separator}tasks: only an entry of [[model]], [[loss]], [[optimizer]], "
            f"[[schedule]] or [[decoder]] can be restricted to some tasks"
        )
    if isinstance(table, dict):
        table = {key: table[key] for key in _keys(Choice) if key in keys and key in table}
    own = parse_fields(Choice, table, where, problems, separator)
    if "per_task" in own:
        own["per_task"] = _per_task(own["per_task"], where, problems)
    return Choice(**{"name": "?", **own, "options": options, "where": where})


def by_task(choice: Choice, problems: list[str]) -> list[Choice]:
    """The choice for the tasks without options of their own, and one for each of the others."""
    choices = [replace(choice, per_task={}, others=tuple(choice.per_task))]
    for task, options in choice.per_task.items():
        where = f"{choice.where}.per_task.{task}"
        if choice.tasks and task not in choice.tasks:
            problems.append(f"{where}: is not among its tasks")
        try:
            own = choice.having(options)
        except (KeyError, AttributeError):
            problems.append(f"{where}: has options of a base, and the entry has no such base")
        else:
            choices.append(replace(own, tasks=(task,), per_task={}, where=where))
    return choices


def _per_task(
    tables: Mapping[str, Mapping[str, Any]], where: str, problems: list[str]
) -> dict[str, dict[str, Any]]:
    """By task, options with choices among them."""
    return {
        task: {
            name: _option(value, f"{where}.per_task.{task}.{name}", problems)
            for name, value in options.items()
        }
        for task, options in tables.items()
    }


def _option(value: Any, where: str, problems: list[str]) -> Any:
    """An option's value: a choice, a list of choices, or anything else as it is."""
    if _has_name(value):
        return parse_choice(value, where, problems)
    if isinstance(value, list) and value and all(map(_has_name, value)):
        numbered = enumerate(value, start=1)
        return [parse_choice(each, f"{where}[{number}]", problems) for number, each in numbered]
    return value


def _has_name(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str)


@cache
def _model(kind: Any) -> type[BaseModel]:
    """A dataclass as a pydantic model with the file's keys."""
    columns: dict[str, Any] = {}
    for each in fields(kind):
        if key := _keys(kind).get(each.name):
            required = each.default is MISSING and each.default_factory is MISSING
            bounds = {name: bound for name, bound in each.metadata.items() if name != "key"}
            columns[key] = (each.type, Field(... if required else None, **bounds))
    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return create_model(kind.__name__, __config__=config, **columns)


def _keys(kind: Any) -> dict[str, str]:
    """Field of a dataclass -> key in the file, of those that have one."""
    keys = {each.name: each.metadata.get("key", each.name) for each in fields(kind)}
    return {name: key for name, key in keys.items() if key}


def _problem(kind: Any, error: Any) -> str:
    """One pydantic error as a sentence with the key and what would be right."""
    steps = [f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in error["loc"]]
    place = "".join(steps).removeprefix(".")
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key{did_you_mean(place, _keys(kind).values())}"
    if error["type"] == "missing":
        return f"{place}: missing; a suite needs it"
    if error["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        near = did_you_mean(str(error["input"]), allowed)
        return f"{place}: {error['msg']}, not {shown(error['input'])}{near}"
    if error["type"] == "too_short":
        return f"{place}: is empty; a suite needs one"
    return f"{place}: {error['msg'].replace('tuple', 'list')}, not {shown(error['input'])}"
