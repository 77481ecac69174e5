"""Which interval and test is right for few seeds, or for seeds and examples? By simulation.

    python studies/intervals.py [--write]

Prints the tables of docs/statistics.md. --write: to results/reference/statistics.json, from which
that document is made. Seeded; some minutes on one core. Coverage is the share of samples whose
true mean is not rejected at 5 %; the methods are in studies/interval_methods.py.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np
from interval_methods import (
    EFFECTS,
    check_bootstraps,
    example_p_values,
    p_values,
)
from interval_records import components, looks_normal, observed, pools
from interval_tables import OUT, SIZES, tables
from scipy import stats as reference

from msbench.compare import stats

SAMPLES, FAMILIES, CROSSED = 10_000, 4_000, 2_000
"""Simulated comparisons, families of comparisons, and comparisons over seeds and examples."""

PIGEONHOLES = 400
"""Resamples of seeds and examples."""

STRATEGIES = 10
"""In a family, beside the baseline that all of them are compared with."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]
"""Differences between two strategies, of mean 0 and standard deviation 1."""


def shares(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Shares right of 400 test examples: 99 % in truth, minus 97 %."""
    right, wrong = (0.99, 0.97), (0.01, 0.03)
    spread = (400 * (right[0] * wrong[0] + right[1] * wrong[1])) ** 0.5
    counts = rng.binomial(400, right[0], shape) - rng.binomial(400, right[1], shape)
    return (counts - 400 * (right[0] - right[1])) / spread


DRAWS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "skewness 1": lambda rng, shape: (rng.chisquare(8, shape) - 8) / 4,
    "skewness 2": lambda rng, shape: (rng.chisquare(2, shape) - 2) / 2,
    "heavy tails": lambda rng, shape: rng.standard_t(3, shape) / 3**0.5,
    "shares of 400": shares,
}


def resampled(pool: Any) -> Draw:
    """Draws from what was observed."""
    return lambda rng, shape: rng.choice(pool, shape)


def coverage_and_power(p: Any) -> dict[str, Any]:
    """Of one method, from its p-values (effects, samples)."""
    rejected = (p <= 0.05).mean(axis=1)
    return {"coverage": 1 - rejected[0], "power 1": rejected[1], "power 2": rejected[2]}


def over_seeds(draw: Draw, rng: np.random.Generator) -> dict[str, Any]:
    """Coverage and power of every method for every number of seeds."""
    figures: dict[str, Any] = {}
    for n in SIZES:
        for name, p in p_values(draw(rng, (SAMPLES, n)), rng).items():
            figures.setdefault(name, {})[n] = coverage_and_power(p)
    return figures


def families(draw: Draw, rng: np.random.Generator) -> dict[str, Any]:
    """The share of families with any false positive after Holm.

    STRATEGIES strategies whose true mean is the baseline's, on the same seeds: their differences
    share the baseline's scores and so have a correlation of one half.
    """
    figures: dict[str, Any] = {}
    for n in SIZES:
        scores = draw(rng, (FAMILIES, STRATEGIES, n)) - draw(rng, (FAMILIES, 1, n))
        for name, p in p_values(scores.reshape(-1, n), rng).items():
            by_family = p[0].reshape(FAMILIES, STRATEGIES)
            wrong = [stats.holm(family).min() <= 0.05 for family in by_family]
            figures.setdefault(name, {})[n] = float(np.mean(wrong))
    return figures


def crossed(shares: tuple[float, float, float], count: int) -> Callable[..., Any]:
    """Normal differences whose variance is split over seeds, examples and their interaction."""

    def draw(rng: np.random.Generator, rows: int, n: int) -> Any:
        of_seeds, of_examples, rest = np.sqrt(shares)
        scores = rest * rng.standard_normal((rows, n, count))
        scores += of_seeds * rng.standard_normal((rows, n, 1))
        return scores + of_examples * rng.standard_normal((rows, 1, count))

    return draw


def right_or_wrong(count: int) -> Callable[..., Any]:
    """Answers of two equally good strategies, right where a normal sum is above zero.

    Examples are hard or easy for both (standard deviation 1.5) and for each (0.45), seeds are
    better or worse (0.05), the rest (1) is chance: 80 % right, and the variance of differences is
    shared out about as on bbc-news.
    """

    def draw(rng: np.random.Generator, rows: int, n: int) -> Any:
        both = 1.5 + 1.5 * rng.standard_normal((rows, 1, count))
        answers = []
        for _ in range(2):
            total = both + 0.45 * rng.standard_normal((rows, 1, count))
            total = total + 0.05 * rng.standard_normal((rows, n, 1))
            answers.append(total + rng.standard_normal((rows, n, count)) > 0)
        return answers[0].astype(float) - answers[1]

    return draw


def over_examples(draw: Callable[..., Any], rng: np.random.Generator) -> dict[str, Any]:
    """Coverage and power for new seeds and new examples, of every method and number of seeds.

    Effects are in standard deviations of the difference from seed to seed on the same examples.
    """
    spread = draw(rng, 1000, 2).mean(axis=2)
    deviation = float(np.sqrt(((spread[:, 0] - spread[:, 1]) ** 2).mean() / 2))
    added = np.array(EFFECTS) * deviation
    figures: dict[str, Any] = {}
    for n in (1, *SIZES):
        p: dict[str, list[Any]] = {}
        for _ in range(CROSSED // 100):
            block = draw(rng, 100, n)
            # The same resamples for a hundred comparisons: drawing them is what takes the time.
            weights = tuple(
                rng.multinomial(size, np.full(size, 1 / size), PIGEONHOLES) / size
                for size in block.shape[1:]
            )
            for scores in block:
                for name, values in example_p_values(scores, added, weights).items():
                    p.setdefault(name, []).append(values)
        for name, rows in p.items():
            figures.setdefault(name, {})[n] = coverage_and_power(np.array(rows).T)
    return figures


def ranks(rng: np.random.Generator) -> list[dict[str, Any]]:
    """False positives of Friedman's test at 5 %, and the critical difference of ranks."""
    rows = []
    for strategies in (5, 10):
        for blocks in (3, 5, 10, 20):
            draws = (rng.standard_normal((blocks, strategies)) for _ in range(CROSSED))
            size = float(np.mean([stats.friedman(scores)[1] <= 0.05 for scores in draws]))
            cd = stats.critical_difference(strategies, blocks)
            rows.append({"strategies": strategies, "blocks": blocks, "size": size, "cd": cd})
    return rows


def profiles() -> list[dict[str, Any]]:
    """Exact coverage of 95 % bands, at one tau, of a strategy that solves a share of all problems.

    A percentile bootstrap of shares has the quantiles of a binomial distribution.
    """
    rows = []
    for problems in (5, 10, 20, 50):
        counts = np.arange(problems + 1)
        costs = [np.where(np.arange(problems) < count, 1.0, np.inf) for count in counts]
        resampled_counts = reference.binom.ppf([[0.025], [0.975]], problems, counts / problems)
        bands = {
            "exact": np.array([stats.profile_band(each, [1.0]) for each in costs])[:, :, 0].T,
            "bootstrap": resampled_counts / problems,
        }
        for share in (0.5, 0.7, 0.9, 0.95):
            chance = reference.binom.pmf(counts, problems, share)
            row: dict[str, Any] = {"problems": problems, "share": share}
            for name, (low, high) in bands.items():
                row[name] = float(chance[(low <= share) & (share <= high)].sum())
            rows.append(row)
    return rows


def detectable() -> dict[int, float]:
    """The smallest difference found with power 80 %, in standard deviations, by seeds."""
    figures = {}
    for n in (2, 3, 4, 5, 6, 8, 10, 15, 20, 30):
        row = np.arange(n) / np.arange(n).std(ddof=1)
        figures[n] = float(stats.detectable(stats.paired_tests(row[None, :]))[0])
    return figures


def simulate(samples: Mapping[str, Draw], seed: int = 0) -> dict[str, Any]:
    """All figures of docs/statistics.md."""
    differences = {**observed("quick"), **observed("optimizers")}
    pooled = pools(differences)
    draws = {**samples, **{name: resampled(pool) for name, pool in pooled.items()}}
    of_records = {**differences, **observed("reinforcement")}
    shared = {task: made_of for task, each in of_records.items() if (made_of := components(each))}
    crosses: dict[str, Callable[..., Any]] = {
        task: crossed(tuple(each["shares"]), min(each["examples"], 600))
        for task, each in shared.items()
        if not task.startswith("quick") or "headlines" in task
    }
    crosses["right or wrong"] = right_or_wrong(206)
    shapes, by_seeds = {}, {}
    for at, (name, draw) in enumerate(draws.items()):
        rng = np.random.default_rng([seed, 0, at])
        many = pooled[name] if name in pooled else draw(rng, (1_000_000,))
        # Heavy tails have no such moments, so a sample's say nothing.
        moments = {"skewness": reference.skew(many), "kurtosis": reference.kurtosis(many)}
        shapes[name] = {moment: float(value) for moment, value in moments.items()}
        by_seeds[name] = over_seeds(draw, rng)
    return {
        "shapes": shapes,
        "seeds": by_seeds,
        "families": {
            name: families(draws[name], np.random.default_rng([seed, 1, at]))
            for at, name in enumerate(("normal", "skewness 2", "heavy tails", "records"))
        },
        "examples": {
            name: over_examples(cross, np.random.default_rng([seed, 2, at]))
            for at, (name, cross) in enumerate(crosses.items())
        },
        "components": shared,
        "normality": looks_normal(differences),
        "ranks": ranks(np.random.default_rng([seed, 3])),
        "profiles": profiles(),
        "detectable": detectable(),
        "runs": {"samples": SAMPLES, "families": FAMILIES, "crossed": CROSSED},
    }


def rounded(value: Any) -> Any:
    """Floats to four digits, all the way down."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return round(float(value), 4) if isinstance(value, float) else value


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    check_bootstraps(DRAWS["skewness 2"](rng, (1, 12)) + 0.4, rng)
    started = time.perf_counter()
    # Through JSON, so that the tables are of what the document will read.
    figures = json.loads(json.dumps(rounded(simulate(DRAWS))))
    for name, text in tables(figures).items():
        print(f"{name}\n\n{text}\n")
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if "--write" in sys.argv:
        OUT.write_text(json.dumps(figures, indent=1) + "\n")
