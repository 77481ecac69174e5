"""Metrics that are registered: scores of plain words against plain words."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from msbench.checks.findings import Skipped, Wrong
from msbench.checks.subject import Subject
from msbench.data.measures import Measure
from msbench.data.task import Scores

TEXTS = [f"the {a} is in the {b} by the sea" for a in ("cat", "dog") for b in ("house", "tree")]


def can_be_made(subject: Subject) -> None:
    """It gives a `msbench.Measure`."""
    made = subject.make()
    if not isinstance(made, Measure):
        raise Wrong(f"its factory returns {type(made).__name__}, not a msbench.Measure")


def scores_within_its_bounds(subject: Subject) -> None:
    """It gives the metrics that it declares, within their bounds, and one score an example."""
    measure = subject.make()
    for predictions in (_texts(subject), ["" for _ in TEXTS]):
        scores = _scored(measure, predictions, TEXTS)
        for name, value in scores.metrics.items():
            if name not in measure.metrics:
                raise Wrong(f"it gives {name!r}, and declares {sorted(measure.metrics)}")
            low, high = measure.metrics[name].low, measure.metrics[name].high
            if not low - 1e-9 <= value <= high + 1e-9:
                raise Wrong(f"{name} is {value}, not from {low:g} to {high:g}")
        for name, values in scores.examples.items():
            if len(values) != len(predictions):
                raise Wrong(f"{len(values)} scores by {name} for {len(predictions)} examples")


def scores_in_any_order(subject: Subject) -> None:
    """Predictions and references in another order score the same."""
    measure, turned = subject.make(), [*_texts(subject)[1:], TEXTS[0]]
    one, other = (
        _scored(measure, turned[::way], TEXTS[::way]) for way in (1, -1)
    )  # fmt: skip
    for name, value in one.metrics.items():
        if not np.isclose(value, other.metrics[name], equal_nan=True):
            raise Wrong(f"{name} depends on the order of the examples")


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    scores_within_its_bounds,
    scores_in_any_order,
)


def _texts(subject: Subject) -> list[str]:
    if subject.entry.fits and not {"seq2seq", "lm"} & {*subject.entry.fits}:
        raise Skipped("it is not for texts")
    return list(TEXTS)


def _scored(measure: Measure, predictions: Sequence[str], references: Sequence[str]) -> Scores:
    scores: Scores = measure.score(predictions, references)
    return scores
