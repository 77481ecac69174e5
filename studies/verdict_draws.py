"""Scores by seed of a baseline and its strategies, all equally good, as simulations draw them.

What studies/verdicts.py draws from. Every draw is (samples, 1 + strategies, seeds), the baseline
first, and every true mean is `CENTRE`; spreads are in standard deviations of the baseline, but for
shares, which are what they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from interval_records import finals

Draw = Callable[[np.random.Generator, tuple[int, int, int]], Any]

SUITES = ("quick", "optimizers")

COLLAPSE, DEPTH = 0.1, 20.0
"""Share of the seeds that collapse, and by how many standard deviations."""

TEST = 400
"""Examples of a test split, of which a share is right."""

CEILING = 0.99
"""True share right at the ceiling."""


def normal(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
    """One spread for all."""
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
    """Strategies have a long tail of bad seeds (skewness -2) that the baseline does not have."""
    scores = (2 - rng.chisquare(2, shape)) / 2
    scores[:, 0] = 0.2 * rng.standard_normal((shape[0], shape[2]))
    return scores


def both_skewed(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
    """All have that tail."""
    return (2 - rng.chisquare(2, shape)) / 2


def ceiling(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
    """Shares right near 1: seeds of strategies differ much, those of the baseline little."""
    wrong = 1 - CEILING
    faults = rng.gamma(0.5, wrong / 0.5, shape)
    faults[:, 0] = rng.gamma(50, wrong / 50, (shape[0], shape[2]))
    return rng.binomial(TEST, 1 - np.minimum(faults, 1.0)) / TEST


def both_at_ceiling(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
    """Shares right near 1, of seeds that differ alike."""
    wrong = 1 - CEILING
    return rng.binomial(TEST, 1 - np.minimum(rng.gamma(2, wrong / 2, shape), 1.0)) / TEST


def heavy(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
    """Student's t with 3 degrees of freedom."""
    return rng.standard_t(3, shape) / 3**0.5


def collapsed(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
    """Strategies lose every tenth seed, and are better than the baseline in the others."""
    scores = rng.standard_normal(shape)
    scores -= DEPTH * (rng.random(shape) < COLLAPSE)
    scores[:, 1:] += DEPTH * COLLAPSE
    scores[:, 0] = rng.standard_normal((shape[0], shape[2]))
    return scores


def both_collapse(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
    """All lose every tenth seed."""
    return rng.standard_normal(shape) - DEPTH * (rng.random(shape) < COLLAPSE)


DRAWS: Mapping[str, Draw] = {
    "normal": normal,
    "skewed": skewed,
    "skewed, baseline too": both_skewed,
    "ceiling": ceiling,
    "ceiling, alike": both_at_ceiling,
    "heavy tails": heavy,
    "collapsed seeds": collapsed,
    "collapsed, baseline too": both_collapse,
}


def observed(suite: str) -> dict[str, Any]:
    """By task, scores (1 + strategies, decoders, seeds) by its metric, the baseline first."""
    tasks: dict[str, dict[str, dict[int, list[float]]]] = {}
    for record in finals(suite):
        metric = record.results["task"]["metric"]
        values = [each["metrics"][metric] for each in record.results["decoding"]]
        strategies = tasks.setdefault(record.job["task"]["name"], {})
        optimizer = record.job["optimizer"]
        of = strategies.setdefault(optimizer["label"] or optimizer["name"], {})
        of[record.job["seed"]] = values
    found = {}
    for task, strategies in tasks.items():
        seeds = sorted(strategies["adamw"])
        whole = [name for name, of in strategies.items() if sorted(of) == seeds]
        whole.sort(key=lambda name: name != "adamw")
        rows = [[strategies[name][seed] for seed in seeds] for name in whole]
        found[f"{suite}, {task}"] = np.array(rows).transpose(0, 2, 1)
    return found


def like(scores: Any, rng: np.random.Generator, samples: int, n: int, *, means: bool) -> Any:
    """Normal scores with the means (or none), spreads and correlations of the rows observed.

    scores: (rows, seeds), as they were observed. Returns (samples, rows, n).
    """
    centre = scores.mean(axis=1, keepdims=True)
    away = (scores - centre) / (scores.shape[1] - 1) ** 0.5
    drawn = np.einsum("rs,kns->krn", away, rng.standard_normal((samples, n, scores.shape[1])))
    return drawn + centre if means else drawn


def spread_like(suite: str) -> Draw:
    """Normal scores whose spreads and correlations are those of strategies in the records, in
    every sample those of another of its tasks."""
    tasks = list(observed(suite).values())

    def draw(rng: np.random.Generator, shape: tuple[int, int, int]) -> Any:
        parts = []
        for number, task in enumerate(tasks):
            chosen = task[[0, *rng.choice(range(1, len(task)), shape[1] - 1, replace=False)], 0]
            samples = len(range(number, shape[0], len(tasks)))
            parts.append(like(chosen, rng, samples, shape[2], means=False))
        return np.concatenate(parts)

    return draw
