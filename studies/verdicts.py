"""Which rule decides, and on which scale? Error rates, coverage and power, by simulation.

    python studies/verdicts.py [--write]

Prints the tables of docs/statistics.md, "Verdicts". --write: to results/reference/verdicts.json,
from which that document is made. Seeded; a few minutes on one core. Draws are in
studies/verdict_draws.py, rules in studies/verdict_rules.py.
"""

import json
import sys
import time
from typing import Any

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np
from intervals import rounded
from verdict_draws import DRAWS, SUITES, TEST, Draw, like, observed, spread_like
from verdict_rules import (
    ALPHA,
    RULES,
    differences,
    johnson_p,
    larger_p,
    log_odds_p,
    sign_p,
    t_p,
)
from verdict_tables import OUT, SIZES, tables

from msbench.compare import stats
from msbench.compare.fragile import collapsed

SAMPLES, FAMILIES = 20_000, 3_000
"""Simulated comparisons, and families."""

STRATEGIES, TASKS = 4, 3
"""In a family beside the baseline, and families in a suite, as in `quick`."""


def draws() -> dict[str, Draw]:
    """All kinds of seeds; two with the spreads of the reference records."""
    return {**DRAWS, **{f"spreads of {suite}": spread_like(suite) for suite in SUITES}}


def comparisons(draw: Draw, rng: np.random.Generator) -> dict[int, Any]:
    """Of one comparison, by seeds: how often its 95 % interval covers the true difference, 0, and
    how often a verdict is given without a true difference, in either direction."""
    figures = {}
    for n in SIZES:
        scores = draw(rng, (SAMPLES, 2, n))
        p, low = t_p(scores)[:, 0], differences(scores).mean(axis=2)[:, 0] < 0
        wrong = p <= ALPHA
        figures[n] = {
            "coverage": 1 - wrong.mean(),
            "worse": (wrong & low).mean(),
            "better": (wrong & ~low).mean(),
        }
    return figures


