"""Intervals, paired tests and ranks over seeds, examples and tasks, from scipy.

Why these methods: docs/statistics.md, by simulation. Not a number (NaN) means missing, everywhere.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msbench.errors import MsbenchError

Array = NDArray[np.float64]

ALPHA, POWER = 0.05, 0.8
"""What `detectable` is about: a two-sided test at ALPHA that finds it in POWER of all cases."""

CONSTANT = 1e-9
"""Differences whose spread is a smaller share of their mean differ only by rounding."""

STUDENTIZED_RANGE = (
    *(2.771807648699355, 3.314493155398122, 3.6331595749026278, 3.857655510378623),
    *(4.030092053180576, 4.169554155006547, 4.286309409349043, 4.38650911549537),
    *(4.474124221725907, 4.551863584065974, 4.621655471868518, 4.684919847313499),
    *(4.7427317076846975, 4.795923860431186, 4.845154183957343, 4.890951125576789),
    *(4.933745358126922, 4.973892348748306, 5.0116887941184425),
)
"""95 % quantiles of the studentized range of 2 to 20 means with infinite degrees of freedom, from
scipy.stats, which alone takes as long to import as everything else that tables need."""


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high) by Student's t; with fewer than two values the interval is NaN.

    values: one number a seed. For paired differences, pass the differences.
    """
    mean, low, high, _ = mean_intervals(np.asarray(values, dtype=float)[None, :], level)
    return float(mean[0]), float(low[0]), float(high[0])


