"""suites/x.toml -> Suite. Whether its names exist and its parts fit is for `plan` to check.

The dataclasses in spec.py are the schema: what may stand in a table, and within which bounds.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from msbench.errors import SuiteError, did_you_mean
from msbench.kinds import plural
from msbench.spec import (
    AXES,
    STRATEGY,
    UNITS,
    Choice,
    Kind,
    Phase,
    Suite,
    Throughput,
    Training,
    Tuning,
    display_name,
)

SHIPPED = Path(__file__).parents[1] / "suites"
if not SHIPPED.is_dir():  # a source checkout; the wheel carries the folder inside the package
    SHIPPED = Path(__file__).parents[2] / "suites"

LISTED: tuple[Kind, ...] = (*AXES, "decoder")
"""The kinds of parts that a suite lists, as `[[optimizer]]`."""

NAMED = ("name", "label")
KEYS = {"task": NAMED, "optimizer": (*NAMED, "tasks", "space")}
"""The keys of a part that are not options of its factory; of a kind not named here also `tasks`."""

DEFAULTS: dict[str, Any] = {
    "loss": [{"name": "cross-entropy"}],
    "schedule": [{"name": "constant"}],
    "launcher": {"name": "processes"},
    "training": {},
    "seeds": 3,
}
"""What a suite may leave out and `Suite` has no default for."""

Table = TypeVar("Table")


def shipped_suites() -> dict[str, Path]:
    """The suites that come with msbench, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_suite(name: str) -> Path:
    """The file of a suite: the name of a shipped one, or a path."""
    path = Path(name)
    shipped = shipped_suites()
    if name in shipped:
        return shipped[name]
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise SuiteError([f"{name[:80]}...: cannot be read: {error.strerror}"]) from error
    if path.suffix != ".toml" and path.parent == Path():
        raise SuiteError([f"unknown suite {name!r}{did_you_mean(name, shipped)} (or give a path)"])
    raise SuiteError([f"{name}: no such suite file"])


def load_suite(name: str) -> Suite:
    """The suite of that name or path; SuiteError lists everything that is wrong with it."""
    path = find_suite(name)
    problems: list[str] = []
    suite = _suite(path, {**DEFAULTS, **_toml(path)}, problems)
    if suite is not None and not problems:
        problems = [f"{path}: {problem}" for problem in _contradictions(suite)]
    if suite is None or problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return replace(suite, seeds=tuple(dict.fromkeys(suite.seeds)))


def choice_of(text: str, where: str) -> Choice:
    """The choice that a command line says: `beam`, or `beam: width = [4, 8], label = "wide"`, where
    behind the colon is what would be in the braces of a TOML inline table."""
    name, _, options = text.partition(":")
    try:
        table = tomllib.loads(f"options = {{ {options} }}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SuiteError(
            [f"{where}: not NAME or NAME: option = value, option = value, as in TOML: {error}"]
        ) from error
    if "name" in table["options"] or len(table) > 1:
        raise SuiteError([f"{where}: the name stands before the colon, and options behind it"])
    problems: list[str] = []
    choice = _choice({"name": name.strip(), **table["options"]}, where, problems, separator=": ")
    if problems:
        raise SuiteError(problems)
    return choice


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SuiteError([f"{path}: not valid TOML: {error}"]) from error
    except OSError as error:
        raise SuiteError([f"{path}: cannot be read: {error.strerror}"]) from error


