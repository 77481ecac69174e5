"""The nouns of the house, frozen: Choice, Part, Training, Phase, Tuning, Suite, Trial, Record, ...

Nothing here imports a framework. A trial and a record are plain data all the way down, so that
they survive a trip through JSON, another process or another machine unchanged.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Protocol, get_args

Kind = Literal[
    "task", "model", "loss", "optimizer", "schedule", "decoder", "learner", "launcher", "command"
]


KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a plugin can register; hook `register_<kind>s` each."""


Axis = Literal["task", "model", "loss", "optimizer", "schedule"]
AXES: tuple[Axis, ...] = get_args(Axis)
"""What a trial is of, one of each; decoders are measured within a trial."""

STRATEGY: tuple[Axis, ...] = ("loss", "optimizer", "schedule")
"""The training strategy: the axes that phases may set and that throughput is measured of."""

Detail = Literal["model", "loss", "schedule"]
DETAILS: tuple[Detail, ...] = get_args(Detail)
"""The axes that a table shows only where they tell rows of one task apart."""

Compared = Literal["optimizer", "loss", "decoder", "model", "schedule"]
COMPARED: tuple[Compared, ...] = get_args(Compared)
"""What can be compared: strategies that are equal but for it."""

COLUMNS: tuple[Compared, ...] = (*DETAILS, "optimizer", "decoder")
"""The same in the order in which tables show them."""

FORMATS = ("text", "markdown", "csv", "json", "latex")
"""What tables can be printed as."""

PICTURES = ("curves", "pareto", "profile", "ranks", "decoders", "tuning")
"""What can be drawn, in the order of the report; each is a file of this name in report/plots."""


TaskKind = Literal["classify", "tag", "seq2seq", "lm"]


TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)


Unit = Literal["passes", "steps", "seconds"]


UNITS: tuple[Unit, ...] = get_args(Unit)
"""What a budget may be counted in."""


@dataclass(frozen=True)
class Choice:
    """What a suite says: a name and the options it sets. A value may itself be a Choice."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    tasks: tuple[str, ...] = ()
    """The tasks it is for, by name or label; empty = every task it fits."""
    where: str = ""
    """File and key, for error messages."""
    space: Mapping[str, Sequence[Any]] | None = None
    """Of an optimizer: the search space instead of the one that its plugin declares."""


@dataclass(frozen=True)
class Part:
    """A choice after planning: every option present, plugin name and version attached."""

    name: str
    options: Mapping[str, Any]
    plugin: str
    version: str
    label: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Part":
        """The part that `asdict` turned into `data`; nested parts come back as parts."""
        options = {name: cls._revived(value) for name, value in data["options"].items()}
        return cls(**{**data, "options": options})

    @classmethod
    def _revived(cls, value: Any) -> Any:
        if isinstance(value, list) and value and all(map(_is_part, value)):
            return [cls.of(each) for each in value]
        return cls.of(value) if _is_part(value) else value


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) and {"name", "options", "plugin", "version"} <= set(value)


@dataclass(frozen=True)
class Training:
    """How long and on how much a trial trains."""

    passes: int = 500
    """The budget: gradients of one whole batch; 0 where it is counted otherwise."""
    batch_size: int = 32
    validations: int = 4
    """How often the validation split is measured, evenly over the budget, the last at its end."""
    steps: int = 0
    """The budget in optimizer steps, whatever they cost, instead of passes."""
    seconds: float = 0.0
    """The budget in seconds of training, instead of passes."""
    accumulate: int = 1
    """Parts in which the gradient of a batch is summed: less memory, the same gradient."""
    clip: float = 0.0
    """Longest gradient (Euclidean, over all weights) that is not shortened; 0 = any."""

    @property
    def budget(self) -> tuple[Unit, float]:
        """The unit that is counted, and how much of it there is."""
        return next((unit, getattr(self, unit)) for unit in UNITS if getattr(self, unit))


@dataclass(frozen=True)
class Phase:
    """One stage of training; what it leaves open is the trial's own. In a suite its parts are
    choices, in a trial parts."""

    passes: int = 0
    """How long; 0 = what the other phases leave of the budget."""
    loss: Any = None
    optimizer: Any = None
    schedule: Any = None

    def parts(self) -> "dict[Kind, Any]":
        """What it sets, by kind."""
        return {kind: part for kind in STRATEGY if (part := getattr(self, kind)) is not None}


@dataclass(frozen=True)
class Tuning:
    """How every optimizer's options are searched, all with equal effort."""

    points: int = 8
    """Points of its space that each optimizer may try."""
    seeds: int = 1
    """Seeds that each point is tried with; the median counts."""
    select: Literal["loss", "metric"] = "loss"
    """What is compared, on the validation split."""


@dataclass(frozen=True)
class Tuned:
    """Which point of a search a trial's optimizer is."""

    stage: Literal["search", "final"]
    """A search trial reads the validation split alone; a final one is the winner, on new seeds."""
    point: int
    """From 0."""
    points: int
    """How many were tried."""
    options: Mapping[str, Any]
    """What was searched, as `{"lr": 0.003, "base.lr": 0.01}`."""
    edge: Sequence[str] = ()
    """Options of a winner at the edge of their space: better ones may lie beyond."""


@dataclass(frozen=True)
class Throughput:
    """How speed is measured, apart from the trials; `rounds = 0` leaves it out."""

    rounds: int = 5
    steps: int = 10
    """Timed training steps per strategy and round."""


