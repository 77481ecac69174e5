"""Rounds: contestants take turns in random order, so that whatever else the machine does falls on
all of them alike.

The one way of measuring speed: `[throughput]`, `msbench bench` and the scripts of benchmarks/.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np

from msbench.compare.throughput import ratio_interval

T = TypeVar("T")

LEAST = 5
"""Rounds before an interval can be narrow enough: of fewer, chance alone makes some narrow."""


def interleaved(
    contestants: Mapping[str, Callable[[], T]],
    rounds: int,
    *,
    warm_up: int = 1,
    seed: int = 0,
    enough: Callable[[Mapping[str, list[T]]], bool] = lambda samples: False,
) -> dict[str, list[T]]:
    """What each contestant gave, round by round: each once a round, in an order drawn anew.

    warm_up: rounds before the first one that counts. enough: asked after each round that counts;
    once it is true, or after `rounds` of them, it is over.
    """
    draw, names = np.random.default_rng(seed), list(contestants)
    samples: dict[str, list[T]] = {name: [] for name in names}
    for number in range(-warm_up, rounds):
        given = {
            names[place]: contestants[names[place]]() for place in draw.permutation(len(names))
        }
        if number < 0:
            continue
        for name in names:
            samples[name].append(given[name])
        if enough(samples):
            break
    return samples


@dataclass
class Stop:
    """Whether rates are known well enough, or time is up."""

    seconds: float = 0.0
    """Of rounds; 0 = any number."""
    narrow: float = 0.0
    """Half the width of a ratio's interval, as a share of the ratio, that is enough; 0 = none."""

    def __post_init__(self) -> None:
        self._start = perf_counter()

    def enough(self, rates: Mapping[str, list[float]]) -> bool:
        """rates: units per second by contestant and round, the baseline's first."""
        base, *others = rates.values()
        if len(base) >= 2 and self.seconds and perf_counter() - self._start >= self.seconds:
            return True
        return (
            bool(self.narrow)
            and len(base) >= LEAST
            and all(self._is_narrow(mine, base) for mine in others)
        )

    def _is_narrow(self, mine: list[float], base: list[float]) -> bool:
        ratio, low, high = ratio_interval(mine, base)
        return max(high - ratio, ratio - low) <= self.narrow * ratio
