"""Intervals over seeds, from scipy."""

from collections.abc import Sequence

import numpy as np


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high) by Student's t; with fewer than two values the interval is NaN.

    values: one number a seed. For paired differences, pass the differences.
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) == 0:
        return (float("nan"),) * 3
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return mean, float("nan"), float("nan")
    half = t_quantile(len(numbers) - 1, level) * float(numbers.std(ddof=1)) / len(numbers) ** 0.5
    return mean, mean - half, mean + half


def t_quantile(degrees: int, level: float) -> float:
    """Two-sided critical value of Student's t."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(degrees, (1 + level) / 2))
