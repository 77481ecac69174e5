"""The one judge: what paired differences over seeds show, for every command that says so."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msbench.compare.spending import level_at, sequential_p
from msbench.compare.stats import (
    ALPHA,
    Array,
    Tests,
    detectable,
    equivalence_p,
    holm,
    paired_tests,
    seeds_needed,
)
from msbench.spec import FIRST_LOOK

LEVEL = 1 - ALPHA

Verdict = Literal[
    "better",
    "better within the margin",
    "equivalent",
    "worse within the margin",
    "worse",
    "undecided",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

SHOWN: tuple[Verdict, ...] = ("better", "worse")
"""A difference that may matter."""

DECIDED: tuple[Verdict, ...] = tuple(word for word in VERDICTS if word != "undecided")

FLIPPED: dict[Verdict, Verdict] = {
    "better": "worse",
    "worse": "better",
    "better within the margin": "worse within the margin",
    "worse within the margin": "better within the margin",
}
"""What is said of the other side of a pair, where that is another word."""


@dataclass(frozen=True)
class Judged:
    """Verdicts on comparisons, an entry for each."""

    tests: Tests
    p: Array
    """Before it is adjusted: the test's, or the sequential one."""
    p_adjusted: Array
    """For being many, within the family; NaN where nothing could be tested."""
    equivalence_p: Array
    """The same of "the true difference is not within the margin"."""
    family: NDArray[np.int64]
    """How many tests p is adjusted for."""
    verdicts: Sequence[Verdict]
    margins: Array
    """Those that were asked for."""
    max_seeds: int = 0
    """Seeds were added up to so many, with a test after each; 0 if not."""

    @cached_property
    def needed(self) -> Array:
        """About how many seeds decide; NaN where that cannot be said, or a verdict is given."""
        undecided = np.array([verdict == "undecided" for verdict in self.verdicts], dtype=bool)
        needed = np.full(undecided.shape, np.nan)
        if undecided.any():
            size = _tests_at(self.family[undecided], self.max_seeds, self.max_seeds)
            tests = _only(self.tests, undecided)
            needed[undecided] = seeds_needed(tests, self.margins[undecided], size)
        return needed

    @cached_property
    def detectable(self) -> Array:
        """The minimum detectable effect of the test at its adjusted level, at worst."""
        return detectable(self.tests, _tests_at(self.family, self.tests.n, self.max_seeds))

    def __getitem__(self, at: int) -> "Judgement":
        """What is known of one of them."""
        numbers = (self.p_adjusted, self.needed, self.detectable, self.margins)
        return Judgement(self.verdicts[at], *(float(each[at]) for each in numbers))


@dataclass(frozen=True)
class Judgement:
    """One comparison of those."""

    verdict: Verdict
    p_adjusted: float
    needed: float
    detectable: float
    margin: float

    def flipped(self) -> "Judgement":
        """Said of the other side."""
        return replace(self, verdict=FLIPPED.get(self.verdict, self.verdict))


def judge(
    differences: ArrayLike,
    families: Sequence[Hashable],
    margins: ArrayLike,
    lower_is_better: ArrayLike,
    p: ArrayLike | None = None,
    max_seeds: int = 0,
) -> Judged:
    """The verdict on every comparison: which side is better by more than could be chance, whether
    that may matter, or that the two are equivalent.

    differences: (comparisons, seeds), NaN where either side is missing. families: comparisons of
    one family are adjusted together (Holm, 1979), those of different ones apart; what could not be
    tested whatever it had shown counts in none. margins: the largest difference that does not
    matter, NaN for none. p: instead of the t-test's, where it is known and there is no t.
    max_seeds: seeds were added one by one up to so many, in the order of the columns, with a test
    after each: p are sequential (`spending.py`), and what may still be tested counts; 0 if not.

    Differences and equivalence are two claims, each of which is false about any comparison of a
    family in at most 5 % of all families.
    """
    differences = np.asarray(differences, dtype=float)
    tests = paired_tests(differences, LEVEL)
    margins = np.broadcast_to(np.asarray(margins, dtype=float), tests.p.shape)
    if max_seeds:
        raw, within = _over_looks(differences, margins, max_seeds)
    else:
        raw, within = tests.p, equivalence_p(tests, margins)
    if p is not None:
        # Of a test that is no t-test nothing is known from look to look (Bonferroni).
        looks = 1 + max_seeds - FIRST_LOOK if max_seeds else 1
        raw = np.where(np.isnan(tests.p), np.minimum(np.asarray(p, float) * looks, 1.0), raw)
    open_ = (tests.n > 0) & (max_seeds > 0)
    adjusted, equivalence = np.full(raw.shape, np.nan), np.full(raw.shape, np.nan)
    size = np.ones(raw.shape, dtype=np.int64)
    for at in _members(families):
        adjusted[at], size[at] = _adjusted(raw[at], open_[at])
        equivalence[at], _ = _adjusted(within[at], open_[at] & ~np.isnan(margins[at]))
    lower = np.broadcast_to(np.asarray(lower_is_better, dtype=bool), raw.shape)
    verdicts = [
        _verdict(*each)
        for each in zip(
            (adjusted <= ALPHA).tolist(),
            (equivalence <= ALPHA).tolist(),
            ((tests.difference < 0) == lower).tolist(),
            strict=True,
        )
    ]
    return Judged(tests, raw, adjusted, equivalence, size, verdicts, margins, max_seeds)


def _over_looks(differences: Array, margins: Array, max_seeds: int) -> tuple[Array, Array]:
    """(sequential p, the same of "not within the margin"): the smallest of all looks."""
    p, within = np.full(len(differences), np.nan), np.full(len(differences), np.nan)
    for n in range(FIRST_LOOK, differences.shape[1] + 1):
        tests = paired_tests(differences[:, :n], LEVEL)
        p = np.fmin(p, sequential_p(tests.p, tests.n, max_seeds))
        within = np.fmin(within, sequential_p(equivalence_p(tests, margins), tests.n, max_seeds))
    return p, within


def _adjusted(p: Array, counted: NDArray[np.bool_]) -> tuple[Array, int]:
    """(Holm's p, how many tests it is for). counted: what counts although it has no p yet."""
    known = np.where(np.isnan(p) & counted, 1.0, p)
    count = max(1, int(np.count_nonzero(~np.isnan(known))))
    return np.where(np.isnan(p), np.nan, holm(known)), count


def _tests_at(size: ArrayLike, n: ArrayLike, max_seeds: int) -> Array:
    """For how many tests p would be adjusted if the level of this look were due to that alone."""
    size = np.asarray(size, dtype=float)
    if not max_seeds:
        return size
    level = level_at(ALPHA / size, n, max_seeds)
    return np.where(np.isnan(level), size, ALPHA / level)


def _verdict(differs: bool, within: bool, better: bool) -> Verdict:
    if not differs:
        return "equivalent" if within else "undecided"
    if within:
        return "better within the margin" if better else "worse within the margin"
    return "better" if better else "worse"


def _members(families: Sequence[Hashable]) -> Iterable[list[int]]:
    members: dict[Hashable, list[int]] = {}
    for at, family in enumerate(families):
        members.setdefault(family, []).append(at)
    return members.values()


def _only(tests: Tests, which: NDArray[np.bool_]) -> Tests:
    return Tests(**{name: column[which] for name, column in vars(tests).items()})
