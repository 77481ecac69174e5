"""One line -> its data, checked: that it is JSON, of the layout of `schema`, and possible."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic_core import SchemaValidator, ValidationError, core_schema, from_json

from msbench.records.schema import (
    VERSION,
    MeasurementRecordData,
    MetricData,
    PartData,
    TrialRecordData,
    TrialResults,
)
from msbench.spec import is_part

ROUNDING = 1e-6
"""What a score may be outside of its range: BLEU of a perfect translation is 100.00000000000004."""


def parsed(line: bytes) -> dict[str, Any]:
    """The data of a line, in the layout it was written in; ValueError says what is wrong first."""
    errors = []
    for layout in (TrialRecordData, MeasurementRecordData):
        try:
            data: dict[str, Any] = _validator(layout).validate_json(line)
        except ValidationError as error:
            errors.append(error)
            continue
        if (layout is MeasurementRecordData) == _is_measurement(data):
            if layout is MeasurementRecordData and not data["job"]["strategies"]:
                raise ValueError("job.strategies: is empty")
            return data
    raise ValueError(_problem(line, errors))


def check_parts(value: Any) -> None:
    """ValueError if a part somewhere within a job is not whole."""
    if is_part(value):
        try:
            _validator(PartData).validate_python(value)
        except ValidationError as error:
            raise ValueError(f"{value['name']!r:.60} is no whole part") from error
    inside = value.values() if isinstance(value, dict) else value
    for each in inside if isinstance(value, dict | list) else ():
        check_parts(each)


def check_job(data: Mapping[str, Any], key: str, group: str) -> None:
    """ValueError if the data of a line have other hashes than their job."""
    for name, hashed in (("key", key), ("group", group)):
        if data[name] != hashed:
            raise ValueError(f"its {name} is {data[name]!r:.30}, and that of its job {hashed!r}")


def check_scores(results: TrialResults) -> None:
    """ValueError if a score is out of the range of its metric, as far as that is known."""
    metrics = _metrics(results)
    for decoded in results.get("decoding", ()):
        for name, value in decoded["metrics"].items():
            if value is not None and name in metrics:
                _check_range(name, metrics[name], value, value)


def check_examples(results: TrialResults) -> None:
    """The same of scores per example, which are many: for who writes a record, not who reads it."""
    metrics = _metrics(results)
    for decoded in results.get("decoding", ()):
        for name, values in decoded["examples"].items():
            known = [value for value in values if value is not None]
            if known and name in metrics:
                _check_range(name, metrics[name], min(known), max(known))


def _metrics(results: TrialResults) -> Mapping[str, MetricData]:
    return results["task"].get("metrics", {}) if "task" in results else {}


def _check_range(name: str, metric: MetricData, lowest: float, highest: float) -> None:
    low, high = metric["low"], metric["high"]
    if low is not None and lowest < low - ROUNDING:
        raise ValueError(f"a score of {lowest:g} in {name}, which is {low:g} at least")
    if high is not None and highest > high + ROUNDING:
        raise ValueError(f"a score of {highest:g} in {name}, which is {high:g} at most")


def _is_measurement(data: Mapping[str, Any]) -> bool:
    return "strategies" in (data.get("job") or {})


def _problem(line: bytes, errors: Sequence[ValidationError]) -> str:
    """Why a line is no record: the first of what is wrong, and how much more there is."""
    if errors[0].errors(include_url=False, include_context=False)[0]["type"] == "json_invalid":
        return errors[0].errors(include_url=False, include_context=False)[0]["msg"]
    data = from_json(line)
    if not isinstance(data, dict) or not data.keys() >= {"key", "group", "job"}:
        return "not an msbench record"
    if data.get("schema") not in range(1, VERSION + 1):
        return f"record layout {data.get('schema')}, this msbench reads 1 to {VERSION}"
    meant = errors[-1 if isinstance(data["job"], dict) and _is_measurement(data) else 0]
    first, *others = meant.errors(include_url=False, include_context=False)
    where = ".".join(str(step) for step in first["loc"])
    more = f", and {len(others)} more" if others else ""
    return f"{where}: {first['msg']}, not {first['input']!r:.60}{more}"


@cache
def _validator(layout: Any) -> SchemaValidator:
    """What checks the data of a line.

    pydantic's own compiler of schemas gives the same, and takes a quarter of a second to import.
    """
    return SchemaValidator(core_schema.definitions_schema(_schema(layout), [_json()]))


def _json() -> core_schema.CoreSchema:
    """Anything that JSON can hold: most readers also take NaN and infinity, which it cannot."""
    inside = core_schema.definition_reference_schema("json")
    return core_schema.union_schema(
        [
            core_schema.str_schema(),
            core_schema.int_schema(strict=True),
            *map(_schema, (float, NoneType, bool)),
            core_schema.list_schema(inside),
            core_schema.dict_schema(core_schema.str_schema(), inside),
        ],
        mode="left_to_right",
        custom_error_type="json",
        custom_error_message="Input should be valid JSON",
        ref="json",
    )


_PLAIN: dict[Any, Callable[[], core_schema.CoreSchema]] = {
    str: core_schema.str_schema,
    # No more than 64 bits, which tables can hold.
    int: lambda: core_schema.int_schema(strict=True, ge=-(2**63), lt=2**63),
    float: lambda: core_schema.float_schema(strict=True, allow_inf_nan=False),
    bool: lambda: core_schema.bool_schema(strict=True),
    NoneType: core_schema.none_schema,
    Any: lambda: core_schema.definition_reference_schema("json"),
}


def _schema(hint: Any) -> core_schema.CoreSchema:
    """A type hint of `schema` as pydantic-core has it."""
    if hint in _PLAIN:
        return _PLAIN[hint]()
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return core_schema.literal_schema(list(inner))
    if origin is list:
        return core_schema.list_schema(_schema(inner[0]))
    if origin is dict:
        return core_schema.dict_schema(_schema(inner[0]), _schema(inner[1]))
    if origin is UnionType:
        rest = [each for each in inner if each is not NoneType]
        union = _union(rest)
        return core_schema.nullable_schema(union) if NoneType in inner else union
    required = hint.__required_keys__
    hints = get_type_hints(hint)
    fields = {
        name: core_schema.typed_dict_field(_schema(each), required=name in required)
        for name, each in hints.items()
    }
    return core_schema.typed_dict_schema(fields, extra_behavior="allow", extras_schema=_schema(Any))


def _union(hints: Sequence[Any]) -> core_schema.CoreSchema:
    choices: list[Any] = [_schema(each) for each in hints]
    return (
        choices[0] if len(choices) == 1 else core_schema.union_schema(choices, mode="left_to_right")
    )
