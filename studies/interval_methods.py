"""Intervals and tests that studies/intervals.py compares: over seeds, and over seeds and examples.

Each gives a two-sided p-value of "the true mean is zero", and its 95 % interval holds what it does
not reject at 5 %. The bootstraps are written as matrix products over samples, where scipy's
`bootstrap` takes one at a time; `check_bootstraps` compares the two.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats as reference
from scipy.special import ndtr, ndtri, stdtr

from msbench.compare import stats

EFFECTS = (0.0, 1.0, 2.0)
"""True differences, in standard deviations of the difference over seeds."""

RESAMPLES = 2_000

BLOCK = 1_000
"""Samples that are resampled at once, to bound memory."""


def p_values(samples: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Per method, p-values (effects, samples) of `samples` (samples, seeds) plus each effect."""
    n = samples.shape[1]
    p = {"paired t": np.array([stats.paired_tests(samples + effect).p for effect in EFFECTS])}
    p |= _bootstraps(samples, rng)
    signs = _signs(n, rng)
    p["sign-flip"] = np.array([_sign_flip(samples + effect, signs) for effect in EFFECTS])
    p["Wilcoxon"] = np.array([_wilcoxon(samples + effect, _signs(n, rng)) for effect in EFFECTS])
    return p


def _bootstraps(samples: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Three bootstraps from the same resamples (Efron and Tibshirani, 1993)."""
    rows, n = samples.shape
    weights = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).T / n
    p = {m: np.empty((len(EFFECTS), rows)) for m in ("bootstrap-t", "percentile", "BCa")}
    for block in _blocks(rows):
        part = samples[block]
        mean = part.mean(axis=1, keepdims=True)
        away = part - mean
        moved = away @ weights  # of the resample's mean from the sample's
        variance = np.maximum(away**2 @ weights - moved**2, 0.0)
        scale = (away**2).mean(axis=1, keepdims=True)
        variance[variance < 1e-12 * scale + 1e-300] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            pivots = np.nan_to_num(moved / np.sqrt(variance), posinf=np.inf, neginf=-np.inf)
            acceleration = (away**3).sum(axis=1) / (6 * (away**2).sum(axis=1) ** 1.5)
            bias = _normal_score(moved, np.zeros_like(mean))
            for at, effect in enumerate(EFFECTS):
                pivot = (mean + effect) / np.sqrt(scale)
                p["bootstrap-t"][at, block] = _two_sided(pivots, pivot)
                p["percentile"][at, block] = _two_sided(moved, -(mean + effect))
                score = _normal_score(moved, -(mean + effect)) - bias
                z = score / (1 + np.nan_to_num(acceleration) * score) - bias
                p["BCa"][at, block] = 2 * ndtr(-np.abs(z))
    return p


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, rows, BLOCK))


def _two_sided(drawn: Any, value: Any) -> Any:
    below, above = (drawn <= value).sum(axis=1), (drawn >= value).sum(axis=1)
    return np.minimum(1.0, 2 * (np.minimum(below, above) + 1) / (drawn.shape[1] + 1))


def _normal_score(drawn: Any, value: Any) -> Any:
    """Normal quantile of the share below, where ties count half; kept finite."""
    below = ((drawn < value).sum(axis=1) + (drawn <= value).sum(axis=1)) / 2
    count = drawn.shape[1]
    return ndtri(np.clip(below, 0.5, count - 0.5) / count)


def _signs(n: int, rng: np.random.Generator) -> Any:
    """All signs of up to ten seeds, random ones above."""
    if n <= 10:
        return 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    return np.vstack([np.ones(n), rng.choice([-1.0, 1.0], (RESAMPLES - 1, n))])


def _sign_flip(samples: Any, signs: Any) -> Any:
    """The share of sign flips with a mean as far from zero (Fisher, 1935)."""
    p = np.empty(len(samples))
    for block in _blocks(len(samples)):
        size = np.abs(samples[block].sum(axis=1, keepdims=True))
        p[block] = (np.abs(samples[block] @ signs.T) >= size * (1 - 1e-9)).mean(axis=1)
    return p


def _wilcoxon(samples: Any, signs: Any) -> Any:
    """Signed ranks (Wilcoxon, 1945), exact with ties: sign flips of the ranks."""
    ranks = np.sign(samples) * reference.rankdata(np.abs(samples), axis=1)
    return _sign_flip(ranks, signs)


def check_bootstraps(sample: Any, rng: np.random.Generator) -> None:
    """The matrix products agree with scipy's bootstrap, up to the randomness of resampling."""
    p_by_method = _bootstraps(sample, rng)
    for method in ("percentile", "BCa"):
        p = float(p_by_method[method][0, 0])
        interval = reference.bootstrap(
            sample, np.mean, confidence_level=1 - p, n_resamples=20_000, method=method, rng=2
        ).confidence_interval
        assert min(abs(interval.low), abs(interval.high)) < 0.05, (method, p, interval)


def example_p_values(scores: Any, added: Any, weights: tuple[Any, Any]) -> dict[str, Any]:
    """Per method, p-values of one comparison, (seeds, examples), with each of `added` added to it.

    weights: of seeds and of examples in each resample.
    """
    n, m = scores.shape
    mean, by_seed, by_example = scores.mean(), scores.mean(axis=1), scores.mean(axis=0)
    nothing = np.zeros_like(scores)
    p = {
        "seeds and examples": [stats.paired_examples(scores + a, nothing).p for a in added],
        "examples alone": stats.paired_tests(by_example + added[:, None]).p,
    }
    if n == 1:
        return p
    p["seeds alone"] = stats.paired_tests(by_seed + added[:, None]).p
    of_seeds, of_examples = m * by_seed.var(ddof=1), n * by_example.var(ddof=1)
    total = of_seeds + max(of_examples - residual_variance(scores), 0.0)
    if total > 0:
        t = np.abs(mean + added) / (total / (n * m)) ** 0.5
        p["Hillis"] = 2 * stdtr((n - 1) * (total / max(of_seeds, 1e-12)) ** 2, -t)
    else:  # nothing to judge by
        p["Hillis"] = np.ones(len(added))
    seeds, examples = weights
    drawn = ((seeds @ (scores - mean)) * examples).sum(axis=1)
    p["pigeonhole"] = _two_sided(drawn[None, :], -(mean + added)[:, None])
    return p


def residual_variance(scores: Any) -> Any:
    """The variance of (seeds, examples) that neither seeds nor examples explain."""
    n, m = scores.shape
    by_seed, by_example = scores.mean(axis=1), scores.mean(axis=0)
    rest = (scores - by_seed[:, None] - by_example + scores.mean()) ** 2
    return rest.sum() / ((n - 1) * (m - 1))
