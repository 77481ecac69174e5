"""suites/x.toml -> Suite: reading and shape. Whether the names exist is for `plan` to say."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from msbench.errors import SuiteError, did_you_mean
from msbench.spec import STRATEGY, UNITS, Choice, Phase, Suite, Throughput, Training, Tuning

SHIPPED = Path(__file__).parents[1] / "suites"


if not SHIPPED.is_dir():  # a source checkout; the wheel carries the folder inside the package
    SHIPPED = Path(__file__).parents[2] / "suites"


Positive = Annotated[int, Field(ge=1)]


Name = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Training(_Table):
    passes: Positive | None = None
    steps: Positive | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    batch_size: Positive = Training.batch_size
    validations: Positive = Training.validations
    accumulate: Positive = Training.accumulate
    clip: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Training.clip


class _Tuning(_Table):
    points: Annotated[int, Field(ge=2, le=1000)] = Tuning.points
    seeds: Annotated[int, Field(ge=1, le=100)] = Tuning.seeds
    select: Literal["loss", "metric"] = Tuning.select


class _Throughput(_Table):
    rounds: Annotated[int, Field(ge=0)] = Throughput.rounds
    steps: Positive = Throughput.steps


class _Choice(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")  # options: `plan` knows them
    name: Name
    label: Annotated[str, Field(max_length=300)] = ""
    tasks: list[Name] = []


class _Optimizer(_Choice):
    space: dict[str, list[Any]] | None = None


class _Unlisted(_Choice):
    tasks: list[Name] = Field(default=[], exclude=True, max_length=0)


class _Phase(_Table):
    passes: Positive | None = None
    loss: _Unlisted | None = None
    optimizer: _Unlisted | None = None
    schedule: _Unlisted | None = None


class _Task(_Unlisted):
    training: dict[str, Any] = {}


def _count(value: Any) -> Any:
    """`seeds = 3` is short for `seeds = [0, 1, 2]`."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000:
        return list(range(value))
    return value


Seeds = Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_count), Field(min_length=1)]


class _Suite(_Table):
    description: str = ""
    task: list[_Task] = Field(min_length=1)
    model: list[_Choice] = Field(min_length=1)
    loss: list[_Choice] = Field(default=[_Choice(name="cross-entropy")], min_length=1)
    optimizer: list[_Optimizer] = Field(min_length=1)
    schedule: list[_Choice] = Field(default=[_Choice(name="constant")], min_length=1)
    decoder: list[_Choice] = Field(min_length=1)
    phase: list[_Phase] = []
    training: _Training = _Training()
    tuning: _Tuning | None = None
    throughput: _Throughput = _Throughput()
    target: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    launcher: _Choice = _Choice(name="processes")
    seeds: Seeds = [0, 1, 2]
    baseline: str = ""
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Suite.limit
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    threads: Positive = 1
    dtype: str = Field(default="float32", pattern=r"^(float32|float64)$")
    keep_weights: bool = False


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
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SuiteError([f"{path}: not valid TOML: {error}"]) from error
    except OSError as error:
        raise SuiteError([f"{path}: cannot be read: {error.strerror}"]) from error
    try:
        return _suite(path, _Suite.model_validate(data))
    except ValidationError as error:
        raise SuiteError([_problem(path, each) for each in error.errors()]) from error


def _suite(path: Path, read: _Suite) -> Suite:
    def choices(key: str) -> tuple[Choice, ...]:
        return tuple(
            _choice(each, f"{path}: {key}[{number}]")
            for number, each in enumerate(getattr(read, key), start=1)
        )

    trainings = _trainings(path, read)
    return Suite(
        name=path.stem,
        tasks=choices("task"),
        models=choices("model"),
        losses=choices("loss"),
        optimizers=choices("optimizer"),
        schedules=choices("schedule"),
        decoders=choices("decoder"),
        training=trainings,
        seeds=tuple(dict.fromkeys(read.seeds)),
        phases=_phases(path, read, trainings),
        tuning=None if read.tuning is None else Tuning(**read.tuning.model_dump()),
        description=read.description,
        baseline=read.baseline,
        targets=_targets(path, read),
        throughput=Throughput(read.throughput.rounds, read.throughput.steps),
        launcher=_choice(read.launcher, f"{path}: launcher"),
        limit=read.limit,
        device=read.device,
        threads=read.threads,
        dtype=read.dtype,
        keep_weights=read.keep_weights,
        path=str(path),
    )


def _trainings(path: Path, read: _Suite) -> dict[str, Training]:
    """Each task's training: the suite's, with what the task overrides."""
    trainings, problems = {}, []
    names = [task.label or task.name for task in read.task]
    if len(set(names)) < len(names):
        problems.append(f"{path}: task: two tasks have one name; give each a label of its own")
    for number, task in enumerate(read.task, start=1):
        try:
            made = trainings[task.label or task.name] = _training(read.training, task.training)
            problems += _budget_problems(path, f"task[{number}].training", made, read.limit)
        except ValidationError as error:
            where = (f"task[{number}]", "training")
            problems += [
                _problem(path, {**each, "loc": (*where, *each["loc"])}, _Training)
                for each in error.errors()
            ]
    if problems:
        raise SuiteError(problems)
    return trainings


def _targets(path: Path, read: _Suite) -> dict[str, float]:
    names = [task.label or task.name for task in read.task]
    problems = [
        f"{path}: target.{name}: no such task{did_you_mean(name, names)}"
        for name in read.target
        if name not in names
    ]
    if problems:
        raise SuiteError(problems)
    return read.target


