"""Which interval and test is right for few seeds, or for seeds and examples? By simulation.

    python benchmarks/intervals.py [--write]

Prints the tables of docs/statistics.md. --write: into results/reference/statistics.json, from
which that document is made. Seeded; some minutes on one core.

Every method gives a two-sided p-value of "the true mean is zero", and its 95 % interval holds what
it does not reject at 5 %. So coverage is measured as the share of samples whose true mean is not
rejected, and the size of the test is what is missing to 100 %. The bootstraps are written as
matrix products over samples, which scipy's `bootstrap` does one by one; `check` compares the two.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msbench.device import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
from scipy import stats as reference  # noqa: E402
from scipy.special import ndtr, ndtri, stdtr  # noqa: E402
from tabulate import tabulate  # noqa: E402

from msbench import stats  # noqa: E402
from msbench.spec import Record  # noqa: E402
from msbench.store import read  # noqa: E402

ROOT = Path(__file__).parent.parent / "results/reference"
OUT = ROOT / "statistics.json"

SIZES = (3, 5, 10, 20)
"""Seeds."""

EFFECTS = (0.0, 1.0, 2.0)
"""True differences, in standard deviations of the difference over seeds."""

SAMPLES, FAMILIES, CROSSED = 10_000, 1_000, 2_000
"""Simulated comparisons, families of comparisons, and comparisons over seeds and examples."""

RESAMPLES, PIGEONHOLES = 2_000, 400

STRATEGIES = 10
"""In a family, beside the baseline that all of them are compared with."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]
Test = Callable[[Any, np.random.Generator], Any]
"""Samples (rows, seeds) -> a p-value for each effect that is added to them, (effects, rows)."""


# Differences between two strategies, of mean 0 and standard deviation 1.


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Chi-squared with 8 degrees: skewness 1."""
    return (rng.chisquare(8, shape) - 8) / 4


def very_skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Chi-squared with 2 degrees: skewness 2."""
    return (rng.chisquare(2, shape) - 2) / 2


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Student's t with 3 degrees."""
    return rng.standard_t(3, shape) / 3**0.5


