"""A count that is a polynomial of lengths, known at all lengths once it is known at a few."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations_with_replacement
from math import prod

DEGREE = 3

Row = list[Fraction]


class Polynomial:
    """Of the third degree: products of matrices and attention are of the second in the lengths of a
    batch, and pointers of outputs into sources of the third.

    Arithmetic is exact. What is known are values at lengths that were added, and at all whose
    monomials are combinations of theirs: of one length four values tell all, of two ten.
    """

    def __init__(self) -> None:
        self._known: list[tuple[int, Row, Fraction]] = []
        """(first place that is not 0, monomials, value), reduced by those before."""

    def at(self, lengths: Sequence[int]) -> Fraction | None:
        """The value at these lengths; None if those that were added do not tell."""
        row, value = self._reduced(lengths)
        return None if any(row) else value

    def add(self, lengths: Sequence[int], value: int) -> None:
        """Say what the value is at lengths for which `at` gives None."""
        row, known = self._reduced(lengths)
        place = next(n for n, each in enumerate(row) if each)
        self._known.append((place, row, value - known))

    def _reduced(self, lengths: Sequence[int]) -> tuple[Row, Fraction]:
        """What of the monomials is not a combination of known ones, and the value of what is."""
        row, value = [Fraction(each) for each in _monomials(lengths)], Fraction(0)
        for place, known, worth in self._known:
            if factor := row[place] / known[place]:
                row = [a - factor * b for a, b in zip(row, known, strict=True)]
                value += factor * worth
        return row, value


def _monomials(lengths: Sequence[int]) -> list[int]:
    return [prod(each) for each in combinations_with_replacement((1, *lengths), DEGREE)]