def _training(suite: _Training, task: Mapping[str, Any]) -> Training:
    """One budget, in the unit that the task names, else the suite, else in passes."""
    given = {**suite.model_dump(exclude_none=True), **task}
    if any(unit in task for unit in UNITS):
        given = {k: v for k, v in given.items() if k not in UNITS or k in task}
    checked = _Training(**given).model_dump(exclude_none=True)
    units = [unit for unit in UNITS if unit in checked]
    if not units:
        checked["passes"] = Training.passes
    return Training(**{"passes": 0, **checked})


def _budget_problems(path: Path, where: str, training: Training, limit: float) -> list[str]:
    units = [unit for unit in UNITS if getattr(training, unit)]
    problems = []
    if len(units) > 1:
        problems.append(f"{path}: {where}: one budget, in {' or '.join(units)}, not in both")
    if training.seconds >= limit:
        problems.append(
            f"{path}: {where}: a budget of {training.seconds:g} seconds needs a limit above it, "
            f"not {limit:g}"
        )
    if training.accumulate > training.batch_size:
        problems.append(
            f"{path}: {where}: accumulate {training.accumulate} is more parts than a batch of "
            f"{training.batch_size} has examples"
        )
    return problems


def _phases(path: Path, read: _Suite, trainings: Mapping[str, Training]) -> tuple[Phase, ...]:
    """The phases in order; the last one takes what the others leave of the budget."""
    problems = []
    for number, phase in enumerate(read.phase, start=1):
        last = number == len(read.phase)
        if last and phase.passes is not None:
            problems.append(
                f"{path}: phase[{number}].passes: the last phase takes what is left of the budget, "
                f"which [training] says"
            )
        if not last and phase.passes is None:
            problems.append(f"{path}: phase[{number}].passes: missing; only the last goes without")
    used = sum(phase.passes or 0 for phase in read.phase)
    for task, training in trainings.items() if read.phase else ():
        if training.budget[0] != "passes":
            problems.append(f"{path}: phase: needs a budget in passes, not in {training.budget[0]}")
        elif used >= training.passes:
            problems.append(
                f"{path}: phase: {used} passes are all of the budget of {task!r}, "
                f"{training.passes}: nothing is left for the last phase"
            )
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return tuple(
        Phase(
            each.passes or 0,
            *(
                (part := getattr(each, kind)) and _choice(part, f"{path}: phase[{number}].{kind}")
                for kind in STRATEGY
            ),
        )
        for number, each in enumerate(read.phase, start=1)
    )


def choice_of(text: str, where: str) -> Choice:
    """The choice that a command line says: `beam`, or `beam: width = [4, 8], label = "wide"`, where
    behind the colon is what would be in the braces of a TOML inline table."""
    name, _, options = text.partition(":")
    try:
        read = tomllib.loads(f"options = {{ {options} }}")
        if "name" in read["options"] or len(read) > 1:
            raise SuiteError([f"{where}: the name stands before the colon, and options behind it"])
        return _choice(_Unlisted.model_validate({"name": name.strip(), **read["options"]}), where)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SuiteError(
            [f"{where}: not NAME or NAME: option = value, option = value, as in TOML: {error}"]
        ) from error
    except ValidationError as error:
        raise SuiteError(
            [f"{where}: {e['loc'][0]}: {e['msg']}, not {e['input']!r}" for e in error.errors()]
        ) from error


def _choice(read: _Choice, where: str) -> Choice:
    extra = dict(read.model_extra or {})
    made = nested_choice(
        {"name": read.name, "label": read.label, "tasks": read.tasks, **extra}, where
    )
    return replace(made, space=read.space) if isinstance(read, _Optimizer) else made


def nested_choice(data: Mapping[str, Any], where: str) -> Choice:
    """A table with a name, and any table with a name inside it or in a list in it, as choices."""
    options = {k: v for k, v in data.items() if k not in ("name", "label", "tasks")}
    for key, value in options.items():
        if _is_choice(value):
            options[key] = _inner_choice(value, f"{where}.{key}")
        elif isinstance(value, list) and value and all(map(_is_choice, value)):
            options[key] = [
                _inner_choice(each, f"{where}.{key}[{number}]")
                for number, each in enumerate(value, start=1)
            ]
    label, tasks = data.get("label", ""), tuple(data.get("tasks", ()))
    return Choice(data["name"], options, label, tasks, where)


def _is_choice(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("name"), str)


def _inner_choice(value: Mapping[str, Any], where: str) -> Choice:
    if "tasks" in value:
        raise SuiteError([f"{where}.tasks: belongs to the outer choice"])
    if not isinstance(value.get("label", ""), str):
        raise SuiteError([f"{where}.label: should be a text, not {value['label']!r}"])
    return nested_choice(value, where)


def _problem(path: Path, error: Any, table: type[BaseModel] = _Suite) -> str:
    """One pydantic error as a sentence with file, key and what would be right."""
    parts: list[str] = []
    for step in error["loc"]:
        if isinstance(step, int):
            parts[-1] += f"[{step + 1}]"
        else:
            parts.append(step)
    where = ".".join(parts)
    if error["type"] == "extra_forbidden":
        known = _keys(table, error["loc"][:-1])
        return f"{path}: {where}: unknown key{did_you_mean(str(error['loc'][-1]), known)}"
    if error["type"] == "missing":
        return f"{path}: {where}: missing; a suite needs it"
    return f"{path}: {where}: {error['msg']}, not {error['input']!r}"


def _keys(table: type[BaseModel], steps: Iterable[Any]) -> list[str]:
    for step in steps:
        found = table.model_fields.get(step) if isinstance(step, str) else None
        for candidate in _models(found.annotation) if found else ():
            table = candidate
    return list(table.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    inside = get_args(annotation) if not isinstance(annotation, UnionType) else ()
    return [t for t in (annotation, *inside) if isinstance(t, type) and issubclass(t, BaseModel)]
