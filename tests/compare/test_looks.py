"""Looks at growing results: who stops when, and why."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from msbench.compare.looks import Looks, look

MOST = 12
Array = NDArray[np.float64]


def looked(values: Any, ran: Any = None, margin: float = 0.5, **options: Any) -> Looks:
    values = np.asarray(values, dtype=float)
    ran = np.ones(values.shape, dtype=bool) if ran is None else ran
    margins = lambda seeds: np.full(len(values), margin)  # noqa: E731
    return look(values, ran, ["task"] * len(values), margins, False, MOST, **options)


def rows(seed: int = 0) -> Array:
    """A large difference, none that matters, one that seeds leave open, and ties."""
    rng = np.random.default_rng(seed)
    return np.vstack(
        [
            rng.normal(9, 0.1, MOST),
            rng.normal(0, 0.05, MOST),
            rng.normal(0.5, 3.0, MOST),
            np.zeros(MOST),
        ]
    )


def test_each_stops_for_its_own_reason() -> None:
    found = looked(rows())
    assert found.why[0] == found.why[1] == "decided"
    assert found.why[2] in ("futile", "limit")
    assert (found.why[3], found.seeds[3]) == ("futile", 4)
    assert found.seeds[0] == 3
    assert found.wanted.tolist() == found.seeds.tolist()


def test_without_futility_what_is_open_goes_to_the_limit() -> None:
    found = looked(np.random.default_rng(3).normal(0, 1, (1, MOST)), margin=0.01, hopeless=0.0)
    assert (found.why, found.seeds.tolist()) == (["limit"], [MOST])


def test_a_family_waits_for_all_of_it_that_goes_on() -> None:
    values = np.random.default_rng(0).normal(0.7, 1, (2, MOST))
    ran = np.ones(values.shape, dtype=bool)
    ran[1, 4:] = False
    found = looked(values, ran, margin=1e-3)
    assert found.seeds.tolist() == [4, 4]
    assert found.wanted.tolist() == [5, 5]
    assert found.why == ["", ""]
    ran[1, 2] = False  # the first look was not taken either
    assert looked(values, ran).wanted.tolist() == [3, 3]


def test_what_ran_beyond_a_stop_changes_nothing() -> None:
    values = rows()
    found = looked(values)
    cut = np.where(np.arange(MOST) < found.seeds[:, None], values, np.nan)
    again = looked(cut, ~np.isnan(cut))
    assert again.seeds.tolist() == found.seeds.tolist()
    assert again.why == found.why


@settings(max_examples=30, deadline=None)
@given(world=st.integers(0, 10**6), ran=st.lists(st.integers(0, MOST), min_size=4, max_size=4))
def test_what_some_have_decided_more_records_do_not_change(world: int, ran: list[int]) -> None:
    """Interrupted anywhere, with any of the trials done that were planned."""
    values = np.random.default_rng(world).normal([[0.3], [1.0], [2.0], [0.0]], 1.0, (4, MOST))
    whole = looked(values)
    done = np.arange(MOST) < np.minimum(ran, whole.seeds)[:, None]
    part = looked(np.where(done, values, np.nan), done)
    for i, why in enumerate(part.why):
        if why:
            assert (why, part.seeds[i]) == (whole.why[i], whole.seeds[i])
        assert part.wanted[i] <= whole.seeds[i]


def test_what_always_fails_stops_at_once() -> None:
    found = looked(np.vstack([np.full(MOST, np.nan), rows()[0]]))
    assert (found.why[0], found.seeds[0]) == ("futile", 3)


def test_only_what_answers_is_looked_at() -> None:
    found = looked(rows(), answering=np.array([True, False, False, False]))
    assert found.seeds.tolist() == [3, 0, 0, 0]
    assert found.wanted.tolist() == [3, 0, 0, 0]
