"""Search methods: what they try on losses that are known, and what wins."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from msbench.plan.methods import Attempt, Method, Winner, bracket, halton
from msbench.plan.space import Space
from msbench.spec import Tuning

RATE: Space = {"lr": (1e-3, 1e-1, "log")}
WHOLE: Space = {**RATE, "beta": (0.5, 0.9, "choice"), "rho": (0.01, 1.0, "log")}
START = {"lr": 1e-3, "beta": 0.9, "rho": 0.05}

Loss = Callable[[Attempt], float]


def searched(method: Method, loss: Loss) -> tuple[list[Attempt], Winner | None]:
    """(everything that was tried, the winner)."""
    tried = attempts = next(method)
    try:
        while True:
            attempts = method.send([loss(each) for each in attempts])
            tried = [*tried, *attempts]
    except StopIteration as end:
        return tried, end.value


def valley(lowest: float) -> Loss:
    """A loss with its minimum at a rate; others by how many decades they are off."""
    return lambda each: 1 + math.log10(each.point["lr"] / lowest) ** 2


@pytest.mark.parametrize("lowest", [1e-5, 2e-3, 1e-2, 5e-2, 3.0])
def test_a_bracket_goes_outward_until_the_best_is_interior(lowest: float) -> None:
    tried, winner = searched(bracket(RATE, {"lr": 0.1}, 20), valley(lowest))
    assert winner is not None
    assert abs(math.log10(winner.point["lr"] / lowest)) < 0.1
    assert not winner.edge
    rates = [each.point["lr"] for each in tried]
    assert min(rates) < winner.point["lr"] < max(rates)


def test_a_winner_without_a_rate_on_either_side_is_at_the_edge() -> None:
    _, winner = searched(bracket(RATE, {"lr": 0.1}, 10), valley(1e4))
    assert winner is not None
    assert winner.edge == ["lr"]


@pytest.mark.parametrize("space", [RATE, WHOLE], ids=["a rate", "three options"])
@pytest.mark.parametrize("trials", [10, 14, 20])
def test_all_strategies_take_the_same_number_of_trials(space: Space, trials: int) -> None:
    start = {name: START[name] for name in space}
    tried, _ = searched(bracket(space, start, trials), valley(2e-3))
    assert len(tried) == len(set(map(repr, tried))) == trials


def test_other_options_are_tried_at_the_best_rate() -> None:
    def loss(each: Attempt) -> float:
        return valley(1e-2)(each) + abs(each.point["beta"] - 0.5) + abs(each.point["rho"] - 0.05)

    tried, winner = searched(bracket(WHOLE, START, 18), loss)
    varied = [each.point for each in tried if each.point["beta"] != 0.9 and not each.seed]
    assert [(point["beta"], point["rho"]) for point in varied] == [(0.5, 0.05)]
    assert sorted({each.point["rho"] for each in tried}) == [0.0316, 0.05, 0.316]
    assert winner is not None
    assert winner.point == varied[0]
    assert winner.point["lr"] == pytest.approx(1e-2, rel=0.1)


def test_luck_of_one_seed_does_not_win() -> None:
    """A rate that is best on the first seed and bad on the others."""

    def loss(each: Attempt) -> float:
        lucky = each.point["lr"] == 0.0316
        return (0.0 if each.seed == 0 else 9.0) if lucky else valley(1e-2)(each)

    tried, winner = searched(bracket(RATE, {"lr": 0.1}, 14), loss)
    assert {each.seed for each in tried if each.point["lr"] == 0.0316} == {0, 1}
    assert winner is not None
    assert winner.point["lr"] != 0.0316


def test_a_search_in_which_nothing_ends_well_has_no_winner() -> None:
    tried, winner = searched(bracket(WHOLE, START, 14), lambda each: math.inf)
    assert winner is None
    assert len(tried) == 14
    assert min(each.point["lr"] for each in tried) < 1e-7  # what diverges is tried more slowly
    how = Tuning(method="halton", points=4)
    assert searched(halton(RATE, how), lambda each: math.inf)[1] is None


def test_a_search_finds_its_way_down_to_rates_at_which_training_ends_well() -> None:
    def loss(each: Attempt) -> float:
        return valley(1e-5)(each) if each.point["lr"] < 1e-4 else math.inf

    _, winner = searched(bracket(RATE, {"lr": 0.1}, 16), loss)
    assert winner is not None
    assert winner.point["lr"] == pytest.approx(1e-5, rel=0.5)


def test_a_space_without_a_rate_is_tried_value_by_value() -> None:
    space: Space = {"decay": ("all", "matrices", "none", "choice")}

    def loss(each: Attempt) -> float:
        return {"all": 3.0, "matrices": 2.0, "none": 1.0}[each.point["decay"]]

    tried, winner = searched(bracket(space, {"decay": "all"}, 14), loss)
    assert {each.point["decay"] for each in tried} == {"all", "matrices", "none"}
    assert winner == Winner({"decay": "none"}, [])


def test_a_linear_rate_stays_in_its_range() -> None:
    space: Space = {"lr": (0.0, 1.0)}
    tried, winner = searched(bracket(space, {"lr": 0.1}, 14), lambda each: -each.point["lr"])
    assert all(0 <= each.point["lr"] <= 1 for each in tried)
    assert winner is not None
    assert (winner.point, winner.edge) == ({"lr": 1.0}, ["lr"])


def test_the_mean_over_seeds_counts_in_a_halton_search() -> None:
    def loss(each: Attempt) -> float:
        return valley(1e-2)(each) if each.seed else 1.0

    points: list[Any] = []
    tried, winner = searched(halton(RATE, Tuning(method="halton", points=5, seeds=2)), loss)
    points = [each.point for each in tried if each.seed]
    assert winner is not None
    assert winner.point == min(points, key=lambda point: valley(1e-2)(Attempt(point)))
