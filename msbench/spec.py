"""What can be asked for: Suite and its tables, Part, Trial, Measurement; all frozen dataclasses.

Nothing here imports a framework, nor pydantic: `msbench --help` loads this file. A trial is plain
data all the way down, so that JSON, another process or another machine leave it unchanged.

The dataclasses are also the schema of a suite file: a field's metadata bounds what the file may
say, in the words of `pydantic.Field` (`ge` is "at least"), and has the file's `key` where that is
not the field's name ("": the file does not say it). Defaults need not keep the bounds, as 0 passes
for a budget that is counted in steps.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

from msbench.kinds import KINDS as KINDS
from msbench.kinds import Kind as Kind

Axis = Literal["task", "model", "loss", "optimizer", "schedule"]
AXES: tuple[Axis, ...] = get_args(Axis)
"""A trial has one part of each; decoders are measured within a trial."""

LISTED: tuple[Kind, ...] = (*AXES, "decoder", "metric")
"""What a suite lists, as `[[optimizer]]`."""

STRATEGY: tuple[Axis, ...] = ("loss", "optimizer", "schedule")
"""The training strategy: the axes that a phase may set and whose throughput is measured."""

Detail = Literal["model", "loss", "schedule"]
DETAILS: tuple[Detail, ...] = get_args(Detail)
"""The axes that a table shows only where rows of one task differ in them."""

Compared = Literal["optimizer", "loss", "decoder", "model", "schedule"]
COMPARED: tuple[Compared, ...] = get_args(Compared)
"""What can be compared: strategies that differ in nothing else."""

VARYING: tuple[Compared, ...] = ("optimizer", "loss", "schedule", "model", "decoder")
"""Which axis is compared where several vary within a task: the first."""

COLUMNS: tuple[Compared, ...] = (*DETAILS, "optimizer", "decoder")
"""The same in the order in which tables show them."""

FORMATS = ("text", "markdown", "csv", "json", "latex")
"""What tables can be printed as."""

TABLES = (
    *("accuracy", "against", "seeds", "secondary", "training", "targets", "decoding", "tuning"),
    *("throughput", "ranks", "profiles"),
)
"""The tables of a comparison, in the order of the report."""

PICTURES = ("verdicts", "curves", "pareto", "profile", "ranks", "decoders", "tuning")
"""What can be drawn, in the order of the report; each is a file of this name in report/plots."""

TaskKind = Literal["classify", "tag", "seq2seq", "lm"]

Unit = Literal["passes", "steps", "seconds"]
UNITS: tuple[Unit, ...] = get_args(Unit)
"""What a budget may be counted in."""

Count = Literal["passes", "steps"]
"""What a budget in passes counts for one strategy."""

Equal = Literal["passes", "examples"]
"""What is equal where batch sizes are compared."""

Precision = Literal["float32", "tf32", "bfloat16"]
"""How training steps multiply numbers of float32."""

Method = Literal["bracket", "halton"]
"""How a search chooses what to try: one after the other, or all points beforehand."""

Select = Literal["loss", "metric"]
"""What a search compares, on the validation split."""

_POSITIVE = {"ge": 1}


@dataclass(frozen=True)
class Choice:
    """What a suite says: a name and the options it sets. A value may itself be a Choice."""

    name: str = field(metadata={"min_length": 1})
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = field(default="", metadata={"max_length": 300})
    tasks: tuple[str, ...] = field(default=(), metadata={"strict": False})
    """The tasks it is for, by name or label; empty = every task it fits."""
    where: str = ""
    """File and key, for error messages."""
    space: Mapping[str, list[Any]] | None = None
    """Of an optimizer: the search space instead of the one that its plugin declares."""
    count: Count = "passes"
    """Of an optimizer: what its budget counts, as in `Training`."""
    batch_size: int = field(default=0, metadata={"key": ""})
    """Of an optimizer, where batch sizes are compared: its own; 0 = the first of them."""
    equal: Equal = field(default="passes", metadata={"key": ""})
    """What its budget has in common with that of the first batch size."""
    per_task: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By task (name or label), options instead of these; those of a base as `base.lr`."""
    others: tuple[str, ...] = field(default=(), metadata={"key": ""})
    """The tasks that it is not for, since others of its name are."""

    def having(self, options: Mapping[str, Any]) -> "Choice":
        """It with these options, those of a base too (`{"base.lr": 0.01}`), which must be there."""
        changed = dict(self.options)
        for name, value in options.items():
            outer, _, inner = name.partition(".")
            changed[outer] = changed[outer].having({inner: value}) if inner else value
        return replace(self, options=changed)


