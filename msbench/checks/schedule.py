"""Schedules: factors on the learning rate over the budget."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from msbench.checks.findings import Wrong
from msbench.checks.subject import Subject

STEPS = 200
"""Of the budget that is walked through."""


def can_be_made(subject: Subject) -> None:
    """With all options at their defaults it gives a function of the share that is spent."""
    made = subject.make()
    if not callable(made):
        raise Wrong(f"its factory returns {type(made).__name__}, not a function of a share")


def gives_numbers(subject: Subject) -> None:
    """Its factors are finite and not negative, from the first step to the end of the budget."""
    for spent, value in enumerate(factors(subject.make())):
        if not (isinstance(value, float | int) and math.isfinite(value) and value >= 0):
            raise Wrong(f"at {spent / STEPS:g} of the budget its factor is {value!r}")


def wastes_no_step(subject: Subject) -> None:
    """Its first factor is above 0: a warm-up that begins at 0 wastes a step that is paid for.

    With a second parameter `step` it is told the share that the coming step takes."""
    first = factors(subject.make())[0]
    if first <= 0:
        raise Wrong(
            "the factor of the first step is 0, so that it is wasted; take a parameter `step`, the "
            "share that the coming step takes, and give the factor at its end"
        )


def depends_on_the_share_alone(subject: Subject) -> None:
    """Asked again, in any order and by another instance, it gives the same factors.

    One that counts its calls would differ between phases, searches and resumed trials."""
    schedule = subject.make()
    forwards = factors(schedule)
    backwards = [_factor(schedule, spent / STEPS) for spent in reversed(range(STEPS))]
    if forwards != backwards[::-1] or forwards != factors(subject.make()):
        raise Wrong(
            "asked twice for the same share it gives different factors: it counts its calls, or "
            "draws at random; compute the factor from the share alone"
        )


def lets_train(subject: Subject) -> None:
    """Some of its factors are above a thousandth: otherwise nothing is learned at any rate."""
    if max(factors(subject.make())) < 1e-3:
        raise Wrong("all its factors are below 0.001")


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    gives_numbers,
    wastes_no_step,
    depends_on_the_share_alone,
    lets_train,
)


def factors(schedule: Any) -> list[float]:
    """Its factors at every step of the budget."""
    return [_factor(schedule, step / STEPS) for step in range(STEPS)]


def _factor(schedule: Any, spent: float) -> float:
    """As the loop asks for it."""
    told = "step" in inspect.signature(schedule).parameters
    factor: float = schedule(spent, 1 / STEPS) if told else schedule(spent)
    return factor
