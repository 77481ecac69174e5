"""A polynomial of lengths is known exactly from few values."""

from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from msbench.builtin.polynomial import Polynomial

NUMBERS = st.lists(st.integers(-(10**12), 10**12), min_size=7, max_size=7)
PLACES = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=8, max_size=20)


@given(NUMBERS, PLACES)
def test_values_are_exact_wherever_they_are_told(numbers: Any, places: Any) -> None:
    def value(s: int, t: int) -> int:
        return sum(
            a * b for a, b in zip(numbers, (1, s, t, s * s, s * t, t * t, s * s * t), strict=True)
        )

    found, added = Polynomial(), 0
    for s, t in places:
        lengths = s, t, t  # one length twice, as those of input and target
        if found.at(lengths) is None:
            found.add(lengths, value(s, t))
            added += 1
        assert found.at(lengths) == value(s, t)
    assert added <= 10


def test_four_values_tell_all_of_one_length() -> None:
    found = Polynomial()
    for length in (3, 5, 9, 11):
        assert found.at([length]) is None
        found.add([length], length**3 + 1)
    assert all(found.at([n]) == n**3 + 1 for n in range(100))


def test_ten_values_tell_all_of_two_lengths() -> None:
    found = Polynomial()
    for s, t in product((2, 3, 7, 9), (1, 4, 6, 8)):
        if found.at([s, t]) is None:
            found.add([s, t], s * s * t)
    assert len(found._known) == 10
    assert found.at([100, 50]) == 500_000
