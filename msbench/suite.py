"""suites/x.toml -> Suite: reading and shape. Whether the names exist is for `plan` to say."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from msbench.errors import SuiteError, did_you_mean
from msbench.spec import Choice, Suite, Throughput, Training

SHIPPED = Path(__file__).parent / "suites"
if not SHIPPED.is_dir():  # a source checkout; the wheel carries the folder inside the package
    SHIPPED = Path(__file__).parent.parent / "suites"

Positive = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Training(_Table):
    passes: Positive = Training.passes
    batch_size: Positive = Training.batch_size
    validations: Positive = Training.validations


class _Throughput(_Table):
    rounds: Annotated[int, Field(ge=0)] = Throughput.rounds
    steps: Positive = Throughput.steps


class _Choice(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")  # options: `plan` knows them
    name: Name
    label: Annotated[str, Field(max_length=300)] = ""
    tasks: list[Name] = []


class _Task(_Choice):
    tasks: list[Name] = Field(default=[], exclude=True, max_length=0)
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
    optimizer: list[_Choice] = Field(min_length=1)
    schedule: list[_Choice] = Field(default=[_Choice(name="constant")], min_length=1)
    decoder: list[_Choice] = Field(min_length=1)
    training: _Training = _Training()
    throughput: _Throughput = _Throughput()
    launcher: _Choice = _Choice(name="processes")
    seeds: Seeds = [0, 1, 2]
    baseline: str = ""
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Suite.limit
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    threads: Positive = 1
    dtype: str = Field(default="float32", pattern=r"^(float32|float64)$")


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

    return Suite(
        name=path.stem,
        tasks=choices("task"),
        models=choices("model"),
        losses=choices("loss"),
        optimizers=choices("optimizer"),
        schedules=choices("schedule"),
        decoders=choices("decoder"),
        training=_trainings(path, read),
        seeds=tuple(dict.fromkeys(read.seeds)),
        description=read.description,
        baseline=read.baseline,
        throughput=Throughput(read.throughput.rounds, read.throughput.steps),
        launcher=_choice(read.launcher, f"{path}: launcher"),
        limit=read.limit,
        device=read.device,
        threads=read.threads,
        dtype=read.dtype,
        path=str(path),
    )


def _trainings(path: Path, read: _Suite) -> dict[str, Training]:
    """Each task's training: the suite's, with what the task overrides."""
    trainings, problems = {}, []
    for number, task in enumerate(read.task, start=1):
        try:
            merged = {**read.training.model_dump(), **task.training}
            trainings[task.label or task.name] = Training(**_Training(**merged).model_dump())
        except ValidationError as error:
            where = (f"task[{number}]", "training")
            problems += [
                _problem(path, {**each, "loc": (*where, *each["loc"])}, _Training)
                for each in error.errors()
            ]
    twice = len(trainings) + len(problems) < len(read.task)
    if twice:
        problems.append(f"{path}: task: two tasks have one name; give each a label of its own")
    if problems:
        raise SuiteError(problems)
    return trainings


def _choice(read: _Choice, where: str) -> Choice:
    return nested_choice(
        {"name": read.name, "label": read.label, "tasks": read.tasks, **(read.model_extra or {})},
        where,
    )


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
