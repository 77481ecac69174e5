"""suites/x.toml -> Suite. Whether its names exist and its parts fit is for `plan` to check.

The dataclasses in spec.py are the schema: what may stand in a table, and within which bounds.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from msbench.errors import MsbenchError, SuiteError, did_you_mean
from msbench.paths import exists, inside, read_file
from msbench.plan.batch_sizes import batch_sizes, with_batch_sizes
from msbench.plan.limits import MOST, number_problems, size_problems, too_many
from msbench.plan.overrides import overridden
from msbench.plan.question import question_problems
from msbench.plan.shipped import shipped_suites
from msbench.plan.tables import NAMED, by_task, parse_choice, parse_fields
from msbench.spec import (
    AXES,
    FIRST_LOOK,
    LISTED,
    STRATEGY,
    UNITS,
    Choice,
    Phase,
    Question,
    Suite,
    Throughput,
    Training,
    Tuning,
    display_name,
)

KEYS: dict[str, tuple[str, ...]] = dict.fromkeys(LISTED, (*NAMED, "tasks", "per_task")) | {
    "yardstick": (*NAMED, "tasks"),
    "task": (*NAMED, "training"),
    "optimizer": (*NAMED, "tasks", "per_task", "space", "count"),
}
"""The keys of each kind of part that are not options of its factory."""

DEFAULTS: dict[str, Any] = {
    "loss": [{"name": "cross-entropy"}],
    "schedule": [{"name": "constant"}],
    "launcher": {"name": "processes"},
    "training": {},
    "seeds": 3,
}
"""What a suite may leave out and `Suite` has no default for."""

SECTIONS: dict[str, Any] = {"tuning": Tuning, "throughput": Throughput, "question": Question}


def find_suite(name: str) -> Path:
    """The file of a suite: the name of a shipped one, or a path."""
    path = Path(name)
    shipped = shipped_suites()
    if name in shipped:
        return shipped[name]
    if path.suffix != ".toml" and path.parent == Path() and not exists(path):
        raise SuiteError([f"unknown suite {name!r}{did_you_mean(name, shipped)} (or give a path)"])
    return path


def load_suite(
    suite: str | PathLike[str] | Mapping[str, Any],
    settings: Sequence[str] = (),
    *,
    name: str = "suite",
) -> Suite:
    """The suite of that name or path; SuiteError lists everything that is wrong with it.

    suite: may also be the tables of a suite, as a dictionary. settings: what is said instead, as
    `training.passes=500`; see `overridden`. name: of a suite that is a dictionary.
    """
    path = Path(name) if isinstance(suite, Mapping) else find_suite(fspath(suite))
    _check_name(path)
    said = _plain(suite) if isinstance(suite, Mapping) else _toml(path)
    if problems := [f"{path}: {problem}" for problem in size_problems(said)]:
        raise SuiteError(problems)
    table = overridden({**DEFAULTS, **said}, settings)
    if "task" in table:
        table = {**table, "task": _beside(path.parent, table["task"])}
    loaded = _suite(path, table)
    if problems := list(dict.fromkeys(_contradictions(loaded))):
        raise SuiteError([f"{path}: {problem}" for problem in problems])
    return loaded


def _plain(value: Any) -> Any:
    """A value of a dictionary as TOML would have given it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return fspath(value) if isinstance(value, PathLike) else value


