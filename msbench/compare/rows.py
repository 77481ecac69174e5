"""The rows of tables, and the comparison that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""One line of a table, plain values; NaN is "not known"."""


@dataclass(frozen=True)
class Comparison:
    """What records say."""

    accuracy: Sequence[Row]
    """Per task, strategy, decoder and metric: the mean, the difference, the verdict."""
    throughput: Sequence[Row]
    baseline: str
    notes: Sequence[str] = field(default_factory=tuple)
    tuning: Sequence[Row] = ()
    """What was searched, and the winners."""
    by: str = "optimizer"
    """The axis that the baseline is of."""
    training: Sequence[Row] = ()
    """Per strategy and machine: what training took."""
    targets: Sequence[Row] = ()
    """Per strategy and machine: what it took to a validation loss."""
    freezing: Sequence[str] = ()
    """The lines that keep these targets in a suite; none where they were given."""
    decoding: Sequence[Row] = ()
    """Per strategy, machine and decoder: what predicting took."""
    ranks: Sequence[Row] = ()
    """Per strategy, over tasks: its average rank."""
    profiles: Sequence[Row] = ()
    """Per strategy and multiple of the baseline's cost: the share of problems solved."""
    curves: Sequence[Row] = ()
    """Per strategy and machine: validation loss over seeds, point by point."""
    failures: Sequence[Row] = ()
    """What did not end ok, and why."""
    parts: Sequence[Row] = ()
    """What was used, in which version, with which options, on which data."""
    machines: Sequence[Row] = ()
    """What it ran on."""
