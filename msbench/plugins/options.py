"""A factory's signature is the schema of its options: types, defaults, problems with a value."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, create_model

from msbench.errors import shown
from msbench.spec import Part


def check_options(
    known: Mapping[str, inspect.Parameter], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """All options of a factory: the given values checked, the rest at their defaults.

    known: its parameters. An option's type is its annotation, else the type of its default. Parts
    among the given values are passed on as they are. Returns the options and a list of problems.
    """
    named = {k: v for k, v in known.items() if v.kind is not inspect.Parameter.VAR_KEYWORD}
    nested = {name: value for name, value in given.items() if _is_nested(value)}
    plain = {name: value for name, value in given.items() if name not in nested}
    fields: dict[str, Any] = {
        # A leading underscore or a name such as "copy" would trip pydantic, hence the aliases.
        f"option_{number}": (annotated(each), Field(_default(each), alias=name))
        for number, (name, each) in enumerate(named.items())
        if name not in nested
    }
    config = ConfigDict(strict=True, extra="ignore", arbitrary_types_allowed=True)
    model = create_model("Options", __config__=config, **fields)
    try:
        # By way of JSON, where strict still lets a TOML array be a tuple.
        values = model.model_validate_json(json.dumps(plain, default=str)).model_dump(by_alias=True)
        values = {n: v + 0.0 if isinstance(v, float) else v for n, v in values.items()}  # no -0.0
    except ValidationError as error:
        return {}, [_problem(each) for each in error.errors()]
    free = len(named) < len(known)
    extra = {name: value for name, value in plain.items() if free and name not in named}
    problems = [
        f"option {name!r}: {shown(value)} is not plain data (finite numbers, texts, lists)"
        for name, value in (values | extra).items()
        if not _is_plain(value)
    ]
    if problems:
        return {}, problems
    return {**values, **extra, **nested}, []


def annotated(parameter: inspect.Parameter) -> Any:
    """An option's type: its annotation, else the type of its default, else anything."""
    if parameter.annotation is not inspect.Parameter.empty:
        return parameter.annotation
    unknown = parameter.default is inspect.Parameter.empty or parameter.default is None
    return Any if unknown else type(parameter.default)


def supplied(factory: Callable[..., Any], **context: Any) -> Any:
    """What the factory returns when it is called with the parts of the context that it asks for."""
    wanted = inspect.signature(factory).parameters
    return factory(**{name: value for name, value in context.items() if name in wanted})


def _is_nested(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(each, Part) for each in items)


def _default(parameter: inspect.Parameter) -> Any:
    return ... if parameter.default is inspect.Parameter.empty else parameter.default


def _problem(error: Any) -> str:
    name = ".".join(str(step) for step in error["loc"])
    if error["type"] == "missing":
        return f"option {name!r} is missing and has no default"
    hint = ""
    if isinstance(error["input"], list) and error["type"].endswith("_type") and "." not in name:
        hint = "; several values are for the options of a [[decoder]] itself and for [tuning]"
    return f"option {name!r}: {error['msg']}, not {shown(error['input'])}{hint}"


def _is_plain(value: Any) -> bool:
    """Whether a record, which is strict JSON in UTF-8, can hold the value."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        return False
    return True