DIGEST = "/"
"""What stands in a part's version between that of its plugin and the digest of the code behind it;
records of earlier code have neither."""


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
        """The part that `asdict` turned into `data`, its nested parts included."""
        return cls(**{**data, "options": _revived(data["options"])})

    @cached_property
    def json(self) -> str:
        """Canonical JSON of `asdict`; made once, since trials share their parts."""
        return _to_json(asdict(self))

    @cached_property
    def work(self) -> str:
        """The same without versions, its own and those of parts in it."""
        return _to_json(_unversioned(asdict(self)))


_PART = {"name", "options", "plugin", "version"}


def is_part(value: Any) -> bool:
    """Whether plain data is what `asdict` makes of a part, as within the options of another."""
    return isinstance(value, Mapping) and value.keys() >= _PART


def _unversioned(value: Any) -> Any:
    """Plain data without the versions of parts."""
    if isinstance(value, dict):
        left_out = {"version"} if is_part(value) else set()
        return {k: _unversioned(each) for k, each in value.items() if k not in left_out}
    return [_unversioned(each) for each in value] if isinstance(value, list | tuple) else value


def _revived(value: Any) -> Any:
    """Plain data in which every mapping that was a part is that part again."""
    if isinstance(value, dict):
        inside = {name: _revived(each) for name, each in value.items()}
        return Part(**inside) if is_part(value) else inside
    return type(value)(map(_revived, value)) if isinstance(value, list | tuple) else value


def display_name(part: Choice | Part) -> str:
    """What a part is called in suites, tables and messages."""
    return part.label or part.name


@dataclass(frozen=True)
class Training:
    """How long and on how much a trial trains."""

    passes: int = field(default=500, metadata=_POSITIVE)
    """The budget: gradients of one whole batch; 0 where it is counted otherwise."""
    batch_size: int = field(default=32, metadata=_POSITIVE)
    validations: int = field(default=4, metadata=_POSITIVE)
    """How often the validation split is measured, evenly over the budget, the last at its end."""
    validation_examples: int = field(default=0, metadata=_POSITIVE)
    """How many examples of that split, evenly spread over it and always the same; 0 = all."""
    steps: int = field(default=0, metadata=_POSITIVE)
    """The budget in optimizer steps, whatever they cost, instead of passes."""
    seconds: float = field(default=0.0, metadata={"gt": 0})
    """The budget in seconds of training, instead of passes."""
    accumulate: int = field(default=1, metadata=_POSITIVE)
    """Parts in which the gradient of a batch is summed: less memory, the same gradient."""
    clip: float = field(default=0.0, metadata={"ge": 0})
    """Longest gradient (Euclidean, over all weights) that is not shortened; 0 = any."""
    precision: Precision = "float32"
    """What forward and backward passes compute in; weights and optimizer stay in `dtype`."""
    compile: bool = False
    """Whether the forward pass and the loss of training steps are compiled."""
    graph: bool = False
    """Whether a whole step is captured once for each shape of a batch and then replayed."""
    count: Count = field(default="passes", metadata={"key": ""})
    """What `passes` counts: gradients; or the steps of a strategy that is compared at equal steps,
    so that one of two passes a step computes twice as many gradients as others do."""
    compared: tuple[int, ...] = field(default=(), metadata={"key": ""})
    """Batch size and passes of the strategies that this one is compared with, where its own are
    others; empty where they are the same."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Training":
        """What `asdict` turned into `data`."""
        return cls(**{**data, "compared": tuple(data.get("compared", ()))})

    @property
    def modes(self) -> dict[str, Any]:
        """How steps are computed, as far as it is not the default."""
        return {
            name: value for name in MODES if (value := getattr(self, name)) not in _UNUSED[name]
        }

    @property
    def has_equal_passes(self) -> bool:
        """Whether it has as many passes as the strategies that it is compared with."""
        return self.count == "passes" and self.compared[1:] in ((), (self.passes,))

    @property
    def budget(self) -> tuple[Unit, float]:
        """The unit that is counted, and how much of it there is."""
        if self.passes and self.count == "steps":
            return "steps", self.passes
        return next((unit, getattr(self, unit)) for unit in UNITS if getattr(self, unit))


MODES = ("precision", "compile", "graph")
"""Settings of training that change how a step is computed and not which step it is."""


@dataclass(frozen=True)
class Phase:
    """One stage of training; what it leaves open is the trial's own. In a suite its parts are
    choices, in a trial parts."""

    passes: int = field(default=0, metadata=_POSITIVE)
    """How long; 0 = what the other phases leave of the budget."""
    loss: Any = None
    optimizer: Any = None
    schedule: Any = None

    def parts(self) -> "dict[Kind, Any]":
        """The parts that it sets, by kind."""
        return {kind: part for kind in STRATEGY if (part := getattr(self, kind)) is not None}


@dataclass(frozen=True)
class Tuning:
    """How every optimizer's options are searched, all with equal effort."""

    method: Method = "bracket"
    trials: int = field(default=14, metadata={"ge": 10, "le": 1000})
    """Of a bracket: trials that each search takes, over all points and seeds."""
    points: int = field(default=8, metadata={"ge": 2, "le": 1000})
    """Of a Halton sequence: points of its space that each optimizer tries."""
    seeds: int = field(default=1, metadata={"ge": 1, "le": 100})
    """Of a Halton sequence: seeds that each point is tried with; the mean counts."""
    select: Select = "loss"
    """What is compared, on the validation split."""
    prune: bool = False
    """Of a bracket: stop a trial whose curve lies behind those of earlier ones, and can hardly win
    any more."""
    options: tuple[str, ...] = field(default=(), metadata={"strict": False})
    """The options that are searched, such as `lr` of whatever has one; empty = all that have a
    space."""

    @property
    def trials_each(self) -> int:
        """Trials of one search."""
        return self.trials if self.method == "bracket" else self.points * self.seeds

    @property
    def most_points(self) -> int:
        """The most points of one search."""
        return self.trials if self.method == "bracket" else self.points


