"""Differences between strategies in the repository's own reference records, for simulations.

What studies/intervals.py draws from, and how the variance of real scores is made up.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from interval_methods import residual_variance
from scipy import stats as reference

from msbench import Record, read

REFERENCE = Path(__file__).parent.parent / "results/reference"


@dataclass(frozen=True)
class Difference:
    """A strategy minus the suite's first, in the main metric of one task."""

    by_seed: Any
    """(seeds,)."""
    by_example: Any
    """(seeds, examples), or None where the metric is not of single examples."""


Differences = Mapping[str, list[Difference]]
"""By suite, task and metric."""


def observed(suite: str) -> dict[str, list[Difference]]:
    """The differences of a suite, by its first decoder alone; strategies must have all seeds."""
    scores: dict[str, dict[str, dict[int, tuple[float, Any]]]] = {}
    for record in finals(suite):
        metric, decoded = record.results["task"]["metric"], record.results["decoding"][0]
        parts = [record.job[axis] for axis in ("task", "model", "loss", "optimizer", "schedule")]
        strategy = json.dumps(parts, sort_keys=True)
        task = f"{suite}, {record.job['task']['name']}, {metric}"
        score = decoded["metrics"][metric], decoded["examples"].get(metric)
        scores.setdefault(task, {}).setdefault(strategy, {})[record.job["seed"]] = score
    differences: dict[str, list[Difference]] = {}
    for task, strategies in scores.items():
        base, *others = strategies.values()
        for other in others:
            if other.keys() == base.keys():
                differences.setdefault(task, []).append(_difference(other, base))
    return differences


def finals(suite: str) -> Iterator[Record]:
    """The trials of a suite's strategies that ended ok, without their search."""
    for record in read(REFERENCE / suite).records:
        if record.is_trained and record.status == "ok":
            yield record


def _difference(
    other: Mapping[int, tuple[float, Any]], base: Mapping[int, tuple[float, Any]]
) -> Difference:
    by_seed = np.array([other[seed][0] - base[seed][0] for seed in base])
    if not all(other[seed][1] for seed in base):
        return Difference(by_seed, None)
    sides = ([side[seed][1] for seed in base] for side in (other, base))
    mine, theirs = (np.array(side, dtype=float) for side in sides)
    return Difference(by_seed, mine - theirs)


def pools(differences: Differences) -> dict[str, Any]:
    """Pools of observed deviations from a strategy's mean difference.

    "records": every strategy keeps its own spread, each task is brought to one scale; a mixture
    with heavy tails. "records, one spread": every strategy is brought to the same spread, which
    cuts the tails.
    """
    mixed: list[Any] = []
    even: list[Any] = []
    for rows in _varying(differences):
        away = [(row - row.mean()) * (len(row) / (len(row) - 1)) ** 0.5 for row in rows]
        task = np.concatenate(away)
        mixed.append(task / task.std())
        even.extend(row / row.std() for row in away)
    by_name = {"records": np.concatenate(mixed), "records, one spread": np.concatenate(even)}
    return {name: (pool - pool.mean()) / pool.std() for name, pool in by_name.items()}


def _varying(differences: Differences) -> list[list[Any]]:
    """Per task, differences by seed that are not the same for all seeds."""
    by_task = ([d.by_seed for d in each] for each in differences.values())
    return [[row for row in rows if row.std() > 0] for rows in by_task]


def components(differences: list[Difference]) -> dict[str, Any]:
    """How the variance of single scores' differences is shared out, averaged over strategies."""
    variances = []
    for scores in (difference.by_example for difference in differences):
        if scores is None or np.isnan(scores).any() or not scores.any():
            continue
        n, m = scores.shape
        rest = residual_variance(scores)
        of_seeds = scores.mean(axis=1).var(ddof=1) - rest / m
        variances.append((of_seeds, scores.mean(axis=0).var(ddof=1) - rest / n, rest))
    if not variances:
        return {}
    mean = np.maximum(np.mean(variances, axis=0), 0.0)
    shares = (mean / mean.sum()).tolist()
    return {"shares": shares, "seeds": n, "examples": m, "comparisons": len(variances)}


def looks_normal(differences: Differences) -> dict[str, Any]:
    """How often Shapiro and Wilk reject, at 5 %, that a strategy's differences are normal."""
    rows = [row for each in _varying(differences) for row in each]
    rejected = [reference.shapiro(row).pvalue <= 0.05 for row in rows]
    return {"comparisons": len(rows), "rejected": float(np.mean(rejected))}
