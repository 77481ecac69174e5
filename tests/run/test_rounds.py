"""Rounds: order, number, end, and what their ratios say."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msbench.compare.throughput import ratio_interval
from msbench.run.rounds import LEAST, Stop, interleaved
from msbench.run.samples import Sample, rates_data


def told(names: str, rounds: int, **options: int) -> tuple[list[str], dict[str, list[int]]]:
    """(who was called, in order; what each gave, the number of the call)."""
    calls: list[str] = []

    def contestant(name: str) -> Callable[[], int]:
        return lambda: (calls.append(name), len(calls))[1]  # type: ignore[func-returns-value]

    return calls, interleaved({name: contestant(name) for name in names}, rounds, **options)


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 3), st.integers(0, 9))
@settings(max_examples=30)
def test_everyone_has_one_turn_in_every_round(
    contestants: int, rounds: int, warm_up: int, seed: int
) -> None:
    names = "abcdef"[:contestants]
    calls, given = told(names, rounds, warm_up=warm_up, seed=seed)
    assert Counter(calls) == dict.fromkeys(names, rounds + warm_up)
    for start in range(0, len(calls), contestants):
        assert sorted(calls[start : start + contestants]) == list(names)
    assert [len(each) for each in given.values()] == [rounds] * contestants
    warm = warm_up * contestants
    assert sorted(n for each in given.values() for n in each) == [*range(warm + 1, len(calls) + 1)]


def test_the_order_is_drawn_anew_in_every_round_and_is_the_same_for_a_seed() -> None:
    calls, _ = told("abc", 600, seed=1)
    orders = Counter(tuple(calls[n : n + 3]) for n in range(0, len(calls), 3))
    assert len(orders) == 6
    assert min(orders.values()) > 60, "each of 6 orders is expected a hundred times"
    assert told("abc", 600, seed=1)[0] == calls != told("abc", 600, seed=2)[0]


def test_rounds_end_when_ratios_are_narrow_and_not_before() -> None:
    draw = np.random.default_rng(0)

    def rounds(spread: float, stop: Stop) -> int:
        rate = {n: lambda n=n: n * float(draw.lognormal(0, spread)) for n in (1, 2)}
        given = interleaved({str(n): r for n, r in rate.items()}, 500, enough=stop.enough)
        return len(given["1"])

    assert rounds(0.0, Stop(narrow=0.01)) == LEAST
    needed = rounds(0.03, Stop(narrow=0.01))
    assert LEAST < needed < 500
    assert rounds(0.03, Stop()) == 500
    assert rounds(0.03, Stop(narrow=0.01, seconds=1e-9)) == 2, "time is up"


def test_the_interval_of_a_thing_measured_twice_covers_one() -> None:
    draw, covered, runs = np.random.default_rng(0), 0, 100
    for _ in range(runs):
        weather = draw.lognormal(0, 0.5, 200)  # what both meet in a round
        at = iter(np.repeat(weather, 2))
        same = {name: lambda at=at: float(next(at) * draw.lognormal(0, 0.03)) for name in "ab"}
        rates = interleaved(same, 100, warm_up=0, enough=Stop(narrow=0.01).enough)
        _, low, high = ratio_interval(rates["a"], rates["b"])
        covered += low <= 1 <= high
    assert covered / runs > 0.85, "95 % but for ending when it looks narrow"


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=9), st.data())
def test_a_ratio_and_its_inverse_agree(mine: list[float], data: st.DataObject) -> None:
    base = data.draw(st.lists(st.floats(0.1, 10), min_size=len(mine), max_size=len(mine)))
    ratio, low, high = ratio_interval(mine, base)
    assert ratio_interval(base, mine) == pytest.approx((1 / ratio, 1 / high, 1 / low))


@given(st.lists(st.tuples(st.floats(1e-4, 10), st.integers(1, 10**6)), min_size=1, max_size=9))
def test_rate_times_seconds_is_what_was_done(rounds: list[tuple[float, int]]) -> None:
    samples = [Sample(seconds, tokens, 2 * tokens) for seconds, tokens in rounds]
    data = rates_data(samples, samples, "examples")
    done = [rate * each for rate, each in zip(data["rates"], data["seconds"], strict=True)]
    assert done == pytest.approx([each.examples for each in samples])
    assert data["ratios"] == [1.0] * len(samples)
