"""Which of the texts with equal numbers say the same, in two versions that count differently."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REACH = 8
"""How far off the numbers of two versions may be."""

BESIDE = 3
"""Texts on either side that count with each, since one alone may share few words with its own."""


def aligned(one: Sequence[str], other: Sequence[str]) -> list[bool]:
    """Whether texts, with those beside them, share more words with their own than with any nearby.

    one, other: equally many, seven or more, in order, in one language.
    """
    a, b = _words(one), _words(other)
    shared = {shift: _shared(a, b, shift) for shift in range(-REACH, REACH + 1)}
    nearby = np.max([shared[shift] for shift in shared if shift], axis=0)
    kept: list[bool] = (shared[0] >= nearby).tolist()
    return kept


def _words(texts: Sequence[str]) -> list[set[str]]:
    return [set(re.findall("[a-z]{4,}", text.lower())) for text in texts]


def _shared(one: list[set[str]], other: list[set[str]], shift: int) -> NDArray[np.float64]:
    """The share of words that each text has in common with the other that is `shift` further on,
    the mean with those beside it."""
    shares = np.zeros(len(one))
    for row in range(max(0, -shift), min(len(one), len(one) - shift)):
        a, b = one[row], other[row + shift]
        shares[row] = len(a & b) / max(1, min(len(a), len(b)))
    around = np.ones(2 * BESIDE + 1)
    sums: NDArray[np.float64] = np.convolve(shares, around, "same")
    counts: NDArray[np.float64] = np.convolve(np.ones(len(one)), around, "same")
    return sums / counts
