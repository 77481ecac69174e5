"""Looks at growing results: which comparisons have a verdict, or no hope of one, and can stop.

What stops when is a function of the records alone: looks are taken seed by seed, as if nobody had
seen more, whoever ran the trials and however often that was interrupted.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msbench.compare.judge import Judged, judge
from msbench.compare.spending import level_at
from msbench.compare.stats import ALPHA, Array
from msbench.spec import FIRST_LOOK

Stop = Literal["", "decided", "futile", "limit"]
"""Why no more seeds are added to a comparison; "" while they are."""

FUTILE_FROM = 4
"""Seeds from which on a comparison can be hopeless: three say too little of the spread."""

HOPELESS = 0.1
"""Chance of a verdict below which more seeds are not worth it; studies/sequential.py has others."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Looks:
    """How far every comparison went."""

    seeds: Ints
    """Seeds of the last look; 0 for none."""
    why: Sequence[Stop]
    wanted: Ints
    """Seeds that it should have: more than it has while it goes on."""


def look(
    differences: ArrayLike,
    ran: ArrayLike,
    families: Sequence[Hashable],
    margins: Callable[[Ints], ArrayLike],
    lower_is_better: ArrayLike,
    max_seeds: int,
    answering: ArrayLike = True,
    hopeless: float = HOPELESS,
) -> Looks:
    """Look at comparisons after 3, 4, ... seeds, and stop those that are decided or hopeless.

    differences: (comparisons, max_seeds), NaN where either side failed or did not run. ran: the
    same shape, whether both sides have a record. families: a family waits until all of it that
    goes on has the records of a look. margins: what they are if every comparison has so many seeds.
    answering: which comparisons this is about. hopeless: chance of a verdict that is too small to
    go on.
    """
    values, ran = np.asarray(differences, dtype=float), np.asarray(ran, dtype=bool)
    numbers = {family: number for number, family in enumerate(dict.fromkeys(families))}
    codes = np.array([numbers[family] for family in families], dtype=np.int64)
    going = np.array(np.broadcast_to(answering, len(values)), dtype=bool)
    more = np.where(going, FIRST_LOOK, 0)
    seeds = np.zeros(len(values), dtype=np.int64)
    why: NDArray[np.object_] = np.full(len(values), "", dtype=object)
    for n in range(FIRST_LOOK, max_seeds + 1):
        behind = going & ~ran[:, :n].all(axis=1)
        looking = going & ~np.isin(codes, codes[behind])
        if not looking.any():
            break
        seeds[looking] = n
        shown = until(values, seeds)
        judged = judge(shown, codes.tolist(), margins(seeds), lower_is_better, max_seeds=max_seeds)
        decided = np.array([verdict != "undecided" for verdict in judged.verdicts], dtype=bool)
        futile = _is_hopeless(judged, codes, n, max_seeds, hopeless)
        why[looking & (n == max_seeds)] = "limit"
        why[looking & futile] = "futile"
        why[looking & decided] = "decided"
        going &= why == ""
        more = np.where(going & looking, n + 1, more)
    return Looks(seeds, why.tolist(), np.where(why == "", more, seeds))


def until(values: Array, seeds: Ints) -> Array:
    """What the first seeds of every comparison gave."""
    return np.where(np.arange(values.shape[1]) < seeds[:, None], values, np.nan)


def _is_hopeless(
    judged: Judged, codes: Ints, n: int, max_seeds: int, hopeless: float
) -> NDArray[np.bool_]:
    """Whether nothing ended ok, all seeds tie, or a verdict is too unlikely."""
    nothing = judged.tests.n == 0
    if n < FUTILE_FROM or n == max_seeds:
        return np.asarray(nothing)
    tied = judged.tests.still & (judged.tests.difference == 0)
    return np.asarray(nothing | tied | (_chance(judged, codes, max_seeds) < hopeless))


def _chance(judged: Judged, codes: Ints, max_seeds: int) -> Array:
    """The chance that the look after `max_seeds` gives a verdict, if further seeds are like those
    so far: of a mean that has Student's t as its predictive distribution, around the mean of now,
    with the spread of now. NaN without a spread."""
    from scipy.special import stdtr, stdtrit

    tests = judged.tests
    is_open = (tests.n > 0) & ~(judged.p_adjusted <= ALPHA)
    open_ = np.bincount(codes, is_open)[codes]
    level = level_at(ALPHA / np.maximum(open_, 1), max_seeds, max_seeds)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = tests.error * np.sqrt(tests.n)
        shown = stdtrit(max_seeds - 1, 1 - level / 2) * spread / max_seeds**0.5
        small = judged.margins - shown  # a mean that is smaller shows equivalence
        scale = spread * np.sqrt(1 / tests.n - 1 / max_seeds)

        def at_most(size: Array) -> Array:
            """The chance that the mean will be within a size of 0."""
            ends = [stdtr(tests.n - 1.0, (s * size - tests.difference) / scale) for s in (1, -1)]
            return np.asarray(ends[0] - ends[1])

        differs = 1 - at_most(shown)
        alike = np.where(small > 0, at_most(np.minimum(small, shown)), 0.0)
    return np.asarray(differs + alike)