SCHEDULE = "schedule."
"""How names of options of the schedule begin, among those that were searched."""


@dataclass(frozen=True)
class Tuned:
    """Which point of a search the optimizer of a trial is."""

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
    """How throughput is measured, apart from the trials; `rounds = 0` leaves it out."""

    rounds: int = field(default=5, metadata={"ge": 0})
    """The most there are."""
    steps: int = field(default=10, metadata=_POSITIVE)
    """Timed training steps per strategy and round."""
    seconds: float = field(default=0.0, metadata={"gt": 0})
    """Begin no round of training after so long, and then none of decoding; 0 = at any time."""
    narrow: float = field(default=0.0, metadata={"gt": 0})
    """Half the width of a ratio's interval, as a share of it, that needs no more rounds; 0 = all
    rounds are needed."""
    details: bool = False
    """Whether a step's parts, memory, operations and times to first tokens are measured, too."""


FIRST_LOOK = 3
"""Seeds with which a run until a verdict begins; then there is a test after each."""

MAX_SEEDS = 12
"""Seeds that are added then at most, unless told otherwise."""


@dataclass(frozen=True)
class Question:
    """What a suite asks, and what decides it; what is left open here has a default.

    Trials do not have it: it is about records as a whole, and kept beside them.
    """

    by: Compared | None = None
    """The axis that is compared. Default: the one that varies."""
    baseline: str = ""
    """What the others are compared with. Default: of optimizers the suite's baseline."""
    metric: Mapping[str, str] = field(default_factory=dict)
    """Per task (by label, else name), the metric that decides. Default: the task's own."""
    decoder: Mapping[str, str] = field(default_factory=dict)
    """Per task, the decoder that decides. Default: the first in the suite that fits."""
    tuned_by: str = field(default="", metadata={"key": ""})
    """Who chose the options that are compared, as the suite says."""
    max_seeds: int = field(default=0, metadata={"ge": 4, "le": 100})
    """Seeds are added until there is a verdict, up to so many; 0 = the suite says how many."""


