"""Timing in rounds: contestants take turns, and ratios are formed within a round.

So whatever else the machine does falls on all of them alike.
"""

import math
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any

Timed = Callable[[], float]
"""Does some work and returns the seconds it took."""


def timed(work: Callable[[], Any]) -> Timed:
    """The work with a clock around it."""

    def run() -> float:
        start = perf_counter()
        work()
        return perf_counter() - start

    return run


def interleaved(contestants: Mapping[str, Timed], rounds: int) -> dict[str, list[float]]:
    """Seconds by contestant and round. The order rotates; one round before them warms up."""
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for place in range(len(names)):
            name = names[(place + number) % len(names)]
            seconds[name].append(contestants[name]())
    return {name: each[1:] for name, each in seconds.items()}


def ratios(seconds: list[float], base: list[float]) -> list[float]:
    """Of each round, sorted; their median is the figure to report."""
    return sorted(one / other for one, other in zip(seconds, base, strict=True))


def paired(ratios: list[float]) -> tuple[float, float, float]:
    """Median of the rounds' ratios, and the 95 % interval of it by order statistics.

    No shape is assumed: the bounds are the ratios between which the median lies by the binomial
    distribution.
    """
    ordered, count = sorted(ratios), len(ratios)
    reach = math.ceil(0.98 * math.sqrt(count))
    low, high = (
        ordered[min(max(at, 0), count - 1)] for at in (count // 2 - reach, count // 2 + reach)
    )
    return median(ordered), low, high