def _suite(path: Path, table: dict[str, Any], problems: list[str]) -> Suite | None:
    """The suite of a file; whatever is wrong with the shape of its tables goes to `problems`."""
    lists = {key: _tables(table, key, path, problems) for key in (*LISTED, "phase")}
    overrides = [task.pop("training", {}) for task in lists["task"]]
    parsed: dict[str, Any] = {"name": path.stem, "path": str(path)}
    for kind in LISTED:
        parsed[plural(kind)] = tuple(
            _choice(each, f"{path}: {kind}[{number}]", problems, KEYS.get(kind, (*NAMED, "tasks")))
            for number, each in enumerate(lists[kind], start=1)
        )
    parsed["phases"] = tuple(
        _phase(each, f"{path}: phase[{number}]", problems)
        for number, each in enumerate(lists["phase"], start=1)
    )
    shared = _override(Training(), table["training"], f"{path}: training", problems)
    parsed["training"] = {
        display_name(task): _override(shared, each, f"{path}: task[{number}].training", problems)
        for number, (task, each) in enumerate(zip(parsed["tasks"], overrides, strict=True), start=1)
    }
    parsed["launcher"] = _choice(table["launcher"], f"{path}: launcher", problems)
    if "tuning" in table:
        parsed["tuning"] = _parse(Tuning, table["tuning"], f"{path}: tuning", problems)
    if "throughput" in table:
        parsed["throughput"] = _parse(
            Throughput, table["throughput"], f"{path}: throughput", problems
        )
    done = {*lists, "training", "launcher", "tuning", "throughput"}
    settings = {key: value for key, value in table.items() if key not in done}
    settings["seeds"] = _seeds(table["seeds"])
    return _parse(Suite, settings, str(path), problems, parsed, separator=": ")


def _tables(table: dict[str, Any], key: str, path: Path, problems: list[str]) -> list[Any]:
    """The tables `[[key]]`."""
    tables = table.get(key, [])
    if not isinstance(tables, list):
        problems.append(f"{path}: {key}: should be a list of tables, [[{key}]], not {tables!r}")
        return []
    if not tables and key != "phase":
        problems.append(f"{path}: {key}: missing; a suite needs it")
    numbered = enumerate(tables, start=1)
    return [each for n, each in numbered if _is_table(each, f"{path}: {key}[{n}]", problems)]


def _is_table(value: Any, where: str, problems: list[str]) -> bool:
    if not isinstance(value, dict):
        problems.append(f"{where}: should be a table, not {value!r}")
    return isinstance(value, dict)


def _choice(
    table: Any,
    where: str,
    problems: list[str],
    keys: tuple[str, ...] = NAMED,
    separator: str = ".",
) -> Choice:
    """A table with a name, and the tables with a name among its options, as choices.

    keys: those of the table that are not options.
    """
    if not _is_table(table, where, problems):
        return Choice("?")
    if "tasks" in table and "tasks" not in keys:
        problems.append(
            f"{where}{separator}tasks: only an entry of [[model]], [[loss]], [[optimizer]], "
            f"[[schedule]] or [[decoder]] can be restricted to some tasks"
        )
    options = {
        key: _option(value, f"{where}.{key}", problems)
        for key, value in table.items()
        if key not in keys
    }
    own = {key: table[key] for key in keys if key in table}
    parsed = {"options": options, "where": where}
    return _parse(Choice, own, where, problems, parsed, separator) or Choice("?")


def _option(value: Any, where: str, problems: list[str]) -> Any:
    """An option's value: a choice, a list of choices, or anything else as it is."""
    if _is_choice(value):
        return _choice(value, where, problems)
    if isinstance(value, list) and value and all(map(_is_choice, value)):
        numbered = enumerate(value, start=1)
        return [_choice(each, f"{where}[{number}]", problems) for number, each in numbered]
    return value


def _is_choice(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str)


def _phase(table: dict[str, Any], where: str, problems: list[str]) -> Phase:
    parts: dict[str, Any] = {
        kind: _choice(table[kind], f"{where}.{kind}", problems) if kind in table else None
        for kind in STRATEGY
    }
    rest = {key: value for key, value in table.items() if key not in parts}
    return _parse(Phase, rest, where, problems, parts) or Phase()


def _override(base: Training, table: Any, where: str, problems: list[str]) -> Training:
    """`base` with what a table says instead; a budget in any unit replaces that of `base`."""
    training = _parse(Training, table, where, problems)
    if training is None:
        return base
    if any(unit in table for unit in UNITS):
        base = replace(base, passes=0, steps=0, seconds=0.0)
    return replace(base, **{key: getattr(training, key) for key in table})


