"""What claims and recommendations hold: the rows of their tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from msbench.compare.judge import Verdict
from msbench.compare.rows import StrategyRow

Claim = Literal["accuracy", "generalization", "overfitting", "compute"]

CLAIMS: Mapping[Claim, str] = {
    "accuracy": "raises accuracy",
    "generalization": "improves generalization",
    "overfitting": "reduces overfitting",
    "compute": "lowers compute",
}
"""What is claimed of multi-step strategies."""

Better = Literal["lower", "higher"]

Claimed = Literal[
    "supported",
    "supported within the margin",
    "equivalent",
    "contradicted within the margin",
    "contradicted",
    "undecided",
    "untestable",
]
"""Verdicts on claims. Within the margin: by less than what matters. Untestable: whatever had been
measured with these seeds, no test could have shown it."""


@dataclass(frozen=True)
class Claims:
    """What records say of multi-step strategies."""

    rows: Sequence["ClaimRow"]
    """Per claim, strategy, task and equal budget: the effect, its interval, the verdict."""
    summary: Sequence["SummaryRow"]
    """Per claim, strategy and unit of the budget: where it was supported and contradicted."""
    conditions: Sequence["SummaryRow"]
    """The same by condition: sizes of data and model, several tasks in one, rewards."""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Recommendation:
    """Which strategy to use at a budget, according to records."""

    rows: Sequence["RankedRow"]
    """Per task, the strategies that there is evidence on, best first."""
    choices: Sequence["ChoiceRow"]
    """Per task, the best, the runner-up, whether they differ, and what to try next; none where too
    few seeds were measured, and `notes` say so."""
    unit: str
    amount: float
    notes: Sequence[str] = ()


class Subject(StrategyRow):
    """Who is compared with whom, and under which conditions."""

    decoder: str
    kind: str
    """`"optimizer"` or `"decoder"`."""
    strategy: str
    base: str
    steps: str
    """How the strategy is multi-step."""
    seeds: int
    """Seeds that both were run with."""
    train_examples: int | None
    parameters: int | None
    task_name: str
    multitask: bool
    reinforcement: bool
    """Whether it learns from outputs drawn from the model."""


class ClaimRow(Subject):
    """An effect at an equal budget, and its verdict."""

    claim: Claim
    units: list[str]
    """In which the budget is equal."""
    quantity: str
    better: Better
    amount: float
    """The budget, in `units`; of compute, the target."""
    machine: str
    """Empty unless seconds of several machines are told apart."""
    reached: float
    base_reached: float
    """Shares of seeds that reached the target; NaN for other claims."""
    scale: Literal["ratio", "difference"]
    effect: float
    low: float
    high: float
    """95 % interval."""
    pairs: int
    """Seeds that the effect is a mean of."""
    p: float
    p_adjusted: float
    verdict: Claimed
    margin: float
    """The largest effect that does not matter; of compute a ratio."""
    seeds_needed: float
    """About how many seeds decide, of a verdict that is undecided."""
    detectable: float
    """The minimum detectable effect (MDE) at the adjusted level."""
    condition: str


class SummaryRow(TypedDict):
    """How many verdicts of each kind there are on a claim about a strategy."""

    claim: Claim
    kind: str
    strategy: str
    base: str
    steps: str
    condition: NotRequired[str]
    unit: str
    """In which the budgets are equal."""
    supported: int
    contradicted: int
    equivalent: int
    """And those that are within the margin."""
    untestable: int
    of: int
    supported_in: list[str]
    """Tasks, with their conditions."""
    contradicted_in: list[str]


class Contested(TypedDict):
    """What strategies are ranked by."""

    task: str
    machine: str
    """Empty unless seconds of several machines are told apart."""
    quantity: str
    better: Better


class RankedRow(Contested, StrategyRow):
    """A strategy and its rank."""

    decoder: str
    rank: int
    mean: float
    low: float
    high: float
    worst: float
    worst_seed: int | None
    n: int
    n_ok: int
    """Seeds that ended ok, however early they were measured first."""
    measured: int
    """Seeds that the mean is of: ended ok, and measured by then with a number."""
    spent: float
    """What they took, on average, in the unit of the budget."""
    seconds: float
    """What whole trials took on average; NaN where some were cut at the budget, or ran on several
    machines."""
    difference: float
    """To the best, as are its bounds."""
    difference_low: float
    difference_high: float
    pairs: int
    """Seeds that it and the best were both measured with."""
    p_adjusted: float
    verdict: Verdict | Literal["best", ""]
    """Against the best; empty of the first where too few seeds were measured to recommend it."""
    margin: float
    seeds_needed: float
    declared: bool
    """Whether one of the two is the baseline: then it is the verdict of `msbench compare`."""


class ChoiceRow(Contested):
    """What to use, and what to try next."""

    best: RankedRow
    runner_up: RankedRow | None
    shown: bool
    """Whether the runner-up is worse by more than the margin."""
    alike: int
    """Strategies that were measured and are not shown to be worse than the best."""
    seeds_needed: float
    """To tell the two apart."""
    edges: dict[str, list[str]]
    """By optimizer, its options at the edge of what was searched."""
    falling: bool
    """Whether the best's validation loss was still falling at the end."""