def _beside(folder: Path, value: Any) -> Any:
    """What tasks say, with the names of files that are beside the suite, and not where msbench
    runs, led there."""
    if isinstance(value, dict):
        return {key: _beside(folder, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_beside(folder, each) for each in value]
    if not isinstance(value, str) or not Path(value).suffix or exists(Path(value)):
        return value
    beside = folder / value
    return beside.as_posix() if exists(beside) and beside.is_file() else value


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
    problems = [f"{where}: {each}" for each in size_problems(table) or number_problems(table)]
    if problems:
        raise SuiteError(problems)
    if "name" in table["options"] or len(table) > 1:
        raise SuiteError([f"{where}: the name stands before the colon, and options behind it"])
    table = {"name": name.strip(), **table["options"]}
    choice = parse_choice(table, where, problems, separator=": ")
    if problems:
        raise SuiteError(problems)
    return choice


def _check_name(path: Path) -> None:
    """The suite's name is that of its folder of results."""
    try:
        inside(Path("results"), path.stem)
    except MsbenchError as error:
        raise SuiteError([f"{path}: a suite is named after its file, and {error}"]) from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(read_file(path, MOST["bytes"]).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise SuiteError([f"{path}: no such suite file"]) from error
    except OSError as error:
        raise SuiteError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SuiteError([f"{path}: not valid TOML, which is saved as UTF-8: {error}"]) from error
    except (ValueError, RecursionError) as error:
        raise SuiteError([f"{path}: not valid TOML: {error}"]) from error
    return table


def _suite(path: Path, table: dict[str, Any]) -> Suite:
    """The suite of a file; SuiteError if any of its tables is not what it should be."""
    problems = [f"{path}: {problem}" for problem in number_problems(table)]
    parsed = {**table, "seeds": _seeds(table["seeds"], f"{path}: seeds", problems)}
    for key in (*LISTED, "yardstick", "phase"):
        if isinstance(table.get(key), list):
            parse: Any = _phase if key == "phase" else partial(parse_choice, keys=KEYS[key])
            numbered = enumerate(table[key], start=1)
            entries = [parse(each, f"{path}: {key}[{n}]", problems) for n, each in numbered]
            if key in AXES[1:] or key == "decoder":
                entries = [each for entry in entries for each in by_task(entry, problems)]
            parsed[key] = tuple(entries)
    tasks = parsed["task"] if isinstance(table.get("task"), list) else ()
    shared, others = batch_sizes(table["training"], f"{path}: training", problems)
    parsed["training"] = _trainings(path, {**table, "training": shared}, tasks, problems)
    if others and isinstance(parsed.get("optimizer"), tuple):
        parsed["optimizer"] = tuple(with_batch_sizes(parsed["optimizer"], others))
    parsed["launcher"] = parse_choice(table["launcher"], f"{path}: launcher", problems)
    problems += _tuning_problems(path, table.get("tuning"))
    for key, section in SECTIONS.items():
        if key in table:
            parsed[key] = section(**parse_fields(section, table[key], f"{path}: {key}", problems))
    fields = parse_fields(Suite, parsed, str(path), problems, separator=": ")
    problems += _seeds_twice(path, parsed)
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    fields["seeds"] = tuple(dict.fromkeys(fields["seeds"]))
    if most := fields.get("question", Question()).max_seeds:
        fields["seeds"] = tuple(range(most))
    return Suite(name=path.stem, path=str(path), **fields)


OF_METHOD = {"trials": "bracket", "prune": "bracket", "points": "halton", "seeds": "halton"}
"""What of [tuning] only one method has."""


def _tuning_problems(path: Path, table: Any) -> list[str]:
    """Keys of [tuning] that are of the other method."""
    if not isinstance(table, dict):
        return []
    method = table.get("method", Tuning().method)
    return [
        f"{path}: tuning.{key}: is for method = {of!r}, and this is {method!r}"
        for key, of in OF_METHOD.items()
        if key in table and method in OF_METHOD.values() and method != of
    ]


def _seeds_twice(path: Path, parsed: dict[str, Any]) -> Iterator[str]:
    """That both `seeds` and the question say which seeds there are."""
    question = parsed.get("question")
    adds = isinstance(question, Question) and question.max_seeds
    if adds and parsed["seeds"] != list(range(FIRST_LOOK)):
        yield f"{path}: seeds: with question.max_seeds, {FIRST_LOOK} come first: leave it out"


def _trainings(
    path: Path, table: dict[str, Any], tasks: Sequence[Choice], problems: list[str]
) -> dict[str, Training]:
    """By task, the training of the suite with what the task says instead."""
    shared = _override(Training(), table["training"], f"{path}: training", problems)
    trainings = {}
    for task, own in zip(tasks, table["task"] if tasks else (), strict=True):
        override = own.get("training", {}) if isinstance(own, dict) else {}
        where = f"{task.where}.training"
        trainings[display_name(task)] = _override(shared, override, where, problems)
    return trainings


def _phase(table: Any, where: str, problems: list[str]) -> Phase:
    if isinstance(table, dict):
        parts = [kind for kind in STRATEGY if kind in table]
        table |= {kind: parse_choice(table[kind], f"{where}.{kind}", problems) for kind in parts}
    return Phase(**parse_fields(Phase, table, where, problems))


def _override(base: Training, table: Any, where: str, problems: list[str]) -> Training:
    """`base` with what a table says instead; a budget in any unit replaces that of `base`."""
    given = parse_fields(Training, table, where, problems)
    if any(unit in given for unit in UNITS):
        base = replace(base, passes=0, steps=0, seconds=0.0)
    return replace(base, **given)


def _seeds(value: Any, where: str, problems: list[str]) -> Any:
    """`seeds = 3` is short for `seeds = [0, 1, 2]`."""
    if type(value) is not int or value < 1:
        return value
    wrong = too_many("trials", value)
    problems += [f"{where}: {each}" for each in wrong]
    return [0] if wrong else list(range(value))


def _contradictions(suite: Suite) -> Iterator[str]:
    """What is wrong with a suite although each of its tables is right by itself."""
    names = [display_name(task) for task in suite.tasks]
    if len(set(names)) < len(names):
        yield "task: two tasks have one name; give each a label of its own"
    for number, seed in enumerate(suite.seeds, start=1):
        if seed < 0:
            yield f"seeds[{number}]: Input should be greater than or equal to 0, not {seed}"
        if seed >= 2**63:
            yield f"seeds[{number}]: Input should be less than 2**63, not {seed}"
    for name in suite.targets:
        if name not in names:
            yield f"target.{name}: no such task{did_you_mean(name, names)}"
    yield from question_problems(suite)
    if suite.tuned_by and suite.tuning is not None:
        yield "tuned_by: says who chose the options, and [tuning] chooses them here"
    if suite.tuning is not None and suite.tuning.prune:
        if suite.tuning.select != "loss":
            yield "tuning.prune: looks at losses, and select = 'metric' does not"
        if all(each.validations < 2 for each in suite.training.values()):
            yield "tuning.prune: stops at a validation before the last, and there is one alone"
    for number, name in enumerate(names, start=1):
        for problem in _budget_problems(suite.training[name], suite.limit):
            yield f"task[{number}].training: {problem}"
        if any(each.batch_size for each in suite.optimizers) and not suite.training[name].passes:
            yield (
                f"task[{number}].training.batch_size: several are compared at equal passes and at "
                f"equal examples, and a budget in {suite.training[name].budget[0]} has neither"
            )
        if suite.dtype != "float32" and suite.training[name].precision != "float32":
            yield (
                f"task[{number}].training.precision: {suite.training[name].precision!r} is a way "
                f"to compute with weights of float32, and dtype is {suite.dtype!r}"
            )
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