@dataclass(frozen=True)
class Suite:
    """What to compare: every combination of the parts that fit each other."""

    name: str = field(metadata={"key": ""})
    tasks: tuple[Choice, ...] = field(metadata={"key": "task", "min_length": 1})
    models: tuple[Choice, ...] = field(metadata={"key": "model", "min_length": 1})
    losses: tuple[Choice, ...] = field(metadata={"key": "loss", "min_length": 1})
    optimizers: tuple[Choice, ...] = field(metadata={"key": "optimizer", "min_length": 1})
    schedules: tuple[Choice, ...] = field(metadata={"key": "schedule", "min_length": 1})
    decoders: tuple[Choice, ...] = field(metadata={"key": "decoder", "min_length": 1})
    training: Mapping[str, Training]
    """Per task (by label, else name)."""
    seeds: tuple[int, ...] = field(metadata={"strict": False, "min_length": 1})
    yardsticks: tuple[Choice, ...] = field(default=(), metadata={"key": "yardstick"})
    """Models that no strategy trains, fitted once on every task that they fit: what strategies
    should beat."""
    phases: tuple[Phase, ...] = field(default=(), metadata={"key": "phase"})
    metrics: tuple[Choice, ...] = field(default=(), metadata={"key": "metric"})
    """Registered metrics that predictions are measured by besides their tasks' own."""
    tuning: Tuning | None = None
    tuned_by: str = ""
    """Who chose the options of its strategies on validation, where it does not search itself, such
    as a script; empty = nobody."""
    description: str = ""
    baseline: str = ""
    """The optimizer that the others are compared with; empty = the first in the suite."""
    question: Question = Question()
    targets: Mapping[str, float] = field(default_factory=dict, metadata={"key": "target"})
    """Per task (by label, else name), the validation loss that strategies are timed to."""
    throughput: Throughput = Throughput()
    launcher: Choice = Choice("processes")
    limit: float = field(default=600.0, metadata={"gt": 0})
    """Seconds of wall clock that one trial may take."""
    memory: float = field(default=0.0, metadata={"gt": 0})
    """Gigabytes of data that the process of one trial may have; 0 = as much as there is."""
    device: str = field(default="cpu", metadata={"pattern": r"^(cpu|cuda(:\d+)?)$"})
    threads: int = field(default=1, metadata=_POSITIVE)
    processes: int = field(default=1, metadata=_POSITIVE)
    """Processes that train one trial together, each on its share of every batch."""
    sharded: bool = False
    """Whether they split the weights, the gradients and the optimizer's state among them."""
    dtype: str = field(default="float32", metadata={"pattern": r"^(float32|float64)$"})
    keep_weights: bool = False
    """Whether every trial leaves its weights beside its record."""
    keep_outputs: bool = True
    """Whether what its decoders wrote for the test examples is kept beside its record."""
    checkpoint: float = field(default=0.0, metadata={"gt": 0})
    """Minutes between two checkpoints of a trial, which it goes on from if it is killed; 0 = it has
    none."""
    path: str = field(default="", metadata={"key": ""})

    def choices(self) -> dict[Kind, tuple[Choice, ...]]:
        """Its parts, by kind."""
        by_key = {each.metadata.get("key"): getattr(self, each.name) for each in fields(self)}
        return {kind: by_key[kind] for kind in LISTED} | {"launcher": (self.launcher,)}


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
    yardstick: bool = False
    """Whether it is no strategy, but what strategies are held against."""
    metrics: tuple[Part, ...] = ()
    """Registered metrics that predictions are measured by besides the task's own."""
    processes: int = 1
    """How many train it together."""
    sharded: bool = False
    """Whether each of them has a part of the weights."""
    prune_above: tuple[float | None, ...] = ()
    """By validation, the loss above which a trial of a search stops; None = none there."""

    @property
    def is_search(self) -> bool:
        """Whether it is one of a search for good options."""
        return self.tuned is not None and self.tuned.stage == "search"

    @cached_property
    def key(self) -> str:
        """Identity: equal keys mean the same trial, whatever the suite's order was."""
        # The fast twin of `key_of(asdict(self))`: parts keep their JSON.
        tuned = self.tuned and vars(self.tuned)
        plain = identity({**vars(self), "training": vars(self.training), "tuned": tuned})
        texts = [f'"{name}":{_to_json(plain[name])}' for name in sorted(plain)]
        return _hash('{"trial":{' + ",".join(texts) + "}}")

    @property
    def work(self) -> tuple[Any, ...]:
        """What is done, whatever versions do it: equal of trials that differ in those alone."""
        parts = [getattr(self, axis) for axis in (*AXES, "learner")]
        phases = [(each.passes, *(p.work for p in each.parts().values())) for each in self.phases]
        return (
            *(part.work for part in parts),
            *sorted(part.work for part in (*self.decoders, *self.metrics)),
            tuple(phases),
            self.training,
            self.tuned and self.tuned.stage,
            *(self.seed, self.device, self.threads, self.processes, self.sharded),
            *(self.dtype, self.data),
            self.prune_above,
        )

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
        tuned = data.get("tuned")
        revived = {
            "decoders": tuple(map(Part.of, data["decoders"])),
            "metrics": tuple(map(Part.of, data.get("metrics", ()))),
            "prune_above": tuple(data.get("prune_above", ())),
            "training": Training.of(data["training"]),
            "phases": tuple(Phase(**_revived(each)) for each in data.get("phases", ())),
            "tuned": tuned and Tuned(**{**tuned, "edge": tuple(tuned["edge"])}),
        }
        parts = {name: Part.of(data[name]) for name in (*AXES, "learner")}
        return cls(**{**data, **parts, **revived})


