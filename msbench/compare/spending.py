"""Tests that are repeated after every added seed: how much of the error each look may spend.

Whoever tests after each seed and stops at the first p below 5 % is wrong far more often. Here the
chance of a false rejection after at most n of N seeds is alpha (n / N)^2: alpha spending (Lan and
DeMets, 1983; a power family as of Kim and DeMets, 1987), calibrated for Student's t instead of
the usual normal distribution, whose levels are too large for few seeds. What a p-value at a look is
worth is its sequential p-value (Liu and Anderson, 2008): the smallest alpha at which that look
rejects. The smallest over all looks is adjusted for a family like any other p (Maurer and Bretz,
2013).
"""

from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike

from msbench.compare.stats import Array
from msbench.spec import FIRST_LOOK

POWER_OF_SPENDING = 2.0
"""Of the share of the seeds; studies/sequential.py compares others."""

ALPHAS = np.geomspace(1e-5, 0.9999, 20)
"""Between these, levels are interpolated."""

CELLS = 100
"""Of the distribution of a statistic, while its looks are followed. With that and ALPHAS, levels
are right to half a percent of them, and take a second to find out."""


def sequential_p(p: ArrayLike, n: ArrayLike, most: int) -> Array:
    """The sequential p-values of paired t-tests, two-sided, after n of at most `most` seeds.

    p: those of the tests. Before the first look it is 1, after the last and where p is NaN it is
    NaN: there is no such look.
    """
    p, n = np.broadcast_arrays(np.asarray(p, dtype=float), np.asarray(n))
    found = np.where(n < FIRST_LOOK, 1.0, np.full(p.shape, np.nan))
    found[np.isnan(p)] = np.nan
    for look in range(FIRST_LOOK, most + 1):
        at = (n == look) & ~np.isnan(p)
        table = _table(most)[:, look]
        with np.errstate(divide="ignore"):
            alpha = np.exp(np.interp(np.log(p[at]), np.log(table), np.log(ALPHAS), right=0.0))
        small = np.minimum(p[at] / table[0], 1.0)  # below the table in proportion
        found[at] = alpha * small
    return found


def level_at(alpha: ArrayLike, n: ArrayLike, most: int) -> Array:
    """The p below which the look after n of `most` seeds rejects, if `alpha` may be spent in all;
    NaN where there is no look."""
    alpha, n = np.broadcast_arrays(np.asarray(alpha, dtype=float), np.asarray(n))
    found = np.full(alpha.shape, np.nan)
    for look in range(FIRST_LOOK, most + 1):
        at = n == look
        table = _table(most)[:, look]
        found[at] = np.exp(np.interp(np.log(alpha[at]), np.log(ALPHAS), np.log(table)))
    return found


@lru_cache
def _table(most: int) -> Array:
    """(alphas, most + 1): `levels` of all ALPHAS."""
    return np.array([levels(float(alpha), most) for alpha in ALPHAS])


def levels(alpha: float, most: int, power: float = POWER_OF_SPENDING) -> Array:
    """(most + 1,) per number of seeds, the p below which its look rejects; 0 before the first.

    Without a true difference, whatever its spread, some look up to the n-th rejects with chance
    alpha (n / most)^power. Scores are projected on the sphere: u = sqrt(n) mean / root mean square.
    After one more seed it is u cos a + sin a, with an angle a that depends on nothing before and
    has a density in proportion to cos(a)^(n - 1). So the distribution of |u| among what no look has
    rejected is followed from look to look, in cells, without simulation.
    """
    from scipy.optimize import brentq

    spent = alpha * (np.arange(most + 1) / most) ** power
    found = np.zeros(most + 1)
    found[FIRST_LOOK] = spent[FIRST_LOOK]
    edges = _edges(_u_of(found[FIRST_LOOK], FIRST_LOOK), FIRST_LOOK)
    mass = -np.diff(_p_of(edges, FIRST_LOOK))
    for n in range(FIRST_LOOK, most):
        centres = (edges[1:] + edges[:-1]) / 2
        missing = partial(_missing, mass, centres, n, spent[n + 1] - spent[n])
        bound = float(brentq(missing, 0.0, (n + 1) ** 0.5))
        found[n + 1] = _p_of(bound, n + 1)
        edges = _edges(bound, n + 1)
        mass = -np.diff(mass @ _beyond(centres[:, None], edges, n))
    return found


def _edges(bound: float, n: int) -> Array:
    """Of cells from 0 to a bound, the finer the nearer to sqrt(n), since what lies there is about
    to be rejected."""
    most = n**0.5
    return np.asarray(most - np.geomspace(most, most - bound, CELLS + 1))


def _missing(mass: Array, centres: Array, n: int, spent: float, bound: float) -> float:
    """How much more than `spent` the look after n + 1 seeds rejects beyond a bound."""
    return float(mass @ _beyond(centres, bound, n)) - spent


def _beyond(u: Array, bound: ArrayLike, n: int) -> Array:
    """The chance that |u| is above the bound with n + 1 seeds, by what it is with n."""
    return _above(u, bound, n) + _above(-u, bound, n)


def _above(u: Array, bound: ArrayLike, n: int) -> Array:
    """u cos a + sin a is the longer the nearer a is to `middle`."""
    middle = np.arctan2(1.0, u)
    half = np.arccos(np.minimum(np.asarray(bound) / np.hypot(1.0, u), 1.0))
    return _angle(middle + half, n) - _angle(middle - half, n)


def _angle(a: Array, n: int) -> Array:
    """The distribution of the angle: the integral of cos^(n - 1), by parts, from 0 to `a`."""
    a = np.clip(a, -np.pi / 2, np.pi / 2)
    cos, sin = np.cos(a), np.sin(a)
    odd = (n - 1) % 2
    found, whole = (sin, 1.0) if odd else (a, np.pi / 2)
    power = sin * (1.0 if odd else cos)  # times cos^(k - 2), for the next k
    for k in range(2 + odd, n, 2):
        power = power * cos**2 if k > 2 else power
        found, whole = (power + (k - 1) * found) / k, whole * (k - 1) / k
    return np.asarray(found / (2 * whole))


def _p_of(u: ArrayLike, n: int) -> Array:
    """Two-sided, of Student's t."""
    from scipy.special import stdtr

    u = np.asarray(u, dtype=float)
    with np.errstate(divide="ignore"):
        t = (n - 1) ** 0.5 * u / np.sqrt(n - u**2)
    return np.asarray(2 * stdtr(n - 1, -t))


def _u_of(p: float, n: int) -> float:
    from scipy.special import stdtrit

    t = float(stdtrit(n - 1, 1 - p / 2))
    return float((n * t * t / (n - 1 + t * t)) ** 0.5)
