"""The rows of every table, and the comparison that holds them.

Values are plain and unrounded; NaN is "not known". The columns are those of the csv and json that
`msbench compare` prints and of the data frames of `msbench.Results`: docs/compare.md explains them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

from msbench.spec import AXES, Compared

Row = Mapping[str, Any]
"""Any of the rows below."""

Bases = Mapping[str, str]
"""Per task, the name of the baseline there."""


class StrategyRow(TypedDict):
    """What a trial is of (`spec.AXES`), by the names that tables use."""

    task: str
    model: str
    loss: str
    optimizer: str
    schedule: str


class StrategyKey(NamedTuple):
    """The same as a key; "" where something is of no particular part."""

    task: str = ""
    model: str = ""
    loss: str = ""
    optimizer: str = ""
    schedule: str = ""

    @classmethod
    def of(cls, row: StrategyRow) -> "StrategyKey":
        """The axes of a row, whatever else it holds."""
        return cls(*(row[axis] for axis in AXES))

    def row(self) -> StrategyRow:
        """Their columns."""
        return cast(StrategyRow, self._asdict())


class MachineStrategyRow(StrategyRow):
    """A strategy on one machine."""

    machine: str


class CostRow(TypedDict):
    """What training took: means over the seeds that ended ok."""

    passes: float
    steps: float
    train_seconds: float
    tokens_per_second: float
    peak_memory: float
    flops: float
    optimizer_bytes: float
    sent_bytes: float
    generalization_gap: float
    """Loss on the test split minus that on (a sample of) the training split."""
    overfitting: float
    """How far the last validation loss is above the best."""
    throughput: float
    throughput_ratio: float


class ExampleRow(TypedDict):
    """The paired test over seeds and test examples."""

    example_difference: float
    example_low: float
    example_high: float
    example_p: float
    """No smaller than that over seeds alone, which is the narrower claim."""
    examples: float


class LookRow(TypedDict):
    """How far seeds were added to a comparison, if they were until there was a verdict."""

    looked: int
    """Seeds of the last look; 0 for none."""
    stopped: str
    """Why there were no more: one of `looks.Stop`."""


class CellRow(StrategyRow):
    """What is compared: a strategy, a decoder and a metric."""

    decoder: str
    metric: str
    main: bool
    """Whether it is the metric that the task is about."""
    primary: bool
    """Whether it is shown."""
    lower_is_better: bool
    lowest: float
    highest: float
    """Bounds of what its values can be; infinite for none."""
    declared_margin: float
    """The largest difference that does not matter; NaN where nobody declared one."""
    relative_margin: bool
    """Whether that is a share of the baseline's mean."""


class AccuracyRow(StrategyRow, CostRow, ExampleRow, LookRow):
    """The mean of a cell, its difference to the baseline, the verdict, and what it cost."""

    decoder: str
    metric: str
    main: bool
    """Whether it is the metric that decides on the task."""
    primary: bool
    """Whether it is shown."""
    decides: bool
    """Whether its verdict answers the declared question; all others are secondary."""
    lower_is_better: bool
    n: int
    n_ok: int
    mean: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    pairs: int
    p: float
    p_adjusted: float
    verdict: str
    """One of `judge.VERDICTS`; empty where there is nothing to compare with."""
    family: int
    """Tests that p is adjusted for."""
    equivalence_p: float
    """Adjusted p of "the true difference is not within the margin"."""
    seeds_needed: float
    """About how many seeds decide, of a verdict that is undecided."""
    detectable: float
    """The minimum detectable effect of its test, at the adjusted level."""
    margin: float
    remark: str
    """What makes the verdict fragile: collapsed seeds, scores at a bound."""
    by_seed: Sequence[float]
    """The score of each seed, in the order of all seeds."""
    example_p_adjusted: float
    baseline: bool
    status: str


class YardstickRow(TypedDict):
    """What a yardstick scored: one number, since it is fitted once and has no spread over seeds."""

    task: str
    yardstick: str
    decoder: str
    metric: str
    primary: bool
    """Whether it is shown."""
    decides: bool
    """Whether it is the metric that decides on the task."""
    lower_is_better: bool
    score: float
    """NaN where it did not end ok."""
    status: str
    reason: str
    seconds: float
    """Wall clock, from start to end."""


class AgainstRow(StrategyRow, ExampleRow):
    """A strategy against a yardstick: over its seeds, on the same test examples."""

    decoder: str
    metric: str
    yardstick: str
    score: float
    """The yardstick's."""
    decides: bool
    lower_is_better: bool
    n: int
    n_ok: int
    mean: float
    low: float
    high: float
    difference: float
    """To the yardstick's score, a constant: only the strategy's seeds vary."""
    difference_low: float
    difference_high: float
    pairs: int
    p_adjusted: float
    """For all strategies of the task (Holm)."""
    verdict: str
    """One of `judge.VERDICTS`."""
    family: int
    seeds_needed: float
    margin: float


class TrainingRow(MachineStrategyRow, CostRow):
    """What training took, per strategy and machine."""

    n: int
    n_ok: int
    best_loss: float
    baseline: bool


