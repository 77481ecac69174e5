"""Schedules: share of the budget that is spent (0 to 1) -> factor on the learning rate.

`warmup` is the share of the budget over which the factor rises linearly, step by step: of five
steps of warm-up the first has a fifth of the rate, and the fifth all of it.
"""

import math
from collections.abc import Callable

import msbench
from msbench import Schedule
from msbench.builtin.types import OpenShare, Share


def constant(warmup: Share = 0.0) -> Schedule:
    """The full rate after the warm-up."""
    return _warmed(warmup, lambda spent: 1.0)


def linear(warmup: Share = 0.0, floor: Share = 0.0) -> Schedule:
    """From the full rate down to the factor `floor` at the end of the budget."""
    return _warmed(warmup, _to_floor(floor, lambda spent: 1 - _after(spent, warmup)))


def cosine(warmup: Share = 0.0, floor: Share = 0.0) -> Schedule:
    """Half a cosine from the full rate down to the factor `floor` at the end of the budget."""

    def half(spent: float) -> float:
        return (1 + math.cos(math.pi * _after(spent, warmup))) / 2

    return _warmed(warmup, _to_floor(floor, half))


def wsd(warmup: Share = 0.1, decay: OpenShare = 0.2, floor: Share = 0.0) -> Schedule:
    """Warm-up, stable, decay: the full rate, then over the last share `decay` down to `floor`."""
    if warmup + decay > 1:
        raise msbench.MsbenchError(f"warmup {warmup} and decay {decay} are more than the budget")
    return _warmed(warmup, _to_floor(floor, lambda spent: min(1.0, (1 - spent) / decay)))


def inverse_sqrt(warmup: OpenShare = 0.1) -> Schedule:
    """The full rate at the end of the warm-up, then falling as 1 / sqrt(steps)."""
    return _warmed(warmup, lambda spent: math.sqrt(warmup / spent))


def multistep(
    warmup: Share = 0.0, milestones: tuple[OpenShare, ...] = (0.5, 0.75), gamma: OpenShare = 0.1
) -> Schedule:
    """`gamma` times less from each milestone (a share of the budget) on."""
    if early := [milestone for milestone in milestones if milestone <= warmup]:
        raise msbench.MsbenchError(f"milestone {early[0]} lies within the warm-up of {warmup}")
    return _warmed(warmup, lambda spent: gamma ** sum(spent >= passed for passed in milestones))


def _warmed(warmup: float, then: Callable[[float], float]) -> Schedule:
    """A rise to 1, then `then`.

    step: the share of the budget that the coming step takes. The rate is that at its end, or the
    first step would be wasted; where nobody knows, as in a first step of seconds, a thousandth.
    """

    def factor(spent: float, step: float = 0.0) -> float:
        if spent < warmup:
            return min(1.0, (spent + (step or 1e-3)) / warmup)
        return max(0.0, then(spent))

    return factor


def _to_floor(floor: float, then: Callable[[float], float]) -> Callable[[float], float]:
    """`then`, which falls from 1 to 0, falling from 1 to `floor`."""
    return lambda spent: floor + (1 - floor) * then(spent)


def _after(spent: float, warmup: float) -> float:
    """Share of what remains after the warm-up that is spent."""
    return min(1.0, (spent - warmup) / max(1e-9, 1 - warmup))
