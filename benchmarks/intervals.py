"""Which interval and test is right for few seeds, or for seeds and examples? By simulation.

    python benchmarks/intervals.py [--write]

Prints the tables of docs/statistics.md. --write: into results/reference/statistics.json, from
which that document is made. Seeded; some minutes on one core.

Every method gives a two-sided p-value of "the true mean is zero", and its 95 % interval holds what
it does not reject at 5 %. So coverage is measured as the share of samples whose true mean is not
rejected, and the size of the test is what is missing to 100 %. The bootstraps are written as
matrix products over samples, which scipy's `bootstrap` does one by one; `check` compares the two.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
from scipy import stats as reference  # noqa: E402
from scipy.special import ndtr, ndtri, stdtr  # noqa: E402
from tabulate import tabulate  # noqa: E402

from msbench.compare import stats  # noqa: E402
from msbench.records.record import Record  # noqa: E402
from msbench.records.store import read  # noqa: E402

ROOT = Path(__file__).parent.parent / "results/reference"
OUT = ROOT / "statistics.json"

SIZES = (3, 5, 10, 20)
"""Seeds."""

EFFECTS = (0.0, 1.0, 2.0)
"""True differences, in standard deviations of the difference over seeds."""

SAMPLES, FAMILIES, CROSSED = 10_000, 4_000, 2_000
"""Simulated comparisons, families of comparisons, and comparisons over seeds and examples."""

RESAMPLES, PIGEONHOLES = 2_000, 400

STRATEGIES = 10
"""In a family, beside the baseline that all of them are compared with."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]
Test = Callable[[Any, np.random.Generator], Any]
"""Samples (rows, seeds) -> a p-value for each effect that is added to them, (effects, rows)."""


# Differences between two strategies, of mean 0 and standard deviation 1.


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Chi-squared with 8 degrees: skewness 1."""
    return (rng.chisquare(8, shape) - 8) / 4


def very_skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Chi-squared with 2 degrees: skewness 2."""
    return (rng.chisquare(2, shape) - 2) / 2


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Student's t with 3 degrees."""
    return rng.standard_t(3, shape) / 3**0.5


