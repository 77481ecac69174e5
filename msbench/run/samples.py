"""What one contestant did in one round, and the rates that rounds add up to."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from msbench.records.schema import RatesData

Unit = Literal["tokens", "examples"]


@dataclass(frozen=True)
class Sample:
    """One round of one contestant."""

    seconds: float
    tokens: int
    """Read in training, written in decoding; one an example where nothing is generated."""
    examples: int
    joules: float = math.nan

    def rate(self, unit: Unit) -> float:
        """Units per second."""
        units: int = getattr(self, unit)
        return units / self.seconds


def rates_data(mine: Sequence[Sample], base: Sequence[Sample], unit: Unit) -> RatesData:
    """What a record has of a contestant's rounds; base: the baseline's, of the same rounds.

    ValueError if rates times seconds are not what was done.
    """
    rates = [each.rate(unit) for each in mine]
    done = math.fsum(rate * each.seconds for rate, each in zip(rates, mine, strict=True))
    units = sum(getattr(each, unit) for each in mine)
    if not math.isclose(done, units, rel_tol=1e-9):
        raise ValueError(f"{done} {unit} by rate and time, {units} by count: nothing was measured")
    joules, tokens = math.fsum(each.joules for each in mine), sum(each.tokens for each in mine)
    return {
        "per_second": statistics.median(rates),
        "rates": rates,
        "ratios": [rate / each.rate(unit) for rate, each in zip(rates, base, strict=True)],
        "seconds": [each.seconds for each in mine],
        "tokens_per_second": statistics.median(each.rate("tokens") for each in mine),
        "examples_per_second": statistics.median(each.rate("examples") for each in mine),
        "joules_per_token": joules / tokens if tokens else math.nan,
    }
