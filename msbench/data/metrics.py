"""What the values of metrics mean: direction, bounds, and the difference that matters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """What must be known of a metric to compare its values; by default, next to nothing."""

    lower_is_better: bool = False
    low: float = -math.inf
    """The lowest value it can have."""
    high: float = math.inf
    margin: float = math.nan
    """Differences within it count as equivalent; NaN if nobody has declared one."""
    unit: str = ""
    relative: bool = False
    """Whether the margin is a share of the baseline's value instead of an amount."""


_SHARE = Metric(low=0, high=1, margin=0.01, unit="share")
_FAULT = Metric(lower_is_better=True, low=0, high=1, margin=0.01, unit="share")
_POINTS = Metric(low=0, high=100, margin=1, unit="points")


def _loss(unit: str) -> Metric:
    return Metric(lower_is_better=True, low=0, margin=0.01, unit=unit, relative=True)


METRICS: Mapping[str, Metric] = {
    **dict.fromkeys(("accuracy", "macro_f1", "span_f1", "precision", "recall"), _SHARE),
    **dict.fromkeys(("exact", "tag_accuracy", "rouge1", "rouge2", "rougeL", "f1"), _SHARE),
    **dict.fromkeys(("calibration", "repetition"), _FAULT),
    **dict.fromkeys(("distinct1", "distinct2"), _SHARE),
    **dict.fromkeys(("bleu", "chrf"), _POINTS),
    "self_bleu": Metric(lower_is_better=True, low=0, high=100, margin=1, unit="points"),
    "nll": _loss("nats"),
    "bits_per_byte": _loss("bits per byte"),
    "perplexity": _loss("perplexity"),
}
"""The metrics that `scores` computes."""

POINTS = tuple(name for name, metric in METRICS.items() if metric.high == 100)
"""Metrics from 0 to 100."""

LOWER_IS_BETTER = tuple(name for name, metric in METRICS.items() if metric.lower_is_better)
"""Losses and shares of mistakes."""