def shares(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Shares right of 400 test examples: 99 % in truth, minus 97 %."""
    right, wrong = (0.99, 0.97), (0.01, 0.03)
    spread = (400 * (right[0] * wrong[0] + right[1] * wrong[1])) ** 0.5
    counts = rng.binomial(400, right[0], shape) - rng.binomial(400, right[1], shape)
    return (counts - 400 * (right[0] - right[1])) / spread


DRAWS: dict[str, Draw] = {
    "normal": normal,
    "skewness 1": skewed,
    "skewness 2": very_skewed,
    "heavy tails": heavy,
    "shares of 400": shares,
}


def resampled(pool: Any) -> Draw:
    """Draws from what was observed."""
    return lambda rng, shape: rng.choice(pool, shape)


# Methods for seeds.


def paired_t(samples: Any, rng: np.random.Generator) -> Any:
    return np.array([stats.paired_tests(samples + effect).p for effect in EFFECTS])


def bootstraps(samples: Any, rng: np.random.Generator) -> dict[str, Any]:
    """p-values of three bootstraps from the same resamples (Efron and Tibshirani, 1993)."""
    rows, n = samples.shape
    weights = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).T / n
    found: dict[str, Any] = {
        name: np.empty((len(EFFECTS), rows)) for name in ("bootstrap-t", "percentile", "BCa")
    }
    for start in range(0, rows, 1000):
        part = samples[start : start + 1000]
        here = slice(start, start + len(part))
        mean = part.mean(axis=1, keepdims=True)
        away = part - mean
        moved = away @ weights  # of the resample's mean from the sample's
        variance = np.maximum(away**2 @ weights - moved**2, 0.0)
        scale = (away**2).mean(axis=1, keepdims=True)
        variance[variance < 1e-12 * scale + 1e-300] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            pivots = np.nan_to_num(moved / np.sqrt(variance), posinf=np.inf, neginf=-np.inf)
            push = (away**3).sum(axis=1) / (6 * (away**2).sum(axis=1) ** 1.5)
            bias = _normal_score(moved, np.zeros_like(mean))
            for at, effect in enumerate(EFFECTS):
                pivot = (mean + effect) / np.sqrt(scale)
                found["bootstrap-t"][at, here] = _two_sided(pivots, pivot)
                found["percentile"][at, here] = _two_sided(moved, -(mean + effect))
                score = _normal_score(moved, -(mean + effect)) - bias
                z = score / (1 + np.nan_to_num(push) * score) - bias
                found["BCa"][at, here] = 2 * ndtr(-np.abs(z))
    return found


def _two_sided(drawn: Any, value: Any) -> Any:
    below, above = (drawn <= value).sum(axis=1), (drawn >= value).sum(axis=1)
    return np.minimum(1.0, 2 * (np.minimum(below, above) + 1) / (drawn.shape[1] + 1))


def _normal_score(drawn: Any, value: Any) -> Any:
    """Normal quantile of the share below, ties half; kept finite."""
    below = ((drawn < value).sum(axis=1) + (drawn <= value).sum(axis=1)) / 2
    count = drawn.shape[1]
    return ndtri(np.clip(below, 0.5, count - 0.5) / count)


def sign_flip(samples: Any, rng: np.random.Generator) -> Any:
    """All signs up to ten seeds, random ones above (Fisher, 1935)."""
    n = samples.shape[1]
    if n <= 10:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.vstack([np.ones(n), rng.choice([-1.0, 1.0], (RESAMPLES - 1, n))])
    found = []
    for effect in EFFECTS:
        rows = []
        for part in np.array_split(samples + effect, max(1, len(samples) // 1000)):
            size = np.abs(part.sum(axis=1, keepdims=True))
            rows.append((np.abs(part @ signs.T) >= size * (1 - 1e-9)).mean(axis=1))
        found.append(np.concatenate(rows))
    return np.array(found)


def wilcoxon(samples: Any, rng: np.random.Generator) -> Any:
    """Signed ranks (Wilcoxon, 1945), exact with ties: the sign flips of ranks."""
    found = []
    for at, effect in enumerate(EFFECTS):
        moved = samples + effect
        ranks = np.sign(moved) * reference.rankdata(np.abs(moved), axis=1)
        found.append(sign_flip(ranks, rng)[EFFECTS.index(0.0)])
    return np.array(found)


def p_values(samples: Any, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "paired t": paired_t(samples, rng),
        **bootstraps(samples, rng),
        "sign-flip": sign_flip(samples, rng),
        "Wilcoxon": wilcoxon(samples, rng),
    }


def over_seeds(draw: Draw, rng: np.random.Generator) -> dict[str, Any]:
    """Coverage and power of every method for every number of seeds."""
    found: dict[str, Any] = {}
    for n in SIZES:
        for name, p in p_values(draw(rng, (SAMPLES, n)), rng).items():
            rejected = (p <= 0.05).mean(axis=1)
            figures = {"coverage": 1 - rejected[0], "power 1": rejected[1], "power 2": rejected[2]}
            found.setdefault(name, {})[n] = figures
    return found


def families(draw: Draw, rng: np.random.Generator) -> dict[str, Any]:
    """The share of families with any false positive after Holm.

    STRATEGIES strategies whose true mean is the baseline's, on the same seeds: their differences
    share the baseline's scores and so are correlated by a half.
    """
    found: dict[str, Any] = {}
    for n in SIZES:
        scores = draw(rng, (FAMILIES, STRATEGIES, n)) - draw(rng, (FAMILIES, 1, n))
        for name, p in p_values(scores.reshape(-1, n), rng).items():
            each = p[0].reshape(FAMILIES, STRATEGIES)
            wrong = [stats.holm(family).min() <= 0.05 for family in each]
            found.setdefault(name, {})[n] = float(np.mean(wrong))
    return found


# Methods for seeds and examples.


def crossed(shares: tuple[float, float, float], count: int) -> Callable[..., Any]:
    """Normal differences whose variance is shared out over seeds, examples and their meetings."""

    def draw(rng: np.random.Generator, rows: int, n: int) -> Any:
        of_seeds, of_examples, rest = np.sqrt(shares)
        scores = rest * rng.standard_normal((rows, n, count))
        scores += of_seeds * rng.standard_normal((rows, n, 1))
        return scores + of_examples * rng.standard_normal((rows, 1, count))

    return draw


def right_or_wrong(count: int) -> Callable[..., Any]:
    """Answers of two equally good strategies, right where a normal sum is above zero.

    Examples are hard or easy for both (standard deviation 1.5) and for each (0.45), seeds are
    better or worse (0.05), the rest (1) is chance: 80 % right, and the variance of differences is
    shared out about as on bbc-news.
    """

    def draw(rng: np.random.Generator, rows: int, n: int) -> Any:
        both = 1.5 + 1.5 * rng.standard_normal((rows, 1, count))
        answers = []
        for _ in range(2):
            total = both + 0.45 * rng.standard_normal((rows, 1, count))
            total = total + 0.05 * rng.standard_normal((rows, n, 1))
            answers.append(total + rng.standard_normal((rows, n, count)) > 0)
        return answers[0].astype(float) - answers[1]

    return draw


def example_methods(scores: Any, rng: np.random.Generator) -> dict[str, Any]:
    """p-values of one comparison at every effect; effects are in the unit of the scores."""
    n, m = scores.shape
    mean = scores.mean()
    found: dict[str, Any] = {}
    return found
