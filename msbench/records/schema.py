"""The layout of a record: one definition, which `validation` checks whenever a line is read.

Numbers may be null: JSON has no NaN and no infinity, so what is not finite or not known is written
as null. Fields that records of the first layout may lack are `NotRequired`. Unknown fields are
kept: a later msbench may have added some.
"""

from typing import Any, Literal, NotRequired, TypedDict, get_args

VERSION = 3
"""Version of the layout, written into every record as `schema`; `migrations` has the steps."""

Status = Literal["ok", "diverged", "pruned", "crashed", "timeout", "oom", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)

Number = float | None

Written = int | float | None
"""A number that stays as it was written, 1 or 1.0, since a key is a hash of it."""


class PartData(TypedDict):
    """A part: what was used, with every option."""

    name: str
    options: dict[str, Any]
    plugin: str
    version: str
    label: str
    """What the suite calls it; empty for its name."""


class TunedData(TypedDict):
    """Which point of a search an optimizer is."""

    stage: Literal["search", "final"]
    point: int
    points: int
    options: dict[str, Any]
    edge: list[str]


class BudgetData(TypedDict):
    """How long and on how much a trial trains."""

    passes: int
    batch_size: int
    validations: int
    steps: NotRequired[int]
    seconds: NotRequired[Written]
    accumulate: NotRequired[int]
    clip: NotRequired[Written]
    precision: NotRequired[Literal["float32", "tf32", "bfloat16"]]
    compile: NotRequired[bool]
    graph: NotRequired[bool]
    count: NotRequired[Literal["passes", "steps"]]
    """What `passes` counts; of a strategy that is compared at equal steps, its steps."""
    compared: NotRequired[list[int]]
    """Batch size and passes of those that it is compared with, where its own are others."""


class PhaseData(TypedDict):
    """A stage of training; null is the trial's own."""

    passes: int
    loss: PartData | None
    optimizer: PartData | None
    schedule: PartData | None


class TrialData(TypedDict):
    """A trial as plain data, which its key is a hash of."""

    task: PartData
    model: PartData
    loss: PartData
    optimizer: PartData
    schedule: PartData
    decoders: list[PartData]
    learner: PartData
    training: BudgetData
    seed: int
    device: str
    threads: int
    dtype: str
    data: str
    """Fingerprint of the prepared task."""
    phases: NotRequired[list[PhaseData]]
    tuned: NotRequired[TunedData | None]
    yardstick: NotRequired[bool]
    """Whether it is no strategy, but what strategies are held against."""
    metrics: NotRequired[list[PartData]]
    """Registered metrics besides the task's own."""
    processes: NotRequired[int]
    """How many trained it together."""
    sharded: NotRequired[bool]
    """Whether each of them had a part of the weights."""
    prune_above: NotRequired[list[Number | None]]
    """By validation, the loss above which it stops."""


class ThroughputData(TypedDict):
    """How speed is measured."""

    rounds: int
    steps: int
    seconds: NotRequired[Written]
    narrow: NotRequired[Written]
    details: NotRequired[bool]


class MeasurementData(TypedDict):
    """A throughput measurement as plain data."""

    strategies: list[TrialData]
    throughput: ThroughputData
    code: NotRequired[str]
    """Digest of the code that measured."""


class MetricData(TypedDict):
    """What a metric's values mean."""

    lower_is_better: bool
    low: Number
    """The lowest value it can have; null for none."""
    high: Number
    margin: Number
    """The largest difference that does not matter; null where nobody declared one."""
    unit: str
    relative: bool
    """Whether the margin is a share of the baseline's mean instead of an amount."""


class TaskData(TypedDict):
    """The task as the trial saw it."""

    kind: str
    metric: str
    """The metric that ranks strategies."""
    also: list[str]
    """Metrics that tables show besides."""
    metrics: NotRequired[dict[str, MetricData]]
    """What is known of each metric; layout 1 lacks it, and reading fills it in."""
    lower_is_better: NotRequired[list[str]]
    """Metrics of which less is better, in layout 1."""
    sizes: dict[str, int]
    """Examples per split."""
    notes: dict[str, Any]