def t_quantile(degrees: int, level: float) -> float:
    """Two-sided critical value of Student's t."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(degrees, (1 + level) / 2))


def mean_intervals(
    values: ArrayLike, level: float = 0.95
) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """(mean, low, high, n) of every row, by Student's t (Student, 1908).

    values: (rows, seeds) in any unit, NaN where a seed is missing. n counts the values that are
    there. The mean of none is NaN, and so are the bounds for fewer than two.
    """
    mean, sd, n = _moments(values)
    half = _critical(n, level) * sd / np.sqrt(np.maximum(n, 1))
    return mean, mean - half, mean + half, n


def bounded_intervals(
    values: ArrayLike, lowest: ArrayLike, highest: ArrayLike, level: float = 0.95
) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """`mean_intervals` that stay within what the values can be.

    lowest, highest: bounds of every row, infinite for none. Between two bounds the interval is
    formed on the log odds of the mean, above one on its logarithm (the delta method), which covers
    better near a bound (docs/statistics.md). Without any spread there are no bounds to give: NaN.
    """
    mean, low, high, n = mean_intervals(values, level)
    half = (high - low) / 2
    half = np.where(half <= CONSTANT * np.abs(mean), np.nan, half)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        below, above = mean - np.asarray(lowest, float), np.asarray(highest, float) - mean
        left, right = np.isfinite(below), np.isfinite(above)
        # Of x = odds of the mean, whose derivative is (1 / below + 1 / above) x.
        away = half * (np.where(left, 1 / below, 0.0) + np.where(right, 1 / above, 0.0))
        both = left & right
        odds = below / above
        ends = []
        for sign in (-1, 1):
            factor = np.exp(sign * away)
            between = np.asarray(lowest) + (below + above) * (odds * factor) / (1 + odds * factor)
            over, under = np.asarray(lowest) + below * factor, np.asarray(highest) - above / factor
            free = mean + sign * half
            ends.append(np.where(both, between, np.where(left, over, np.where(right, under, free))))
    return mean, ends[0], ends[1], n


def paired_tests(differences: ArrayLike, level: float = 0.95) -> "Tests":
    """The paired t-test of every row: is the mean difference over seeds zero?

    differences: (comparisons, seeds), a strategy's score minus the baseline's of the same seed,
    NaN where either is missing. It generalizes to new seeds on these test examples, not to new
    examples (`paired_examples`). Where all differences are equal there is no spread to judge by,
    and so neither an interval nor a p: both are NaN.
    """
    from scipy.special import stdtr

    mean, sd, n = _moments(differences)
    still = (n >= 2) & (sd <= CONSTANT * np.abs(mean))
    error = np.where(still, np.nan, sd / np.sqrt(np.maximum(n, 1)))
    degrees = np.where(n >= 2, n - 1.0, np.nan)
    p = 2 * stdtr(degrees, -np.abs(mean) / error)
    half = _critical(n, level) * error
    return Tests(mean, mean - half, mean + half, p, n, error, still)


def cut_at(tests: "Tests", span: ArrayLike) -> tuple[Array, Array]:
    """The intervals, without what no difference can be: no metric's is larger than its range.

    span: highest minus lowest value, infinite for none. NaN stays NaN.
    """
    size = np.asarray(span, dtype=float)
    return np.maximum(tests.low, -size), np.minimum(tests.high, size)


def detectable(tests: "Tests", family: ArrayLike = 1) -> Array:
    """The smallest true difference that a two-sided 5 % test of so many seeds finds in 80 % of all
    cases if the spread is what it was here; NaN without a spread.

    family: for how many tests p is adjusted, at worst.
    """
    return np.asarray(_away(tests.n, family) * tests.error)


def equivalence_p(tests: "Tests", margin: ArrayLike) -> Array:
    """p of "the true difference is not within ±margin": two one-sided t-tests (TOST; Schuirmann,
    1987), doubled, so that at most 0.05 means that the 95 % interval lies within the margin.

    margin: in the unit of the score; NaN for none. NaN also without a spread: an interval of no
    width shows nothing.

    Raises MsbenchError for a margin that is not positive.
    """
    from scipy.special import stdtr

    size = np.asarray(margin, dtype=float)
    if (size <= 0).any():
        raise MsbenchError(f"a margin of equivalence must be positive, not {margin!r}")
    degrees = np.where(tests.n >= 2, tests.n - 1.0, np.nan)
    p = 2 * stdtr(degrees, (np.abs(tests.difference) - size) / tests.error)
    return np.asarray(np.minimum(p, 1.0))


def seeds_needed(tests: "Tests", margin: ArrayLike = np.nan, family: ArrayLike = 1) -> Array:
    """About how many seeds decide, in 80 % of all cases, a difference of the size and spread that
    these have: that it is not zero or, of one within the margin, that it is (then in 60 % at worst,
    because the interval has to stay within both of its ends).

    More than there were, since so many did not decide; infinite if more than MOST_SEEDS, NaN
    without a spread. family: for how many tests p is adjusted, at worst. It is as rough as the
    spread of few seeds.
    """
    spread = tests.error * np.sqrt(tests.n)
    size = np.abs(tests.difference)
    with np.errstate(invalid="ignore", divide="ignore"):
        effect = np.fmax(size, np.asarray(margin) - size) / spread
    low = np.where(np.isnan(effect), 2, np.maximum(tests.n, 1)).astype(np.int64)
    high = np.full(low.shape, MOST_SEEDS)
    enough = _away(high, family) / np.sqrt(high) <= effect
    for _ in range(MOST_SEEDS.bit_length()):  # `high` are enough, `low` are not
        middle = np.maximum((low + high) // 2, low + 1)
        decides = _away(middle, family) / np.sqrt(middle) <= effect
        high, low = np.where(decides, middle, high), np.where(decides, low, middle)
    needed = np.where(enough, high, np.inf)
    return np.asarray(np.where(np.isnan(effect), np.nan, needed))


MOST_SEEDS = 10_000
"""More than anybody runs."""


def _away(n: ArrayLike, family: ArrayLike) -> Array:
    """The noncentrality at which t falls short of its critical value in 20 % of all cases. That it
    falls on the wrong side instead (less than one case in a million) is not counted."""
    from scipy.special import nctdtrinc, stdtrit

    degrees = np.where(np.asarray(n) >= 2, np.asarray(n) - 1.0, np.nan)
    critical = stdtrit(degrees, 1 - ALPHA / (2 * np.asarray(family)))
    return np.asarray(nctdtrinc(degrees, 1 - POWER, critical))


def paired_examples(mine: ArrayLike, base: ArrayLike, level: float = 0.95) -> "Test":
    """Is the mean difference zero over new seeds and new examples of the same kind?

    mine, base: (seeds, examples) scores of two strategies or decoders on the same seeds and the
    same examples, or (examples,) of one seed. Seeds and examples are both taken as drawn at
    random. The squared standard error is that of crossed random effects, (MS_seeds +
    max(MS_examples - MS_rest, 0)) / (seeds x examples), as for readers and cases (Dorfman, Berbaum
    and Metz, 1992; Hillis, 2007); the critical value is Student's for seeds and for examples,
    averaged by their part in that (Cochran, 1964). With one seed it is the paired t-test over
    examples, which says nothing of other seeds.

    Seeds that miss all scores are left out, then examples that miss any. What is compared is the
    mean over examples, which is not a corpus metric such as BLEU. Without any spread there is
    neither an interval nor a p.

    Raises MsbenchError where the two do not have the same shape.
    """
    from scipy.special import stdtrit

    one, two = np.atleast_2d(np.asarray(mine, float)), np.atleast_2d(np.asarray(base, float))
    if one.shape != two.shape or one.ndim != 2:
        raise MsbenchError(
            "paired scores need the same seeds and examples on both sides, "
            f"but one has {np.shape(mine)} and the other {np.shape(base)}"
        )
    with np.errstate(invalid="ignore"):  # two infinite scores have no difference
        scores = one - two
    scores = scores[~np.isnan(scores).all(axis=1)]
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    seeds, examples = scores.shape
    if seeds < 2 or examples < 2:
        alone = paired_tests(scores.reshape(1, -1), level)
        bounds = float(alone.low[0]), float(alone.high[0])
        return Test(float(alone.difference[0]), *bounds, float(alone.p[0]), seeds, examples)
    mean = float(scores.mean())
    if not np.isfinite(mean):
        return Test(mean, np.nan, np.nan, np.nan, seeds, examples)
    by_seed, by_example = scores.mean(axis=1), scores.mean(axis=0)
    rest = scores - by_seed[:, None] - by_example + mean
    of_seeds = examples * float(by_seed.var(ddof=1))
    of_examples = seeds * float(by_example.var(ddof=1))
    of_examples -= float((rest**2).sum()) / ((seeds - 1) * (examples - 1))
    total = of_seeds + max(of_examples, 0.0)
    error = (total / (seeds * examples)) ** 0.5
    if error <= CONSTANT * abs(mean):
        return Test(mean, np.nan, np.nan, np.nan, seeds, examples)
    share = of_seeds / total

    def critical(tail: float) -> float:
        by_seeds, by_examples = stdtrit([seeds - 1, examples - 1], tail)
        return -float(share * by_seeds + (1 - share) * by_examples)

    half = critical((1 - level) / 2) * error
    p = _reached(critical, abs(mean) / error)
    return Test(mean, mean - half, mean + half, p, seeds, examples)


def holm(p: ArrayLike) -> Array:
    """p-values adjusted for being many (Holm, 1979): all of the array are one family.

    Rejecting what is at most 0.05 then is wrong about any of them in at most 5 % of all families,
    however they depend on each other. NaN stays NaN and is not counted. Any shape; it is kept.
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    raw = values[known]
    order = np.argsort(raw)
    steps = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    back = np.empty_like(raw)
    back[order] = np.minimum(steps, 1.0)
    adjusted[known] = back
    return adjusted