@dataclass(frozen=True)
class Suite:
    """What to compare: every combination of the parts that fit each other."""

    name: str
    tasks: tuple[Choice, ...]
    models: tuple[Choice, ...]
    losses: tuple[Choice, ...]
    optimizers: tuple[Choice, ...]
    schedules: tuple[Choice, ...]
    decoders: tuple[Choice, ...]
    training: Mapping[str, Training]
    """Per task (by label, else name)."""
    seeds: tuple[int, ...]
    phases: tuple[Phase, ...] = ()
    tuning: Tuning | None = None
    description: str = ""
    baseline: str = ""
    """The optimizer that the others are compared with; empty = the first in the suite."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """Per task (by label, else name), the validation loss that strategies are timed to."""
    throughput: Throughput = Throughput()
    launcher: Choice = Choice("processes")
    limit: float = 600.0
    """Seconds of wall clock that one trial may take."""
    device: str = "cpu"
    threads: int = 1
    dtype: str = "float32"
    keep_weights: bool = False
    """Whether every trial leaves its weights beside its record."""
    path: str = ""

    def choices(self) -> dict[Kind, tuple[Choice, ...]]:
        """What it says, by kind."""
        return {
            "task": self.tasks,
            "model": self.models,
            "loss": self.losses,
            "optimizer": self.optimizers,
            "schedule": self.schedules,
            "decoder": self.decoders,
            "launcher": (self.launcher,),
        }


@dataclass(frozen=True)
class Trial:
    """One (task, model, loss, optimizer, schedule, seed) with every default frozen.

    It trains once and then measures every decoder.
    """

    task: Part
    model: Part
    loss: Part
    optimizer: Part
    schedule: Part
    decoders: tuple[Part, ...]
    learner: Part
    training: Training
    seed: int
    device: str
    threads: int
    dtype: str
    data: str
    """Fingerprint of the prepared task."""
    phases: tuple[Phase, ...] = ()
    """Stages of training, in order; none = one with all that is the trial's own."""
    tuned: Tuned | None = None
    """Where the optimizer's options come from, if they were searched."""

    @property
    def is_search(self) -> bool:
        """Whether it only looks for good options."""
        return self.tuned is not None and self.tuned.stage == "search"

    @property
    def key(self) -> str:
        """Identity: equal keys mean the same trial, whatever the suite's order was."""
        return digest({"trial": identity(asdict(self))})

    def stages(self) -> list[Phase]:
        """All phases, complete: each with its loss, optimizer, schedule and passes."""
        rest = self.training.passes - sum(phase.passes for phase in self.phases)
        own: dict[Any, Any] = {k: getattr(self, k) for k in STRATEGY}
        return [
            Phase(phase.passes or rest, **{**own, **phase.parts()})
            for phase in self.phases or (Phase(),)
        ]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Trial":
        """The trial that `asdict` turned into `data`."""
        return cls(**_revive(data))


@dataclass(frozen=True)
class Measurement:
    """Throughput of the strategies of one task and model, the baseline first."""

    strategies: tuple[Trial, ...]
    """One trial per strategy: equal but for loss, optimizer and schedule."""
    throughput: Throughput

    @property
    def key(self) -> str:
        """Identity; a new competitor means measuring all of them again, side by side."""
        return digest({"measurement": identity(asdict(self))})

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Measurement":
        """The measurement that `asdict` turned into `data`."""
        strategies = tuple(Trial.of(each) for each in data["strategies"])
        return cls(strategies, Throughput(**data["throughput"]))


class Job(Protocol):
    """What a launcher runs: a Trial or a Measurement."""

    @property
    def key(self) -> str:
        """Identity of the work."""


def job_to_json(job: Job) -> str:
    """A job as text, to be sent anywhere."""
    return json.dumps(asdict(job))  # type: ignore[call-overload]


def job_from_json(text: str) -> Job:
    """The job that `job_to_json` wrote."""
    data = json.loads(text)
    return Measurement.of(data) if "strategies" in data else Trial.of(data)


def identity(job: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a job (as plain data) from others.

    What was added to trials later counts only where it is used, so that older records still belong
    to their trials. Of a search only the stage counts: a point is what its options are.
    """
    if "strategies" in job:
        return {**job, "strategies": [identity(trial) for trial in job["strategies"]]}
    told = {**job, "training": _used(job["training"], _LATER_TRAINING)}
    told["tuned"] = (tuned := job.get("tuned")) and {"stage": tuned["stage"]}
    return _used(told, {"phases": (), "tuned": None})


_LATER_TRAINING = {
    each.name: each.default
    for each in fields(Training)
    if each.name in ("steps", "seconds", "accumulate", "clip")
}


def _used(data: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    def default(name: str, value: Any) -> bool:
        # JSON has made the tuple of no phases a list.
        return name in later and (value == later[name] or not (value or later[name]))

    return {k: v for k, v in data.items() if not default(k, v)}


def digest(data: Any) -> str:
    """A short, stable hash of plain data: sha256 over canonical JSON, 20 hex digits."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _revive(data: Mapping[str, Any]) -> dict[str, Any]:
    revived = _revived_parts(data)
    revived["decoders"] = tuple(Part.of(each) for each in data["decoders"])
    revived["training"] = Training(**data["training"])
    revived["phases"] = tuple(Phase(**_revived_parts(each)) for each in data.get("phases", ()))
    tuned = data.get("tuned")
    revived["tuned"] = tuned and Tuned(**{**tuned, "edge": tuple(tuned["edge"])})
    return revived


def _revived_parts(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: Part.of(v) if _is_part(v) else v for k, v in data.items()}