def shares(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Shares right of 400 test examples: 99 % in truth, minus 97 %."""
    right, wrong = (0.99, 0.97), (0.01, 0.03)
    spread = (400 * (right[0] * wrong[0] + right[1] * wrong[1])) ** 0.5
    counts = rng.binomial(400, right[0], shape) - rng.binomial(400, right[1], shape)
    return (counts - 400 * (right[0] - right[1])) / spread


DRAWS: dict[str, Draw] = {
    "normal": normal,
    "skewness 1": skewed,
    "skewness 2": very_skewed,
    "heavy tails": heavy,
    "shares of 400": shares,
}


def resampled(pool: Any) -> Draw:
    """Draws from what was observed."""
    return lambda rng, shape: rng.choice(pool, shape)


# Methods for seeds.


def paired_t(samples: Any, rng: np.random.Generator) -> Any:
    return np.array([stats.paired_tests(samples + effect).p for effect in EFFECTS])


def bootstraps(samples: Any, rng: np.random.Generator) -> dict[str, Any]:
    """p-values of three bootstraps from the same resamples (Efron and Tibshirani, 1993)."""
    rows, n = samples.shape
    weights = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).T / n
    found: dict[str, Any] = {
        name: np.empty((len(EFFECTS), rows)) for name in ("bootstrap-t", "percentile", "BCa")
    }
    for start in range(0, rows, 1000):
        part = samples[start : start + 1000]
        here = slice(start, start + len(part))
        mean = part.mean(axis=1, keepdims=True)
        away = part - mean
        moved = away @ weights  # of the resample's mean from the sample's
        variance = np.maximum(away**2 @ weights - moved**2, 0.0)
        scale = (away**2).mean(axis=1, keepdims=True)
        variance[variance < 1e-12 * scale + 1e-300] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            pivots = np.nan_to_num(moved / np.sqrt(variance), posinf=np.inf, neginf=-np.inf)
            push = (away**3).sum(axis=1) / (6 * (away**2).sum(axis=1) ** 1.5)
            bias = _normal_score(moved, np.zeros_like(mean))
            for at, effect in enumerate(EFFECTS):
                pivot = (mean + effect) / np.sqrt(scale)
                found["bootstrap-t"][at, here] = _two_sided(pivots, pivot)
                found["percentile"][at, here] = _two_sided(moved, -(mean + effect))
                score = _normal_score(moved, -(mean + effect)) - bias
                z = score / (1 + np.nan_to_num(push) * score) - bias
                found["BCa"][at, here] = 2 * ndtr(-np.abs(z))
    return found


def _two_sided(drawn: Any, value: Any) -> Any:
    below, above = (drawn <= value).sum(axis=1), (drawn >= value).sum(axis=1)
    return np.minimum(1.0, 2 * (np.minimum(below, above) + 1) / (drawn.shape[1] + 1))


def _normal_score(drawn: Any, value: Any) -> Any:
    """Normal quantile of the share below, ties half; kept finite."""
    below = ((drawn < value).sum(axis=1) + (drawn <= value).sum(axis=1)) / 2
    count = drawn.shape[1]
    return ndtri(np.clip(below, 0.5, count - 0.5) / count)


def sign_flip(samples: Any, rng: np.random.Generator) -> Any:
    """All signs up to ten seeds, random ones above (Fisher, 1935)."""
    n = samples.shape[1]
    if n <= 10:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.vstack([np.ones(n), rng.choice([-1.0, 1.0], (RESAMPLES - 1, n))])
    found = []
    for effect in EFFECTS:
        rows = []
        for part in np.array_split(samples + effect, max(1, len(samples) // 1000)):
            size = np.abs(part.sum(axis=1, keepdims=True))
            rows.append((np.abs(part @ signs.T) >= size * (1 - 1e-9)).mean(axis=1))
        found.append(np.concatenate(rows))
    return np.array(found)


def wilcoxon(samples: Any, rng: np.random.Generator) -> Any:
    """Signed ranks (Wilcoxon, 1945), exact with ties: the sign flips of ranks."""
    found = []
    for effect in EFFECTS:
        moved = samples + effect
        ranks = np.sign(moved) * reference.rankdata(np.abs(moved), axis=1)
        found.append(sign_flip(ranks, rng)[EFFECTS.index(0.0)])
    return np.array(found)


def p_values(samples: Any, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "paired t": paired_t(samples, rng),
        **bootstraps(samples, rng),
        "sign-flip": sign_flip(samples, rng),
        "Wilcoxon": wilcoxon(samples, rng),
    }


def over_seeds(draw: Draw, rng: np.random.Generator) -> dict[str, Any]:
    """Coverage and power of every method for every number of seeds."""
    found: dict[str, Any] = {}
    for n in SIZES:
        for name, p in p_values(draw(rng, (SAMPLES, n)), rng).items():
            rejected = (p <= 0.05).mean(axis=1)
            figures = {"coverage": 1 - rejected[0], "power 1": rejected[1], "power 2": rejected[2]}
            found.setdefault(name, {})[n] = figures
    return found


def families(draw: Draw, rng: np.random.Generator) -> dict[str, Any]:
    """The share of families with any false positive after Holm.

    STRATEGIES strategies whose true mean is the baseline's, on the same seeds: their differences
    share the baseline's scores and so are correlated by a half.
    """
    found: dict[str, Any] = {}
    for n in SIZES:
        scores = draw(rng, (FAMILIES, STRATEGIES, n)) - draw(rng, (FAMILIES, 1, n))
        for name, p in p_values(scores.reshape(-1, n), rng).items():
            each = p[0].reshape(FAMILIES, STRATEGIES)
            wrong = [stats.holm(family).min() <= 0.05 for family in each]
            found.setdefault(name, {})[n] = float(np.mean(wrong))
    return found


# Methods for seeds and examples.


def crossed(shares: tuple[float, float, float], count: int) -> Callable[..., Any]:
    """Normal differences whose variance is shared out over seeds, examples and their meetings."""

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


METHODS: dict[str, str] = {
    "seeds and examples": "`paired_examples`: crossed effects, Cochran's critical value",
    "Hillis": "the same standard error with Hillis' degrees of freedom",
    "pigeonhole": "percentile bootstrap of seeds and of examples at once (Owen, 2007)",
    "seeds alone": "paired t over the seeds' means",
    "examples alone": "paired t over the examples' means",
}


def example_methods(scores: Any, added: Any, weights: tuple[Any, Any]) -> dict[str, Any]:
    """p-values of one comparison, (seeds, examples), with each of `added` added to it.

    weights: of seeds and of examples in each resample.
    """
    n, m = scores.shape
    mean, by_seed, by_example = scores.mean(), scores.mean(axis=1), scores.mean(axis=0)
    nothing = np.zeros_like(scores)
    found = {
        "seeds and examples": [stats.paired_examples(scores + a, nothing).p for a in added],
        "examples alone": stats.paired_tests(by_example + added[:, None]).p,
    }
    if n == 1:
        return found
    found["seeds alone"] = stats.paired_tests(by_seed + added[:, None]).p
    of_seeds, of_examples = m * by_seed.var(ddof=1), n * by_example.var(ddof=1)
    rest = (scores - by_seed[:, None] - by_example + mean) ** 2
    total = of_seeds + max(of_examples - rest.sum() / ((n - 1) * (m - 1)), 0.0)
    if total > 0:
        t = np.abs(mean + added) / (total / (n * m)) ** 0.5
        found["Hillis"] = 2 * stdtr((n - 1) * (total / max(of_seeds, 1e-12)) ** 2, -t)
    else:  # nothing to judge by
        found["Hillis"] = np.ones(len(added))
    seeds, examples = weights
    drawn = ((seeds @ (scores - mean)) * examples).sum(axis=1)
    found["pigeonhole"] = _two_sided(drawn[None, :], -(mean + added)[:, None])
    return found


def over_examples(draw: Callable[..., Any], rng: np.random.Generator) -> dict[str, Any]:
    """Coverage and power for new seeds and new examples, of every method and number of seeds.

    Effects are in standard deviations of the difference from seed to seed on the same examples.
    """
    spread = draw(rng, 1000, 2).mean(axis=2)
    deviation = float(np.sqrt(((spread[:, 0] - spread[:, 1]) ** 2).mean() / 2))
    added = np.array(EFFECTS) * deviation
    found: dict[str, Any] = {}
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
                for name, values in example_methods(scores, added, weights).items():
                    p.setdefault(name, []).append(values)
        for name, rows in p.items():
            rejected = (np.array(rows) <= 0.05).mean(axis=0)
            figures = {"coverage": 1 - rejected[0], "power 1": rejected[1], "power 2": rejected[2]}
            found.setdefault(name, {})[n] = figures
    return found


# The repository's own records.


def finals(suite: str) -> Iterator[Record]:
    for record in read(ROOT / suite).records:
        if record.is_trial and not record.is_search and record.status == "ok":
            yield record


def observed(suite: str) -> dict[str, list[tuple[Any, Any]]]:
    """Of each task's main metric, the difference of every strategy to the suite's first.

    By seed, (seeds,), and by seed and example, (seeds, examples), or None where the metric is not
    of single examples. The first decoder alone; strategies without all seeds are left out.
    """
    scores: dict[str, dict[str, dict[int, tuple[float, Any]]]] = {}
    for record in finals(suite):
        metric, decoded = record.results["task"]["metric"], record.results["decoding"][0]
        parts = [record.job[axis] for axis in ("task", "model", "loss", "optimizer", "schedule")]
        name = json.dumps(parts, sort_keys=True)
        task = f"{suite}, {record.job['task']['name']}, {metric}"
        one = decoded["metrics"][metric], decoded["examples"].get(metric)
        scores.setdefault(task, {}).setdefault(name, {})[record.job["seed"]] = one
    found: dict[str, list[tuple[Any, Any]]] = {}
    for task, strategies in scores.items():
        base = next(iter(strategies.values()))
        for mine in list(strategies.values())[1:]:
            if mine.keys() != base.keys():
                continue
            by_seed = np.array([mine[seed][0] - base[seed][0] for seed in base])
            if all(mine[seed][1] for seed in base):
                sides = ([side[seed][1] for seed in base] for side in (mine, base))
                one, two = (np.array(side, dtype=float) for side in sides)
                found.setdefault(task, []).append((by_seed, one - two))
            else:
                found.setdefault(task, []).append((by_seed, None))
    return found


def pools(differences: Mapping[str, list[tuple[Any, Any]]]) -> dict[str, Any]:
    """Pools of observed deviations from a strategy's mean difference.

    "records": every strategy's own spread is kept, of each task to one scale; a mixture with heavy
    tails. "records, one spread": each strategy is brought to the same spread, which cuts the tails.
    """
    mixed, even = [], []
    for strategies in differences.values():
        rows = [row for row, _ in strategies if row.std() > 0]
        away = [(row - row.mean()) * (len(row) / (len(row) - 1)) ** 0.5 for row in rows]
        task = np.concatenate(away)
        mixed.append(task / task.std())
        even.extend(row / row.std() for row in away)
    known = {"records": np.concatenate(mixed), "records, one spread": np.concatenate(even)}
    return {name: (pool - pool.mean()) / pool.std() for name, pool in known.items()}


def components(differences: list[tuple[Any, Any]]) -> dict[str, Any]:
    """How the variance of single scores' differences is shared out, averaged over strategies."""
    found = []
    for _, scores in differences:
        if scores is None or np.isnan(scores).any() or not scores.any():
            continue
        n, m = scores.shape
        by_seed, by_example = scores.mean(axis=1), scores.mean(axis=0)
        rest = (scores - by_seed[:, None] - by_example + scores.mean()) ** 2
        rest = rest.sum() / ((n - 1) * (m - 1))
        of_seeds, of_examples = by_seed.var(ddof=1) - rest / m, by_example.var(ddof=1) - rest / n
        found.append((of_seeds, of_examples, rest))
    if not found:
        return {}
    mean = np.maximum(np.mean(found, axis=0), 0.0)
    shares = (mean / mean.sum()).tolist()
    return {"shares": shares, "seeds": n, "examples": m, "comparisons": len(found)}


def looks_normal(differences: Mapping[str, list[tuple[Any, Any]]]) -> dict[str, Any]:
    """How often Shapiro and Wilk reject, at 5 %, that a strategy's differences are normal."""
    rows = [row for each in differences.values() for row, _ in each if row.std() > 0]
    rejected = [reference.shapiro(row).pvalue <= 0.05 for row in rows]
    return {"comparisons": len(rows), "rejected": float(np.mean(rejected))}


# Ranks and profiles.


def ranks(rng: np.random.Generator) -> list[dict[str, Any]]:
    """False positives of Friedman's test at 5 %, and the critical difference of ranks."""
    rows = []
    for strategies in (5, 10):
        for blocks in (3, 5, 10, 20):
            p = [
                stats.friedman(rng.standard_normal((blocks, strategies)))[1] for _ in range(CROSSED)
            ]
            cd = stats.critical_difference(strategies, blocks)
            size = float(np.mean(np.array(p) <= 0.05))
            rows.append({"strategies": strategies, "blocks": blocks, "size": size, "cd": cd})
    return rows


def profiles() -> list[dict[str, Any]]:
    """Exact coverage of 95 % bands, at one tau, of a strategy that solves a share of all problems.

    A percentile bootstrap of shares has the quantiles of a binomial distribution.
    """
    rows = []
    for problems in (5, 10, 20, 50):
        counts = np.arange(problems + 1)
        bands = {
            "exact": np.array(
                [
                    stats.profile_band(np.where(np.arange(problems) < count, 1.0, np.inf), [1.0])
                    for count in counts
                ]
            )[:, :, 0].T,
            "bootstrap": reference.binom.ppf([[0.025], [0.975]], problems, counts / problems)
            / problems,
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
    found = {}
    for n in (2, 3, 4, 5, 6, 8, 10, 15, 20, 30):
        row = np.arange(n) / np.arange(n).std(ddof=1)
        found[n] = float(stats.paired_tests(row[None, :]).detectable[0])
    return found


def check() -> None:
    """The matrix products are scipy's bootstrap, up to the randomness of resampling."""
    rng = np.random.default_rng(1)
    sample = very_skewed(rng, (1, 12)) + 0.4
    found = bootstraps(sample, rng)
    for method in ("percentile", "BCa"):
        p = float(found[method][0, 0])
        interval = reference.bootstrap(
            sample, np.mean, confidence_level=1 - p, n_resamples=20_000, method=method, rng=2
        ).confidence_interval
        assert min(abs(interval.low), abs(interval.high)) < 0.05, (method, p, interval)


def simulate(samples: Mapping[str, Draw], seed: int = 0) -> dict[str, Any]:
    """All figures of docs/statistics.md."""
    quick, optimizers = observed("quick"), observed("optimizers")
    differences = {**quick, **optimizers}
    pooled = pools(differences)
    draws = {**samples, **{name: resampled(pool) for name, pool in pooled.items()}}
    known = {task: components(each) for task, each in differences.items()}
    known.update({task: components(each) for task, each in observed("reinforcement").items()})
    known = {task: each for task, each in known.items() if each}
    crosses: dict[str, Callable[..., Any]] = {
        task: crossed(tuple(each["shares"]), min(each["examples"], 600))
        for task, each in known.items()
        if not task.startswith("quick") or "headlines" in task
    }
    crosses["right or wrong"] = right_or_wrong(206)
    found: dict[str, Any] = {"shapes": {}, "seeds": {}, "families": {}, "examples": {}}
    for at, (name, draw) in enumerate(draws.items()):
        rng = np.random.default_rng([seed, 0, at])
        many = pooled[name] if name in pooled else draw(rng, (1_000_000,))
        # Of heavy tails these do not exist, and a sample's say nothing.
        moments = reference.skew(many), reference.kurtosis(many)
        found["shapes"][name] = dict(
            zip(("skewness", "kurtosis"), map(float, moments), strict=True)
        )
        found["seeds"][name] = over_seeds(draw, rng)
    for at, name in enumerate(("normal", "skewness 2", "heavy tails", "records")):
        rng = np.random.default_rng([seed, 1, at])
        found["families"][name] = families(draws[name], rng)
    for at, (name, cross) in enumerate(crosses.items()):
        found["examples"][name] = over_examples(cross, np.random.default_rng([seed, 2, at]))
    return {
        **found,
        "components": known,
        "normality": looks_normal(differences),
        "ranks": ranks(np.random.default_rng([seed, 3])),
        "profiles": profiles(),
        "detectable": detectable(),
        "runs": {"samples": SAMPLES, "families": FAMILIES, "crossed": CROSSED},
    }


def _rounded(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _rounded(each) for name, each in found.items()}
    if isinstance(found, list | tuple):
        return [_rounded(each) for each in found]
    return round(float(found), 4) if isinstance(found, float) else found


# Tables.


def table(rows: Any, headers: Any) -> str:
    return str(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def coverage_table(found: Mapping[str, Any], methods: Iterable[str]) -> str:
    """Coverage of the 95 % interval in %, at 3 / 5 / 10 / 20 seeds."""
    methods = list(methods)
    rows = [
        [draw, *(_by_size(each[m], "coverage") for m in methods)] for draw, each in found.items()
    ]
    return table(rows, ["differences", *methods])


def power_table(found: Mapping[str, Any], methods: Iterable[str]) -> str:
    """Power of the test at 5 % in %, at 3 / 5 / 10 / 20 seeds."""
    methods = list(methods)
    rows = []
    for draw, each in found.items():
        for effect in ("1", "2"):
            powers = (_by_size(each[method], f"power {effect}") for method in methods)
            rows.append([draw, f"{effect} SD", *powers])
    return table(rows, ["differences", "effect", *methods])


def family_table(found: Mapping[str, Any]) -> str:
    methods = list(next(iter(found.values())))
    rows = [
        [draw, *(" / ".join(_percent(each[m][str(n)]) for n in SIZES) for m in methods)]
        for draw, each in found.items()
    ]
    return table(rows, ["scores", *methods])


def _by_size(figures: Mapping[str, Any], name: str) -> str:
    return " / ".join(_percent(figures[str(n)][name]) for n in SIZES)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def tables(known: Mapping[str, Any]) -> dict[str, str]:
    """The tables of docs/statistics.md from what --write left, by name."""
    seeds, examples = known["seeds"], known["examples"]
    shapes = [
        [name, f"{each['skewness']:.1f}", f"{each['kurtosis']:.1f}"]
        for name, each in known["shapes"].items()
        if name != "heavy tails"
    ]
    few = {name: seeds[name] for name in ("normal", "skewness 2", "records")}
    shares = [
        [task, each["comparisons"], each["seeds"], each["examples"], *map(_percent, each["shares"])]
        for task, each in known["components"].items()
    ]
    one = [
        [task, _percent(each["seeds and examples"]["1"]["coverage"])]
        for task, each in examples.items()
    ]
    friedman = [
        [row["strategies"], row["blocks"], _percent(row["size"]), f"{row['cd']:.1f}"]
        for row in known["ranks"]
    ]
    bands = [
        [
            row["problems"],
            _percent(row["share"]),
            _percent(row["exact"]),
            _percent(row["bootstrap"]),
        ]
        for row in known["profiles"]
    ]
    needed = known["detectable"]
    return {
        "shapes": table(shapes, ["differences", "skewness", "excess kurtosis"]),
        "coverage": coverage_table(seeds, next(iter(seeds.values()))),
        "power": power_table(few, next(iter(seeds.values()))),
        "families": family_table(known["families"]),
        "components": table(
            shares,
            [
                "task",
                "comparisons",
                "seeds",
                "examples",
                "% seed",
                "% example",
                "% both and chance",
            ],
        ),
        "coverage of examples": coverage_table(examples, METHODS),
        "power of examples": power_table(examples, METHODS),
        "one seed": table(one, ["differences", "coverage with one seed"]),
        "detectable": table(
            [["SDs", *(f"{value:.2f}" for value in needed.values())]], ["seeds", *needed]
        ),
        "ranks": table(
            friedman, ["strategies", "blocks", "false positives", "critical difference"]
        ),
        "profiles": table(bands, ["problems", "% solved", "exact", "bootstrap"]),
    }


if __name__ == "__main__":
    check()
    started = time.perf_counter()
    # Through JSON, so that the tables are of what the document will read.
    known = json.loads(json.dumps(_rounded(simulate(DRAWS))))
    for name, text in tables(known).items():
        print(f"{name}\n\n{text}\n")
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if "--write" in sys.argv:
        OUT.write_text(json.dumps(known, indent=1) + "\n")