def friedman(scores: ArrayLike) -> tuple[float, float, Array]:
    """(statistic, p, average ranks): do strategies rank alike over blocks? (Friedman, 1937).

    scores: (blocks, strategies), higher is better; a block is a task, or a task and a seed. Rank 1
    is the best, ties share their average rank. p is of the chi-squared distribution with
    strategies - 1 degrees, which is cautious for few blocks; if all are tied in every block it
    is 1. What can be compared further: `critical_difference`.

    Raises MsbenchError for fewer than two blocks or three strategies, and for missing scores.
    """
    from scipy.special import chdtrc

    values = np.asarray(scores, dtype=float)
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 3:
        raise MsbenchError(
            "ranks need at least two blocks (tasks) and three strategies, "
            f"not {' x '.join(map(str, values.shape))}"
        )
    if np.isnan(values).any():
        raise MsbenchError("ranks need every strategy's score in every block: leave out the others")
    # As scipy.stats has it, digit by digit, but without its import.
    (n, k), pairs = values.shape, (values[:, :, None], values[:, None, :])
    tied = (pairs[0] == pairs[1]).sum(axis=2)
    upwards = (pairs[0] > pairs[1]).sum(axis=2) + (tied + 1) / 2
    ranks = (k + 1 - upwards).mean(axis=0)
    if (tied == k).all():
        return 0.0, 1.0, ranks
    correction = 1 - (tied**2 - 1).sum() / (k * (k * k - 1) * n)
    squares = (upwards.sum(axis=0) ** 2).sum()
    statistic = (12.0 / (k * n * (k + 1)) * squares - 3 * n * (k + 1)) / correction
    return float(statistic), float(chdtrc(k - 1, statistic)), ranks


@lru_cache
def critical_difference(k: int, n: int, level: float = 0.05) -> float:
    """How far average ranks must differ to be told apart (Nemenyi, 1963; Demsar, 2006).

    k strategies over n blocks; `level` is the share of false alarms over all pairs.

    Raises MsbenchError for fewer than two strategies or blocks.
    """
    if k < 2 or n < 2:
        raise MsbenchError(
            f"the least to rank are two strategies over two blocks, not {k} over {n}"
        )
    if level == 0.05 and k - 2 < len(STUDENTIZED_RANGE):
        q = STUDENTIZED_RANGE[k - 2]
    else:
        from scipy.stats import studentized_range

        q = float(studentized_range.ppf(1 - level, k, np.inf))
    return float(q / 2**0.5 * (k * (k + 1) / (6 * n)) ** 0.5)


