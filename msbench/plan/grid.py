"""Ladders: a decoder whose options are lists stands for one decoder at every rung.

A list is a ladder where the option itself takes no list. That is for the factory's annotations to
say, so that no suite needs a notation for it.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from pydantic import PydanticUserError, TypeAdapter

from msbench.errors import PluginError
from msbench.plugins.options import annotated
from msbench.plugins.parts import NESTED
from msbench.plugins.registry import Entry
from msbench.spec import Choice


def rungs(entry: Entry, choice: Choice) -> list[Choice]:
    """The product of all ladders among the choice's options, the last one fastest; without any,
    the choice itself. PluginError if one is empty or names a value twice.

    Options that the factory does not have stay as they are: resolving them says what is wrong.
    """
    known = entry.options()
    ladders = {
        name: value
        for name, value in choice.options.items()
        if isinstance(value, list) and name not in NESTED and _is_single(known.get(name))
    }
    problems = [
        f"{entry.kind} {entry.name!r}: option {name!r}: {reason}"
        for name, values in ladders.items()
        if (reason := _wrong(values))
    ]
    if problems:
        raise PluginError("\n".join(problems))
    return [
        replace(choice, options={**choice.options, **dict(zip(ladders, values, strict=True))})
        for values in product(*ladders.values())
    ]


def told(choice: Choice) -> str:
    """The choice with the options that it sets: `beam (width=8)`."""
    options = ", ".join(f"{name}={_value(value)}" for name, value in choice.options.items())
    return f"{choice.label or choice.name} ({options})" if options else choice.label or choice.name


def _value(value: Any) -> str:
    several = value if isinstance(value, list) else [value]
    if not several or not all(isinstance(each, Choice) for each in several):
        return str(value)
    names = [told(each) for each in several]
    return f"[{', '.join(names)}]" if isinstance(value, list) else names[0]


def _is_single(parameter: inspect.Parameter | None) -> bool:
    """Whether an option is known and takes no list."""
    if parameter is None or parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return False
    try:
        return not _has_arrays(TypeAdapter(annotated(parameter)).json_schema())
    except PydanticUserError:  # a class of the plugin's own, of which JSON knows nothing
        return True


def _has_arrays(schema: Mapping[str, Any]) -> bool:
    """Whether a JSON schema lets an array pass; that of anything at all says nothing."""
    if several := schema.get("anyOf", schema.get("oneOf")):
        return any(map(_has_arrays, several))
    says = {"type", "enum", "const", "$ref"} & set(schema)
    return not says or schema.get("type") == "array"


def _wrong(values: Sequence[Any]) -> str:
    """Empty, or why these are no ladder."""
    if not values:
        return "an empty list leaves no decoder"
    kinds = [(isinstance(value, bool), value) for value in values]  # True == 1
    twice = [value for n, (_, value) in enumerate(kinds) if kinds[n] in kinds[:n]]
    return f"{twice[0]!r} is in the list twice" if twice else ""