def _seeds(value: Any) -> Any:
    """`seeds = 3` is short for `seeds = [0, 1, 2]`."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000:
        return list(range(value))
    return value


def _parse(
    kind: Callable[..., Table],
    table: Any,
    where: str,
    problems: list[str],
    parsed: Mapping[str, Any] | None = None,
    separator: str = ".",
) -> Table | None:
    """A table as the dataclass `kind`; None if there are problems. `parsed`: finished fields."""
    parsed = parsed or {}
    if not _is_table(table, where, problems):
        return None
    try:
        model = _model(kind, frozenset(parsed)).model_validate(table)
    except ValidationError as error:
        problems += [f"{where}{separator}{_problem(kind, each)}" for each in error.errors()]
        return None
    said = {name: getattr(model, key) for name, key in _keys(kind).items() if key in table}
    return kind(**parsed, **said)


@cache
def _model(kind: Any, parsed: frozenset[str]) -> type[BaseModel]:
    """A dataclass as a pydantic model, without the fields that are parsed already."""
    columns: dict[str, Any] = {}
    for each in fields(kind):
        if each.name not in parsed:
            required = each.default is MISSING and each.default_factory is MISSING
            bounds = {name: value for name, value in each.metadata.items() if name != "key"}
            columns[_keys(kind)[each.name]] = (
                each.type,
                Field(... if required else None, **bounds),
            )
    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return create_model(kind.__name__, __config__=config, **columns)


def _keys(kind: Any) -> dict[str, str]:
    """Field of a dataclass -> key in the file."""
    return {each.name: each.metadata.get("key", each.name) for each in fields(kind)}


def _problem(kind: Any, error: Any) -> str:
    """One pydantic error as a sentence with the key and what would be right."""
    steps = [f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in error["loc"]]
    place = "".join(steps)[1:]
    if error["type"] == "extra_forbidden":
        known = set(_keys(kind).values()) - {"path", "name"}  # those of a suite are its file's
        return f"{place}: unknown key{did_you_mean(place, known)}"
    if error["type"] == "missing":
        return f"{place}: missing; a suite needs it"
    return f"{place}: {error['msg'].replace('tuple', 'list')}, not {error['input']!r}"


def _contradictions(suite: Suite) -> Iterator[str]:
    """What is wrong with a suite although each of its tables is right by itself."""
    names = [display_name(task) for task in suite.tasks]
    if len(set(names)) < len(names):
        yield "task: two tasks have one name; give each a label of its own"
    if not suite.seeds:
        yield "seeds: an empty list leaves no trial"
    for number, seed in enumerate(suite.seeds, start=1):
        if seed < 0:
            yield f"seeds[{number}]: Input should be greater than or equal to 0, not {seed}"
    for name in suite.targets:
        if name not in names:
            yield f"target.{name}: no such task{did_you_mean(name, names)}"
    for number, name in enumerate(names, start=1):
        for problem in _budget_problems(suite.training[name], suite.limit):
            yield f"task[{number}].training: {problem}"
    yield from _phase_problems(suite)


def _budget_problems(training: Training, limit: float) -> Iterator[str]:
    units = [unit for unit in UNITS if getattr(training, unit)]
    if len(units) > 1:
        yield f"one budget, in {' or '.join(units)}, not in both"
    if training.seconds >= limit:
        yield f"a budget of {training.seconds:g} seconds needs a limit above it, not {limit:g}"
    if training.accumulate > training.batch_size:
        yield (
            f"accumulate {training.accumulate} is more parts than a batch of "
            f"{training.batch_size} has examples"
        )


def _phase_problems(suite: Suite) -> Iterator[str]:
    """All phases but the last say their passes; the last takes what they leave of the budget."""
    for number, phase in enumerate(suite.phases, start=1):
        if number < len(suite.phases) and not phase.passes:
            yield f"phase[{number}].passes: missing; only the last goes without"
        if number == len(suite.phases) and phase.passes:
            yield (
                f"phase[{number}].passes: the last phase takes what is left of the budget, "
                f"which [training] says"
            )
    used = sum(phase.passes for phase in suite.phases)
    for task, training in suite.training.items() if suite.phases else ():
        unit, _ = training.budget
        if unit != "passes":
            yield f"phase: needs a budget in passes, not in {unit}"
        elif used >= training.passes:
            yield (
                f"phase: {used} passes are all of the budget of {task!r}, "
                f"{training.passes}: nothing is left for the last phase"
            )