class PointData(TypedDict):
    """A point of the learning curve."""

    passes: Number
    steps: int
    seconds: Number
    train_loss: Number
    """Mean over the steps since the point before."""
    validation_loss: Number
    phase: NotRequired[int]


class TrainingData(TypedDict):
    """What training took, and where it got."""

    passes: Number
    """Gradients of one whole batch."""
    steps: int
    samples: int
    tokens: int
    """Without padding, once per step."""
    seconds: Number
    diverged: str
    """Why training was stopped early; empty if it was not."""
    curve: list[PointData]
    touched: NotRequired[bool]
    """Whether a step was seen to change the batch that it was given."""
    pruned: NotRequired[str]
    """Why a trial of a search was stopped early; empty if it was not."""


class ComputeData(TypedDict):
    """What training cost besides passes and seconds."""

    flops: Number
    """Of all training steps, counted exactly; not a number where they cannot be."""
    optimizer_bytes: Number
    sent_bytes: Number
    compile_seconds: NotRequired[Number]
    """Off the clock of training: compiling and capturing; only if one of them was asked for."""
    replayed: NotRequired[int]
    """Steps that were replayed; the others ran eagerly, to warm up or because they had to."""
    compiler: NotRequired[str]
    """What compiled; empty if nothing did."""


class DecodedData(TypedDict):
    """What one decoder gave on the test split, and what it asked of the model for it."""

    decoder: PartData
    metrics: dict[str, Number]
    signatures: dict[str, str]
    """By metric, how exactly it was taken, as its library says it."""
    examples: dict[str, list[Number]]
    """Scores per example, by metric."""
    seconds: Number
    count: int
    """Examples."""
    tokens: Number
    """Produced; one per example where nothing is generated."""
    steps: NotRequired[Number]
    """Times that the model was run, on a whole batch each."""
    positions: NotRequired[Number]
    """Token positions that it worked on, padding included."""
    calibration_seconds: NotRequired[Number]
    first_token_seconds: NotRequired[Number]
    """Time to the first token, of decoders that stream: mean over batches."""
    length_ratio: NotRequired[Number]
    """Tokens produced to tokens of the references."""
    log_probability: NotRequired[Number]
    """Nats, mean over outputs, END included."""
    empty: NotRequired[Number]
    """Share of the outputs."""


class OutputsData(TypedDict):
    """What decoders wrote, which is in a file of its own."""

    digest: str
    """SHA-256 (20 digits) of the lines of outputs/KEY.jsonl.gz, unpacked."""
    content: NotRequired[str]
    """The file itself in base64, on the way from the worker to the folder; in no folder."""


class GuardsData(TypedDict):
    """What is found on the side, because some wrong plugins win."""

    moved: Number
    """Of the trained numbers, the share that training has changed; rows of an embedding that are as
    they were are left out."""
    still: list[str]
    """Names of the weights in which it has changed nothing."""
    found: list[str]
    """In sentences, what readers of the scores must know; nothing if all is as it should be."""


class LossesData(TypedDict):
    """The loss at the end, on the test split and on as much of the training split."""

    train: Number
    test: Number


class TrialResults(TypedDict, total=False):
    """What a trial measured; empty if it did not get that far."""

    task: TaskData
    training: TrainingData
    compute: ComputeData
    setup_seconds: Number
    parameters: int
    """Trained numbers."""
    peak_memory: Number
    """Bytes: on CUDA those allocated at the peak; on CPU those of the tensors of a step on the
    longest batch."""
    decoding: list[DecodedData]
    outputs: OutputsData
    losses: LossesData
    guards: GuardsData
    weights_of: str
    """The key of the trial whose weights were decoded again."""