def families(draw: Draw, rng: np.random.Generator) -> dict[str, Any]:
    """By rule and seeds, the share of tasks and of suites with any false verdict."""
    figures: dict[str, Any] = {}
    for n in SIZES:
        scores = draw(rng, (FAMILIES, STRATEGIES + 1, n))
        for name, rule in RULES.items():
            wrong = rng.permutation(rule(scores).any(axis=1))
            suites = wrong[: FAMILIES // TASKS * TASKS].reshape(-1, TASKS).any(axis=1)
            figures.setdefault(name, {})[n] = {"task": wrong.mean(), "suite": suites.mean()}
    return figures


def power(rng: np.random.Generator, suite: str) -> dict[str, Any]:
    """By rule and seeds, the share of strategies that are told from the baseline, if the means,
    spreads and correlations of the records were the true ones.

    "all rows": Holm over all tasks and decoders at once.
    """
    figures: dict[str, Any] = {}
    tasks = observed(suite)
    for n in SIZES:
        found: dict[str, list[Any]] = {}
        rows = []
        for scores in tasks.values():
            strategies, decoders, seeds = scores.shape
            flat = scores.reshape(strategies * decoders, seeds)
            drawn = like(flat, rng, FAMILIES, n, means=True)
            by_decoder = drawn.reshape(FAMILIES, strategies, decoders, n)
            for name, rule in RULES.items():
                if name != "largest t, estimated" or strategies <= STRATEGIES + 2:
                    found.setdefault(name, []).append(rule(by_decoder[:, :, 0]))
            rows += [t_p(by_decoder[:, :, decoder]) for decoder in range(decoders)]
        p = np.concatenate(rows, axis=1)
        first = np.cumsum([0, *(each.shape[1] for each in rows)])
        of_first = np.concatenate(
            [
                np.arange(first[i], first[i + 1])
                for i in np.cumsum([0, *(s.shape[1] for s in tasks.values())])[:-1]
            ]
        )
        order = np.argsort(p, axis=1)
        steps = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
        adjusted = np.zeros_like(p)
        np.put_along_axis(adjusted, order, np.maximum.accumulate(steps, axis=1), axis=1)
        figures.setdefault("all rows", {})[n] = (adjusted[:, of_first] <= ALPHA).mean()
        for name, each in found.items():
            if len(each) == len(tasks):
                figures.setdefault(name, {})[n] = np.concatenate(each, axis=1).mean()
    return figures


def scales(rng: np.random.Generator) -> dict[str, Any]:
    """Intervals of a mean share right, by scale: coverage, leaving the range, and mean width."""
    kinds = {
        "0.8, spread 0.02": lambda shape: np.clip(rng.normal(0.8, 0.02, shape), 0, 1),
        "0.99, spread 0.005": lambda shape: 1 - rng.gamma(4, 0.01 / 4, shape),
        "0.99, skewed": lambda shape: 1 - np.minimum(rng.gamma(0.5, 0.02, shape), 1),
        "0.9, one in ten collapses": lambda shape: np.clip(
            rng.normal(0.95, 0.01, shape) - 0.5 * (rng.random(shape) < COLLAPSED), 0, 1
        ),
    }
    figures: dict[str, Any] = {}
    for kind, draw in kinds.items():
        truth = float(draw((2_000_000,)).mean())
        for n in (2, *SIZES):
            values = draw((SAMPLES, n))
            for name, (low, high) in intervals(values).items():
                inside = np.clip(low, 0, 1), np.clip(high, 0, 1)
                figures.setdefault(kind, {}).setdefault(name, {})[n] = {
                    "coverage": ((low <= truth) & (truth <= high)).mean(),
                    "outside": ((low < 0) | (high > 1)).mean(),
                    "width": (inside[1] - inside[0]).mean(),
                }
    return figures


COLLAPSED = 0.1


def intervals(values: Any) -> dict[str, Any]:
    """By scale, (low, high) of the mean share of every row of seeds."""
    _, low, high, _ = stats.mean_intervals(values)
    share = (values * TEST + 0.5) / (TEST + 1)
    by_seed = stats.mean_intervals(np.log(share / (1 - share)))
    of_mean = stats.bounded_intervals(values, 0.0, 1.0)
    return {
        "shares": (low, high),
        "shares, cut at the bounds": (np.clip(low, 0, 1), np.clip(high, 0, 1)),
        "log odds of the mean": (of_mean[1], of_mean[2]),
        "mean log odds": tuple(1 / (1 + np.exp(-by_seed[i])) for i in (1, 2)),
    }


TESTS = {
    "paired t": t_p,
    "log odds": lambda scores: log_odds_p(scores, TEST),
    "larger of both": lambda scores: larger_p(scores, TEST),
    "Johnson": johnson_p,
    "sign": sign_p,
}


OF_SHARES = ("log odds", "larger of both")
"""Tests of shares alone."""


def fragile(rng: np.random.Generator) -> dict[str, Any]:
    """By kind, test and seeds, how often a single test is wrong at 5 %."""
    figures: dict[str, Any] = {}
    for kind in ("skewed", "ceiling", "ceiling, alike", "collapsed seeds", "normal"):
        for n in SIZES:
            scores = DRAWS[kind](rng, (SAMPLES, 2, n))
            for name, test in TESTS.items():
                if name in OF_SHARES and not kind.startswith("ceiling"):
                    continue
                wrong = float((np.nan_to_num(test(scores), nan=1.0) <= ALPHA).mean())
                figures.setdefault(kind, {}).setdefault(name, {})[n] = wrong
    return figures


def power_at_ceiling(rng: np.random.Generator) -> dict[str, Any]:
    """By test and seeds, how often 99 % is told from 98 % right."""
    figures: dict[str, Any] = {}
    for n in SIZES:
        faults = rng.gamma(2, [[[0.02 / 2]], [[0.01 / 2]]], (2, SAMPLES, n)).transpose(1, 0, 2)
        scores = rng.binomial(TEST, 1 - np.minimum(faults, 1)) / TEST
        for name, test in TESTS.items():
            figures.setdefault(name, {})[n] = (np.nan_to_num(test(scores), nan=1) <= ALPHA).mean()
    return figures


def seen(rng: np.random.Generator) -> dict[str, Any]:
    """Of collapsed seeds: how often they are seen, and how often the t-test is wrong if they are
    and if they are not; and how often a collapse is seen where there is none."""
    figures: dict[str, Any] = {}
    for kind in ("collapsed seeds", "normal", "skewed", "heavy tails"):
        for n in SIZES:
            scores = DRAWS[kind](rng, (SAMPLES, 2, n))
            flagged = collapsed(scores.reshape(-1, n), np.full(2 * SAMPLES, np.nan), False)
            flagged = flagged.reshape(SAMPLES, 2, n).any(axis=(1, 2))
            wrong = t_p(scores)[:, 0] <= ALPHA
            figures.setdefault(kind, {})[n] = {
                "seen": flagged.mean(),
                "wrong if seen": wrong[flagged].mean() if flagged.any() else float("nan"),
                "wrong if not": wrong[~flagged].mean(),
            }
    return figures


def equivalence(rng: np.random.Generator) -> dict[str, Any]:
    """The share of tasks with a false "equivalent", every true difference being at the margin."""
    figures: dict[str, Any] = {}
    for n in SIZES:
        scores = DRAWS["normal"](rng, (FAMILIES, STRATEGIES + 1, n)) / 10
        scores[:, 1:] += 1.0
        tests = stats.paired_tests(differences(scores).reshape(-1, n))
        p = stats.equivalence_p(tests, 1.0).reshape(FAMILIES, STRATEGIES)
        figures[n] = {
            "unadjusted": (p <= ALPHA).any(axis=1).mean(),
            "Holm": np.mean([stats.holm(row).min() <= ALPHA for row in p]),
        }
    return figures


def simulate() -> dict[str, Any]:
    """All figures."""
    return {
        "comparisons": {
            name: comparisons(draw, np.random.default_rng([0, at]))
            for at, (name, draw) in enumerate(draws().items())
        },
        "families": {
            name: families(draw, np.random.default_rng([1, at]))
            for at, (name, draw) in enumerate(draws().items())
        },
        "power": {suite: power(np.random.default_rng([2]), suite) for suite in SUITES},
        "scales": scales(np.random.default_rng([3])),
        "fragile": fragile(np.random.default_rng([4])),
        "power at the ceiling": power_at_ceiling(np.random.default_rng([5])),
        "seen": seen(np.random.default_rng([6])),
        "equivalence": equivalence(np.random.default_rng([7])),
    }


if __name__ == "__main__":
    started = time.perf_counter()
    plain = json.loads(json.dumps(simulate(), default=float))
    figures = rounded(plain)
    for name, text in tables(figures).items():
        print(f"{name}\n\n{text}\n")
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if "--write" in sys.argv:
        OUT.write_text(json.dumps(figures, separators=(",", ":")) + "\n")
