"""Timing in rounds, as `msbench bench` does it: contestants take turns in random order, and ratios
are formed within a round.

So whatever else the machine does falls on all of them alike.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from msbench.compare.throughput import ratio_interval
from msbench.run.rounds import Stop, interleaved

__all__ = ["Stop", "Timed", "interleaved", "ratio_interval", "ratios", "timed"]

Timed = Callable[[], float]
"""Does some work and returns the seconds it took."""


def timed(work: Callable[[], Any]) -> Timed:
    """The work with a clock around it."""

    def run() -> float:
        start = perf_counter()
        work()
        return perf_counter() - start

    return run


def ratios(seconds: list[float], base: list[float]) -> list[float]:
    """Of each round, sorted; their median, or `ratio_interval`, is the figure to report."""
    return sorted(one / other for one, other in zip(seconds, base, strict=True))