class TargetRow(MachineStrategyRow):
    """What it took to reach a validation loss: medians over seeds, infinite if unreached."""

    target: float
    n: int
    reached: float
    """Share of the seeds that reached it."""
    passes: float
    flops: float
    seconds: float
    baseline: bool


class DecodingRow(MachineStrategyRow):
    """What predicting the test split took and gave, per strategy, machine and decoder."""

    decoder: str
    n: int
    metric: str
    mean: float
    tokens_per_second: float
    seconds: float
    count: float
    tokens: float
    steps: float
    positions: float
    first_token_seconds: float
    length_ratio: float
    log_probability: float
    empty: float
    calibration_seconds: float
    baseline: bool


class ThroughputRow(MachineStrategyRow):
    """Speed measured alone, and its ratio to the baseline's within rounds."""

    decoder: str
    unit: str
    per_second: float
    ratio: float
    ratio_low: float
    ratio_high: float
    rounds: int
    baseline: bool


class SearchedPoint(TypedDict):
    """A point of a search."""

    point: int
    options: Mapping[str, Any]
    validation_loss: float
    score: float
    """By the metric that selects; NaN where the loss does."""


class TuningRow(StrategyRow):
    """A search: how its points did on validation, and the winner that ran.

    `median` and `worst` are of what selects: the metric that is named, else the validation loss.
    """

    trials: int
    """How many there were, over all points and seeds."""
    passes: float
    """What they cost together."""
    pruned: int
    """How many were stopped early."""
    points: int
    ok: int
    point: int | None
    options: Mapping[str, Any]
    edge: Sequence[str]
    validation_loss: float
    median: float
    worst: float
    searched: Sequence[SearchedPoint]
    metric: str
    """What selects; empty for the validation loss."""
    score: float
    """The winner's, by that metric on the validation split."""


class RankRow(TypedDict):
    """The average rank of a strategy over tasks."""

    strategy: str
    average_rank: float
    group: str
    tasks: int
    friedman: float
    p: float
    critical_difference: float


class ProfileRow(TypedDict):
    """The share of problems solved within `tau` times the baseline's cost."""

    strategy: str
    tau: float
    share: float
    low: float
    high: float
    problems: int


class CurveRow(MachineStrategyRow):
    """Validation loss point by point: medians over seeds, the lowest and the highest."""

    n: int
    n_ok: int
    passes: Sequence[float]
    steps: Sequence[float]
    seconds: Sequence[float]
    validation_loss: Sequence[float]
    lowest: Sequence[float]
    highest: Sequence[float]
    baseline: bool


class FailureRow(StrategyRow):
    """What did not end ok, and why."""

    stage: str
    status: str
    reason: str
    seeds: Sequence[int]


class PartRow(TypedDict):
    """A part that was used; `data` and `sizes` are of tasks."""

    kind: str
    label: str
    name: str
    plugin: str
    version: str
    options: Mapping[str, Any]
    data: NotRequired[str]
    """Fingerprint of the prepared data."""
    sizes: NotRequired[Mapping[str, int]]
    """Examples per split."""


class MachineRow(TypedDict):
    """A machine: what tables call it, and what it said of itself."""

    machine: str
    about: Mapping[str, Any]


def compared(row: StrategyRow, by: Compared, decoder: str = "") -> str:
    """What is compared in a row: the name on the axis `by`."""
    return decoder if by == "decoder" else row[by]


def is_baseline(row: StrategyRow, by: Compared, bases: Bases, decoder: str = "") -> bool:
    """Whether a row is of the baseline of its task."""
    return compared(row, by, decoder) == bases.get(row["task"])


@dataclass(frozen=True)
class Comparison:
    """What records say."""

    accuracy: Sequence[AccuracyRow]
    """Per task, strategy, decoder and metric."""
    throughput: Sequence[ThroughputRow]
    baseline: str
    notes: Sequence[str] = field(default_factory=tuple)
    tuning: Sequence[TuningRow] = ()
    by: Compared = "optimizer"
    """The axis that the baseline is of."""
    untuned: Sequence[str] = ()
    """The optimizers of strategies that are compared although nobody chose their options; with any,
    nothing is ranked."""
    training: Sequence[TrainingRow] = ()
    targets: Sequence[TargetRow] = ()
    freezing: Sequence[str] = ()
    """The lines that keep these targets in a suite; none where they were given."""
    decoding: Sequence[DecodingRow] = ()
    ranks: Sequence[RankRow] = ()
    profiles: Sequence[ProfileRow] = ()
    curves: Sequence[CurveRow] = ()
    yardsticks: Sequence[YardstickRow] = ()
    """What is no strategy, and what strategies are held against."""
    against: Sequence[AgainstRow] = ()
    """Every strategy that decides against every yardstick of its task."""
    failures: Sequence[FailureRow] = ()
    parts: Sequence[PartRow] = ()
    machines: Sequence[MachineRow] = ()
    max_seeds: int = 0
    """Seeds were added until there was a verdict, up to so many; 0 if not."""