class StrategyData(TypedDict):
    """A training strategy that was timed."""

    loss: PartData
    optimizer: PartData
    schedule: PartData
    tuned: NotRequired[TunedData | None]


class RatesData(TypedDict):
    """Speed of one competitor: training tokens or examples per second."""

    per_second: float
    """The median of the rounds."""
    rates: list[float]
    """One per round."""
    ratios: list[float]
    """To the first competitor, within each round."""
    seconds: NotRequired[list[float]]
    """One per round: times its rate, the units that were done."""
    tokens_per_second: NotRequired[Number]
    """The median of the rounds: read in training, written in decoding."""
    examples_per_second: NotRequired[Number]
    joules_per_token: NotRequired[Number]
    """Of the whole processor and device, where the machine tells."""


class SplitData(TypedDict):
    """Seconds of one training step: medians that add up to it; null where a step has no parts."""

    data: Number
    """Drawing a batch and placing it on the device."""
    forward: Number
    backward: Number
    optimizer: Number
    """What is left: the optimizer's own work, and clipping."""


class TrainingRates(RatesData):
    """Speed of training; what is `NotRequired` is measured with `details` only."""

    strategy: StrategyData
    setup_seconds: NotRequired[Number]
    """Until model and optimizer were there."""
    first_step_seconds: NotRequired[Number]
    """The first step of all, which compiles whatever is compiled."""
    step: NotRequired[SplitData]
    peak_memory: NotRequired[Number]
    """Bytes, as of a trial."""
    flops_per_second: NotRequired[Number]
    """Floating point operations that training needs, counted exactly."""
    peak_share: NotRequired[Number]
    """Of `matrix_peak` (model FLOPs utilization)."""


class DecodingRates(RatesData):
    """Speed of predicting."""

    decoder: PartData
    first_token_seconds: NotRequired[Number]
    """Of decoders that stream, with `details`: until a whole batch has its first tokens."""


class NoiseData(TypedDict):
    """The first competitor measured once more: its ratios are nothing but noise."""

    training: RatesData
    decoding: RatesData | None


class LostData(TypedDict):
    """A strategy that could not be timed."""

    strategy: str
    reason: str


class MeasurementResults(TypedDict, total=False):
    """What a throughput measurement measured."""

    training: list[TrainingRates]
    decoding: list[DecodingRates]
    failed: list[LostData]
    noise: NoiseData
    busy: str
    """Why the machine was too busy for what is measured; empty if it was not."""
    matrix_peak: Number
    """Floating point operations per second of large matrix products in the trials' precision."""


class MachineData(TypedDict, total=False):
    """What seconds depend on, and whatever else a worker knows of its machine."""

    processor: str
    cores: int
    """That the worker may use."""
    system: str
    python: str
    versions: dict[str, str]
    """Of libraries."""


class RecordData(TypedDict):
    """One line, whatever it is of."""

    key: str
    """Hash of the job: equal keys are the same work."""
    group: str
    """Hash of the job without its seed: records of one group are seeds of one strategy."""
    status: Status
    """`ok`, `diverged` (a loss was no number), `pruned` (a trial of a search that could hardly win
    any more), `crashed` (the process died), `timeout`, `oom`, or `failed` (an error was raised)."""
    reason: str
    """Why the status is not ok; of one that is ok, what was lost nevertheless."""
    seconds: Number
    """Wall clock from start to end, everything included."""
    machine: MachineData
    finished: str
    """UTC, ISO 8601."""
    schema: Literal[1, 2, 3]
    checksum: NotRequired[str]
    """CRC-32 of all bytes of the line before this field, which is the last; layouts 1 and 2 lack
    it."""


class TrialRecordData(RecordData):
    """A line of trials.jsonl."""

    job: TrialData | None
    """What was done, complete; null only between the lines of a reader that knows it."""
    results: TrialResults


class MeasurementRecordData(RecordData):
    """A line of throughput.jsonl."""

    job: MeasurementData
    """What was done, complete."""
    results: MeasurementResults
