"""Schedules: what they promise at the ends, and everywhere between."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msbench import MsbenchError, Schedule
from msbench.builtin.schedules.factors import constant, cosine, inverse_sqrt, linear, multistep, wsd

EVERY: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "wsd": wsd,
    "inverse-sqrt": inverse_sqrt,
    "multistep": multistep,
}
share = st.floats(0, 1)


@pytest.mark.parametrize("make", EVERY.values(), ids=list(EVERY))
@given(spent=share, warmup=st.floats(0.01, 0.4))
def test_factors_stay_between_zero_and_one(
    make: Callable[..., Schedule], spent: float, warmup: float
) -> None:
    assert 0 <= make(warmup=warmup)(spent) <= 1


@pytest.mark.parametrize("make", EVERY.values(), ids=list(EVERY))
@given(a=share, b=share, warmup=st.floats(0.01, 0.4))
def test_up_to_one_then_never_up_again(
    make: Callable[..., Schedule], a: float, b: float, warmup: float
) -> None:
    schedule = make(warmup=warmup)
    early, late = sorted((a, b))
    if late <= warmup:
        assert schedule(early) <= schedule(late)
    elif early >= warmup:
        assert schedule(early) >= schedule(late)
    assert schedule(warmup) == pytest.approx(1)


def test_ends() -> None:
    assert [EVERY[n]()(1.0) for n in ("linear", "cosine", "wsd")] == pytest.approx([0, 0, 0])
    assert constant()(0.0) == linear()(0.0) == cosine()(0.0) == 1
    assert 0 < wsd(warmup=0.1)(0.0) < 0.02  # the first step is not wasted


@pytest.mark.parametrize("make", [linear, cosine, wsd])
@given(spent=share)
def test_a_floor_is_where_a_fall_ends(make: Callable[..., Schedule], spent: float) -> None:
    floored = make(warmup=0.2, floor=0.1)
    assert floored(1.0) == pytest.approx(0.1)
    if spent >= 0.2:
        assert floored(spent) == pytest.approx(0.1 + 0.9 * make(warmup=0.2)(spent))
    assert make(warmup=0.2, floor=0.0)(spent) == make(warmup=0.2)(spent)


def test_between() -> None:
    assert cosine()(0.5) == pytest.approx(0.5)
    assert linear(warmup=0.2)(0.6) == pytest.approx(0.5)
    assert wsd(warmup=0.1, decay=0.2)(0.8) == pytest.approx(1)
    assert wsd(warmup=0.1, decay=0.2)(0.9) == pytest.approx(0.5)
    assert inverse_sqrt(warmup=0.1)(0.4) == pytest.approx(0.5)
    steps = multistep(milestones=(0.5, 0.75), gamma=0.1)
    assert [steps(s) for s in (0.49, 0.5, 0.8)] == pytest.approx([1, 0.1, 0.01])


@pytest.mark.parametrize(
    "make",
    [partial(wsd, warmup=0.9, decay=0.2), partial(multistep, warmup=0.6, milestones=(0.5,))],
)
def test_what_cannot_be_is_refused(make: Callable[[], Schedule]) -> None:
    with pytest.raises(MsbenchError):
        make()


def test_a_warm_up_counts_steps() -> None:
    """In a run of ten steps with half of them warm-up, the first step has a fifth of the rate."""
    for make in (constant, linear, cosine, wsd, inverse_sqrt):
        schedule = make(warmup=0.5)
        rates = [schedule(taken / 10, 1 / 10) for taken in range(5)]
        assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
