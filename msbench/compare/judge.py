"""The one judge: what paired differences over seeds show, for every command that says so."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    p_adjusted: Array
    """For being many, within the family; NaN where nothing could be tested."""
    equivalence_p: Array
    """The same of "the true difference is not within the margin"."""
    family: NDArray[np.int64]
    """How many tests p is adjusted for."""
    verdicts: Sequence[Verdict]
    needed: Array
    """About how many seeds decide; NaN where that cannot be said, or a verdict is given."""
    margins: Array
    """Those that were asked for."""
    detectable: Array
    """The minimum detectable effect of the test at its adjusted level, at worst."""

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
) -> Judged:
    """The verdict on every comparison: which side is better by more than could be chance, whether
    that may matter, or that the two are equivalent.

    differences: (comparisons, seeds), NaN where either side is missing. families: comparisons of
    one family are adjusted together (Holm, 1979), those of different ones apart; what could not be
    tested whatever it had shown counts in none. margins: the largest difference that does not
    matter, NaN for none. p: instead of the t-test's, where it is known and there is no t.

    Differences and equivalence are two claims, each of which is false about any comparison of a
    family in at most 5 % of all families.
    """
    tests = paired_tests(differences, LEVEL)
    raw = tests.p if p is None else np.where(np.isnan(tests.p), np.asarray(p, float), tests.p)
    margins = np.broadcast_to(np.asarray(margins, dtype=float), raw.shape)
    within = equivalence_p(tests, margins)
    adjusted, equivalence = np.full(raw.shape, np.nan), np.full(raw.shape, np.nan)
    size = np.ones(raw.shape, dtype=np.int64)
    for at in _members(families):
        adjusted[at] = holm(raw[at])
        equivalence[at] = holm(within[at])
        size[at] = max(1, int(np.count_nonzero(~np.isnan(raw[at]))))
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
    undecided = np.array([verdict == "undecided" for verdict in verdicts], dtype=bool)
    needed = np.full(raw.shape, np.nan)
    if undecided.any():
        needed[undecided] = seeds_needed(
            _only(tests, undecided), margins[undecided], size[undecided]
        )
    least = detectable(tests, size)
    return Judged(tests, adjusted, equivalence, size, verdicts, needed, margins, least)


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
