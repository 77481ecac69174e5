"""Grids: a decoder whose options are lists stands for one decoder at each point of their grid.

A list spans a grid where the option itself takes no list. That is for the factory's annotations to
say, so that no suite needs a notation for it.
"""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

from pydantic import PydanticUserError, TypeAdapter

from msbench.errors import PluginError
from msbench.plan.known import known_of_entry
from msbench.plan.limits import too_many
from msbench.plugins.options import annotated
from msbench.plugins.parts import NESTED
from msbench.plugins.registry import Entry
from msbench.spec import Choice, display_name


def expand_grid(entry: Entry, choice: Choice) -> list[Choice]:
    """The choice at each point of its grid, the last option fastest; without lists, itself.

    PluginError if a list is empty or has a value twice, or the points are too many. Options that
    the factory does not have stay as they are: resolving them says what is wrong.
    """
    grid = _grid(entry, choice)
    if problems := too_many("parts", grid_size(entry, choice)):
        raise PluginError(f"{entry.kind} {entry.name!r}: {problems[0]}")
    if problems := [problem for name in grid for problem in _list_problems(name, grid[name])]:
        raise PluginError("\n".join(f"{entry.kind} {entry.name!r}: {each}" for each in problems))
    return [
        replace(choice, options={**choice.options, **dict(zip(grid, point, strict=True))})
        for point in product(*grid.values())
    ]


def grid_size(entry: Entry, choice: Choice) -> int:
    """The number of its points."""
    return prod(map(len, _grid(entry, choice).values()))


def describe(choice: Choice) -> str:
    """The choice with the options that it sets: `beam (width=8)`."""
    options = ", ".join(f"{name}={_describe(value)}" for name, value in choice.options.items())
    return f"{display_name(choice)} ({options})" if options else display_name(choice)


def _describe(value: Any) -> str:
    if isinstance(value, list) and any(isinstance(each, Choice) for each in value):
        return f"[{', '.join(map(_describe, value))}]"
    return describe(value) if isinstance(value, Choice) else str(value)


def _grid(entry: Entry, choice: Choice) -> dict[str, list[Any]]:
    """The options that span it."""
    lists = {
        name: values
        for name, values in choice.options.items()
        if isinstance(values, list) and name not in NESTED
    }
    if not lists:
        return {}
    single = known_of_entry(entry, "single options", lambda: _single_options(entry))
    return {name: values for name, values in lists.items() if name in single}


def _single_options(entry: Entry) -> list[str]:
    return [name for name, parameter in entry.options().items() if _is_single(parameter)]


def _is_single(parameter: inspect.Parameter) -> bool:
    """Whether an option takes no list."""
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return False
    try:
        return not _has_arrays(TypeAdapter(annotated(parameter)).json_schema())
    except PydanticUserError:  # a class of the plugin's own, of which JSON knows nothing
        return True


def _has_arrays(schema: Mapping[str, Any]) -> bool:
    """Whether a JSON schema allows an array; one without a type allows anything."""
    if alternatives := schema.get("anyOf", schema.get("oneOf")):
        return any(map(_has_arrays, alternatives))
    has_type = {"type", "enum", "const", "$ref"} & schema.keys()
    return not has_type or schema.get("type") == "array"


def _list_problems(name: str, values: list[Any]) -> list[str]:
    if not values:
        return [f"option {name!r}: an empty list leaves no decoder"]
    typed = [(isinstance(value, bool), value) for value in values]  # True == 1
    twice = [value for n, (_, value) in enumerate(typed) if typed[n] in typed[:n]]
    return [f"option {name!r}: {value!r} is in the list twice" for value in twice[:1]]