def groups(average_ranks: ArrayLike, cd: float) -> list[tuple[int, ...]]:
    """The largest sets of strategies not told apart: the bars of Demsar's diagram (2006).

    Positions in `average_ranks`, best first; sets may overlap, and a strategy that differs from
    all others is in none. Not being told apart does not mean being equal.
    """
    ranks = np.asarray(average_ranks, dtype=float)
    order = np.argsort(ranks, kind="stable")
    # The first that is too far from each; rounding must not part ranks that differ by exactly cd.
    ends = np.searchsorted(ranks[order], ranks[order] + cd + 1e-9, side="right")
    found, reached = [], 0
    for start, end in enumerate(ends.tolist()):
        if end > reached and end - start > 1:
            found.append(tuple(order[start:end].tolist()))
        reached = max(reached, end)
    return found


def performance_profile(ratios: ArrayLike, taus: ArrayLike) -> Array:
    """The share of problems solved within tau times the best cost (Dolan and More, 2002).

    ratios: (problems, strategies), or (problems,) of one, cost over the cost of the problem's
    best; inf where it was not solved. taus: (taus,). Returns (taus, strategies) or (taus,).

    Raises MsbenchError for no problems and for NaN, which is neither solved nor unsolved.
    """
    return np.asarray(_solved(ratios, taus).mean(axis=0))


def profile_band(ratios: ArrayLike, taus: ArrayLike, level: float = 0.95) -> tuple[Array, Array]:
    """(low, high) of `performance_profile`, at every tau for itself, over problems like these.

    The exact interval of a share (Clopper and Pearson, 1934): it covers what it says for any number
    of problems, where a bootstrap over five can cover less than half of that. Problems count as
    independent, which seeds of one task are not. Arguments, shapes and errors as there.
    """
    from scipy.special import betaincinv

    solved = _solved(ratios, taus)
    problems, count = len(solved), solved.sum(axis=0)
    tail = (1 - level) / 2
    # At the ends the beta distribution is none, and the bound is the end itself.
    low = betaincinv(np.maximum(count, 1), problems - count + 1, tail)
    high = betaincinv(count + 1, np.maximum(problems - count, 1), 1 - tail)
    return np.where(count == 0, 0.0, low), np.where(count == problems, 1.0, high)


@dataclass(frozen=True)
class Tests:
    """`paired_tests`, an entry for every row: arrays of one length."""

    __test__ = False  # pytest takes classes of such a name for its own

    difference: Array
    """Mean over seeds, in the unit of the score."""

    low: Array
    high: Array
    """Bounds of the interval; NaN for fewer than two seeds and without a spread."""

    p: Array
    """Two-sided, not adjusted for being many (`holm`); NaN for fewer than two seeds."""

    n: NDArray[np.int64]
    """Seeds that both have."""

    error: Array
    """Standard error of the difference; NaN without a spread."""

    still: NDArray[np.bool_]
    """Whether two seeds or more have the same difference."""


@dataclass(frozen=True)
class Test:
    """`paired_examples`: one comparison over seeds and examples."""

    __test__ = False

    difference: float
    """Mean over seeds and examples, in the unit of the score."""

    low: float
    high: float
    p: float
    seeds: int
    examples: int


def _moments(values: ArrayLike) -> tuple[Array, Array, NDArray[np.int64]]:
    """(mean, standard deviation, count) of every row without its NaN; what is not known is NaN."""
    rows = np.asarray(values, dtype=float)
    known = ~np.isnan(rows)
    n = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # scores may be infinite, rows empty
        mean = np.where(known, rows, 0.0).sum(axis=1) / n
        squares = np.where(known, rows - mean[:, None], 0.0) ** 2
        sd = np.sqrt(squares.sum(axis=1) / np.where(n >= 2, n - 1, np.nan))
    return mean, sd, n


def _critical(n: NDArray[np.int64], level: float) -> Array:
    """Two-sided critical value of Student's t for each count of values; NaN for less than two."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(np.where(n >= 2, n - 1.0, np.nan), (1 + level) / 2))


def _reached(critical: Callable[[float], float], value: float) -> float:
    """The two-sided p at which the critical value of a tail, falling in it, is `value`."""
    # By halving: scipy.optimize takes longer to import than a table to make.
    least, most = math.log(1e-100), math.log(0.5)  # what is less likely is told as 0
    if critical(math.exp(least)) <= value:
        return 0.0
    for _ in range(60):
        middle = (least + most) / 2
        least, most = (middle, most) if critical(math.exp(middle)) > value else (least, middle)
    return 2 * math.exp((least + most) / 2)


def _solved(ratios: ArrayLike, taus: ArrayLike) -> Any:
    """(problems, taus, ...): whether each problem is solved within each tau."""
    values = np.asarray(ratios, dtype=float)
    if values.size == 0 or np.isnan(values).any():
        raise MsbenchError("a profile needs problems, and inf, not NaN, where one was not solved")
    return values[:, None] <= np.asarray(taus, dtype=float).reshape(-1, *[1] * (values.ndim - 1))
