"""Rules that studies/verdicts.py compares: tests of one comparison, and adjustments of a family.

A test gives p-values (samples, strategies) from scores (samples, 1 + strategies, seeds), the
baseline first. A rule gives what a family rejects at 5 %, (samples, strategies), from the same
scores.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

ALPHA = 0.05

NULLS = 400
"""Draws of the null distribution for each sample, where correlations are estimated."""

QUANTILES = 200_000
"""Draws for the quantiles of the largest of several t."""

Scores = Any
"""(samples, 1 + strategies, seeds)."""


def differences(scores: Scores) -> Any:
    """To the baseline, (samples, strategies, seeds)."""
    return scores[:, 1:] - scores[:, :1]


def t_statistics(values: Any) -> Any:
    """Student's t of the last axis; 0 where nothing differs, NaN where there is no spread."""
    n, mean, sd = values.shape[-1], values.mean(axis=-1), values.std(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / (sd / n**0.5)
    return np.where(sd <= 1e-9 * np.abs(mean), np.nan, t)


def t_p(scores: Scores) -> Any:
    """The paired t-test."""
    return _two_sided(t_statistics(differences(scores)), scores.shape[2] - 1)


def log_odds_p(scores: Scores, examples: int) -> Any:
    """The same of log odds, for shares; half an example is added to either side."""
    share = (scores * examples + 0.5) / (examples + 1)
    return t_p(np.log(share / (1 - share)))


def larger_p(scores: Scores, examples: int) -> Any:
    """The larger p of shares and of their log odds."""
    return np.fmax(t_p(scores), log_odds_p(scores, examples))


def sign_p(scores: Scores) -> Any:
    """The exact sign test."""
    from scipy.stats import binom

    signs = np.sign(differences(scores))
    up, n = (signs > 0).sum(axis=-1), (signs != 0).sum(axis=-1)
    return np.minimum(1.0, 2 * binom.cdf(np.minimum(up, n - up), n, 0.5))


def johnson_p(scores: Scores) -> Any:
    """The t-test with Johnson's correction for skewness (Johnson, 1978)."""
    values = differences(scores)
    n, mean, sd = values.shape[-1], values.mean(axis=-1), values.std(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        third = ((values - mean[..., None]) ** 3).mean(axis=-1)
        t = (mean + third / (6 * sd**2 * n) + third * mean**2 / (3 * sd**4)) / (sd / n**0.5)
    return _two_sided(t, n - 1)


def _two_sided(t: Any, degrees: int) -> Any:
    return 2 * stdtr(degrees, -np.abs(t))


def _steps(scores: Scores) -> tuple[Any, Any]:
    """(p from the smallest on, where each belongs); p of what cannot be tested is 1."""
    p = np.nan_to_num(t_p(scores), nan=1.0)
    order = np.argsort(p, axis=1)
    return np.take_along_axis(p, order, axis=1), order


def _back(rejected: Any, order: Any) -> Any:
    found = np.zeros_like(rejected)
    np.put_along_axis(found, order, rejected, axis=1)
    return found


def _step_down(small_enough: Any, order: Any) -> Any:
    return _back(np.logical_and.accumulate(small_enough, axis=1), order)


def unadjusted(scores: Scores) -> Any:
    """Every test at 5 % for itself."""
    return t_p(scores) <= ALPHA


def holm(scores: Scores) -> Any:
    """Holm, 1979."""
    p, order = _steps(scores)
    return _step_down(p * np.arange(p.shape[1], 0, -1) <= ALPHA, order)


def sidak(scores: Scores) -> Any:
    """Holm's steps with Sidak's level."""
    p, order = _steps(scores)
    return _step_down(p <= 1 - (1 - ALPHA) ** (1 / np.arange(p.shape[1], 0, -1)), order)


def hommel(scores: Scores) -> Any:
    """Hommel, 1988: closed testing with Simes' test."""
    p, order = _steps(scores)
    m = p.shape[1]
    largest = np.zeros(len(p), dtype=int)
    for i in range(1, m + 1):
        bounds = ALPHA * np.arange(1, i + 1) / i
        largest = np.where((p[:, m - i :] > bounds).all(axis=1), i, largest)
    level = np.where(largest == 0, ALPHA, ALPHA / np.maximum(largest, 1))
    return _back(p <= level[:, None], order)


def benjamini_hochberg(scores: Scores) -> Any:
    """Benjamini and Hochberg, 1995: the share of false verdicts, not whether there is any."""
    p, order = _steps(scores)
    m = p.shape[1]
    below = p <= ALPHA * np.arange(1, m + 1) / m
    last = m - np.argmax(below[:, ::-1], axis=1)
    return _back((np.arange(m) < last[:, None]) & below.any(axis=1)[:, None], order)


def pooled(scores: Scores) -> Any:
    """Holm with one variance for all strategies of a family."""
    values = differences(scores)
    k, n = values.shape[1:]
    sd = (values.var(axis=2, ddof=1).mean(axis=1, keepdims=True)) ** 0.5
    p = _two_sided(values.mean(axis=2) / (sd / n**0.5), k * (n - 1))
    order = np.argsort(p, axis=1)
    sorted_p = np.take_along_axis(p, order, axis=1)
    return _step_down(sorted_p * np.arange(k, 0, -1) <= ALPHA, order)


def common_baseline(scores: Scores) -> Any:
    """Dunnett, 1955, step by step: the largest t of strategies that share a baseline, if all
    spreads were the same (a correlation of one half)."""
    p, order = _steps(scores)
    k, n = p.shape[1], scores.shape[2]
    t = -stdtrit(n - 1, p / 2)
    return _step_down(t >= _largest_t(n, k), order)


@cache
def _largest_t(n: int, k: int) -> Any:
    """The 95 % quantiles of the largest |t| of k, k - 1, ..., 1 such strategies."""
    rng = np.random.default_rng([n, k])
    t = np.abs(t_statistics(differences(rng.standard_normal((QUANTILES // k, k + 1, n)))))
    return np.array([np.quantile(t[:, :m].max(axis=1), 1 - ALPHA) for m in range(k, 0, -1)])


def estimated(scores: Scores) -> Any:
    """Westfall and Young, 1993: the largest t step by step, with the correlations of the sample."""
    values = differences(scores)
    samples, k, n = values.shape
    t = np.abs(np.nan_to_num(t_statistics(values)))
    order = np.argsort(-t, axis=1)
    away = values - values.mean(axis=2, keepdims=True)
    away = np.take_along_axis(away, order[:, :, None], axis=1)
    noise = np.random.default_rng([n, k]).standard_normal((NULLS, n, n))
    found = np.zeros((samples, k), dtype=bool)
    for number, rows in enumerate(away):
        null = np.abs(
            np.nan_to_num(t_statistics((rows @ noise.reshape(-1, n).T).reshape(k, -1, n)))
        )
        largest = np.maximum.accumulate(null[::-1], axis=0)[::-1]
        p = (largest >= t[number, order[number], None]).mean(axis=1)
        found[number] = np.logical_and.accumulate(p <= ALPHA)
    return _back(found, order)


RULES: Mapping[str, Callable[[Scores], Any]] = {
    "Holm": holm,
    "Holm-Sidak": sidak,
    "Hommel": hommel,
    "Dunnett, step by step": common_baseline,
    "largest t, estimated": estimated,
    "pooled variance": pooled,
    "Benjamini-Hochberg": benjamini_hochberg,
    "unadjusted": unadjusted,
}
