"""Is an optimizer another one under a new name, or nearly so? Told by losses at equal options."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from msbench.records.record import Record
from msbench.spec import digest

SAME = 1e-6
"""Relative difference of losses that rounding explains."""

NEAR = 0.03
"""Relative difference of losses up to which two optimizers are called near relatives:
what studies/challenges.py prints of an AdamW with an error is a tenth of it."""


@dataclass(frozen=True)
class Relative:
    """How an optimizer did beside another one, where both had the same options."""

    name: str
    """The other one."""
    trials: int
    """In how many trials both had the options that they share, and all else, alike."""
    same: int
    """In how many of these all validation losses were the same."""
    apart: float
    """The largest relative difference of two validation losses in a trial, in the median over
    trials: at high rates any difference grows without bound, so the worst trial says nothing."""


def relatives(mine: Iterable[Record], others: Iterable[Record]) -> list[Relative]:
    """The optimizers whose losses are near those of `mine`, the nearest first.

    Trials of a search count as well. Options are those that both optimizers have.
    """
    places: dict[str, list[Record]] = {}
    for record in others:
        if record.is_trial and record.status == "ok":
            places.setdefault(_place(record), []).append(record)
    apart: dict[str, list[float]] = {}
    for record in mine:
        if not record.is_trial or record.status != "ok":
            continue
        for other in places.get(_place(record), ()):
            if _alike(record.trial["optimizer"], other.trial["optimizer"]):
                name = other.trial["optimizer"]["label"] or other.trial["optimizer"]["name"]
                apart.setdefault(name, []).append(_apart(_losses(record), _losses(other)))
    found = [
        Relative(name, len(sizes), sum(size <= SAME for size in sizes), median(sizes))
        for name, sizes in apart.items()
    ]
    return sorted((each for each in found if each.apart <= NEAR), key=lambda each: each.apart)


def _place(record: Record) -> str:
    """What a trial is but for its optimizer and its decoders."""
    left_out = ("optimizer", "decoders", "tuned")
    return digest({name: value for name, value in record.trial.items() if name not in left_out})


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two optimizers share options, and have the same values for these."""
    shared = one["options"].keys() & other["options"].keys()
    return bool(shared) and all(one["options"][k] == other["options"][k] for k in shared)


def _losses(record: Record) -> list[float]:
    return [float(point["validation_loss"] or 0.0) for point in record.results["training"]["curve"]]


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest relative difference of two curves; infinite where they are not as long."""
    if len(one) != len(other) or not one:
        return float("inf")
    return max(abs(a - b) / max(abs(b), SAME) for a, b in zip(one, other, strict=True))
