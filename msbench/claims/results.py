"""What claims and recommendations hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
"""One line of a table, plain values; NaN is "not known"."""

CLAIMS = {
    "accuracy": "raises accuracy",
    "generalization": "improves generalization",
    "overfitting": "reduces overfitting",
    "compute": "lowers compute",
}
"""What is said of multi-step strategies."""


@dataclass(frozen=True)
class Claims:
    """What records say of multi-step strategies."""

    rows: Sequence[Row]
    """Per claim, strategy, task and equal budget: the effect, its interval, the verdict."""
    summary: Sequence[Row]
    """Per claim, strategy and unit of the budget: where it was supported and contradicted."""
    conditions: Sequence[Row]
    """The same by condition: sizes of data and model, several tasks in one, rewards."""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Recommendation:
    """Which strategy to use at a budget, by records."""

    rows: Sequence[Row]
    """Per task, the strategies that there is evidence on, best first."""
    choices: Sequence[Row]
    """Per task, the best, the runner-up, whether they differ, and what may be tried next."""
    unit: str
    amount: float
    notes: Sequence[str] = ()
