"""Schedules: share of the budget that is spent (0 to 1) -> factor on the learning rate.

`warmup` is the share of the budget over which the factor climbs from 0 in a straight line.
"""

import math
from typing import Annotated

from pydantic import Field

import msbench

Share = Annotated[float, Field(ge=0, lt=1)]


def constant(warmup: Share = 0.0) -> msbench.Schedule:
    """The full rate after the warm-up."""
    return lambda spent: _climb(spent, warmup)


def linear(warmup: Share = 0.0) -> msbench.Schedule:
    """From the full rate down to zero at the end of the budget."""
    return lambda spent: _climb(spent, warmup) if spent < warmup else 1 - _after(spent, warmup)


def cosine(warmup: Share = 0.0) -> msbench.Schedule:
    """Half a cosine from the full rate down to zero at the end of the budget."""
    return lambda spent: (
        _climb(spent, warmup)
        if spent < warmup
        else (1 + math.cos(math.pi * _after(spent, warmup))) / 2
    )


def _climb(spent: float, warmup: float) -> float:
    return min(1.0, (spent + 1e-3) / warmup) if warmup > 0 else 1.0


def _after(spent: float, warmup: float) -> float:
    return min(1.0, (spent - warmup) / max(1e-9, 1 - warmup))