@dataclass(frozen=True)
class Measurement:
    """Throughput of the strategies of one task and model, the baseline first."""

    strategies: tuple[Trial, ...]
    """One trial per strategy: equal but for loss, optimizer and schedule."""
    throughput: Throughput
    code: str = ""
    """Digest of the code that measures; records of earlier code have none."""

    @cached_property
    def key(self) -> str:
        """Identity; a new competitor means measuring all of them again, side by side."""
        return key_of(asdict(self))

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Measurement":
        """The measurement that `asdict` turned into `data`."""
        strategies = tuple(Trial.of(each) for each in data["strategies"])
        return cls(strategies, Throughput(**data["throughput"]), data.get("code", ""))


class Job(Protocol):
    """What a launcher runs: a Trial or a Measurement."""

    @property
    def key(self) -> str:
        """Identity of the work."""


def plain(job: Job) -> dict[str, Any]:
    """A job as plain data; what was added later, such as modes of training, is left out where it is
    not used, as it was before."""
    data: dict[str, Any] = asdict(job)  # type: ignore[call-overload]
    if "strategies" in data:
        data = {**_used(data), "throughput": _used(data["throughput"])}
    for trial in data.get("strategies", [data]):
        own = trial.get("training", {})
        for name in (*MODES, "count", "compared", "validation_examples"):
            if name in own and own[name] in _UNUSED[name]:
                del own[name]
        for name in ("yardstick", "metrics", "processes", "sharded", "prune_above"):
            if name in trial and trial[name] in _UNUSED[name]:
                del trial[name]
    return data


def job_to_json(job: Job) -> str:
    """A job as text, to be sent anywhere."""
    return json.dumps(plain(job))


def job_from_json(text: str) -> Job:
    """The job that `job_to_json` wrote."""
    data = json.loads(text)
    return Measurement.of(data) if "strategies" in data else Trial.of(data)


def key_of(job: Mapping[str, Any]) -> str:
    """The key of a job as plain data."""
    return digest({"measurement" if "strategies" in job else "trial": identity(job)})


def keys_by_seed(trial: Mapping[str, Any]) -> Callable[[int], str]:
    """The key of a trial as plain data by its seed: the fast twin of `key_of` for many seeds."""
    plain = identity(trial)
    before = _to_json({name: plain[name] for name in plain if name < "seed"})[1:-1]
    after = _to_json({name: plain[name] for name in plain if name > "seed"})[1:-1]
    start = hashlib.sha256(f'{{"trial":{{{before},"seed":'.encode())

    def key(seed: int) -> str:
        whole = start.copy()
        whole.update(f"{seed},{after}}}}}".encode())
        return _short(whole)

    return key


def group_of(job: Mapping[str, Any]) -> str:
    """The group of a job as plain data: what its seeds have in common."""
    return digest({**identity(job), "seed": None})


def identity(job: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a job (as plain data) from others.

    What was added to trials later counts only where it is used, so that older records still belong
    to their trials. Of a search only the stage counts: a point is what its options are.
    """
    if "strategies" in job:
        strategies = [identity(trial) for trial in job["strategies"]]
        return _used({**job, "strategies": strategies, "throughput": _used(job["throughput"])})
    tuned = job.get("tuned")
    return _used(
        {**job, "training": _used(job["training"]), "tuned": tuned and {"stage": tuned["stage"]}}
    )


def _used(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value not in _UNUSED.get(name, ())}


_UNUSED: dict[str, tuple[Any, ...]] = {
    "steps": (0,),
    "seconds": (0,),
    "accumulate": (1,),
    "clip": (0,),
    "precision": ("float32",),
    "compile": (False,),
    "graph": (False,),
    "count": ("passes",),
    "compared": ((), []),
    "phases": ((), []),
    "tuned": (None,),
    "metrics": ((), []),
    "narrow": (0,),
    "details": (False,),
    "code": ("",),
    "yardstick": (False,),
    "processes": (1,),
    "sharded": (False,),
    "prune_above": ((), []),
    "validation_examples": (0,),
}
"""Fields that trials and measurements got later -> the values that mean they are not used."""


def digest(data: Any) -> str:
    """A short, stable hash of plain data: sha256 over canonical JSON, 20 hex digits."""
    return _hash(_to_json(data))


def _hash(text: str) -> str:
    return _short(hashlib.sha256(text.encode()))


def _short(hashed: "hashlib._Hash") -> str:
    return hashed.hexdigest()[:20]


def _to_json(data: Any) -> str:
    if isinstance(data, Part):
        return data.json
    if isinstance(data, tuple):
        return f"[{','.join(map(_to_json, data))}]"
    return _encode(data)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=asdict).encode
