"""Seeds added until there is a verdict: how often is it wrong, and how many passes are saved?

    python studies/sequential.py [--write]

Prints the tables of docs/statistics.md, "Until there is a verdict". --write: to
results/reference/sequential.json, from which that document is made. Seeded; some minutes on one
core. Scores are drawn as in studies/verdicts.py; what is run on them is msbench's own code.
"""

import json
import sys
import time
from functools import cache, lru_cache, partial
from typing import Any
from unittest import mock

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np
from interval_records import finals
from intervals import rounded
from sequential_tables import OUT, tables
from verdict_draws import DRAWS, SUITES, Draw, like, observed, spread_like

from msbench.compare import spending
from msbench.compare.judge import Judged, judge
from msbench.compare.looks import HOPELESS, Looks, look, until
from msbench.compare.stats import ALPHA, paired_tests
from msbench.spec import FIRST_LOOK

SAMPLES = 200
"""Simulated runs of a suite, for what they cost."""

MOST = 12
"""Seeds, unless a table says otherwise."""

FAMILIES, STRATEGIES = 1_000, 4
"""Simulated tasks, and strategies beside the baseline, as in `quick`."""

SIZES = (0.5, 1.0, 1.5, 2.0, 3.0)
"""True differences, in standard deviations of a difference over seeds."""


def stopped(
    scores: Any, most: int, margin: float, relative: bool = False, hopeless: float = HOPELESS
) -> tuple[Looks, Judged]:
    """(where each comparison stopped, the verdicts) of scores (samples, 1 + strategies, most).

    relative: the margin is a share of the baseline's mean.
    """
    differences = (scores[:, 1:] - scores[:, :1]).reshape(-1, most)
    base = np.repeat(scores[:, 0], scores.shape[1] - 1, axis=0)
    families = np.repeat(np.arange(len(scores)), scores.shape[1] - 1).tolist()

    def margins(seeds: Any) -> Any:
        with np.errstate(invalid="ignore"):
            means = np.nansum(until(base, seeds), axis=1) / seeds
        return margin * np.abs(means) if relative else np.full(len(base), margin)

    ran = np.ones(differences.shape, dtype=bool)
    looks = look(differences, ran, families, margins, False, most, hopeless=hopeless)
    shown = until(differences, looks.seeds)
    return looks, judge(shown, families, margins(looks.seeds), False, max_seeds=most)


def false_tasks(judged: Judged, adjusted: Any, strategies: int = STRATEGIES) -> float:
    """The share of tasks in which any p of these is at most 5 %."""
    return float((adjusted <= ALPHA).reshape(-1, strategies).any(axis=1).mean())


def naive(scores: Any, most: int) -> float:
    """The share of tasks with a false verdict if a usual test follows each seed, and the first that
    is significant counts."""
    differences = (scores[:, 1:] - scores[:, :1]).reshape(-1, most)
    families = np.repeat(np.arange(len(scores)), STRATEGIES).tolist()
    wrong = np.zeros(len(differences), dtype=bool)
    for n in range(FIRST_LOOK, most + 1):
        wrong |= judge(differences[:, :n], families, np.nan, False).p_adjusted <= ALPHA
    return float(wrong.reshape(-1, STRATEGIES).any(axis=1).mean())


def errors(draw: Draw, rng: np.random.Generator) -> dict[str, Any]:
    """Of tasks without any true difference: the share with a false one, in percent of tasks."""
    figures: dict[str, Any] = {}
    scores = draw(rng, (FAMILIES, STRATEGIES + 1, MOST))
    for name, hopeless in (("sequential", HOPELESS), ("never futile", 0.0)):
        judged = stopped(scores, MOST, np.nan, hopeless=hopeless)[1]
        figures[name] = false_tasks(judged, judged.p_adjusted)
    families = np.repeat(np.arange(FAMILIES), STRATEGIES).tolist()
    differences = (scores[:, 1:] - scores[:, :1]).reshape(-1, MOST)
    fixed = judge(differences, families, np.nan, False)
    figures["12 seeds at once"] = false_tasks(fixed, fixed.p_adjusted)
    figures["usual test after each"] = naive(scores, MOST)
    return figures


def mixed(rng: np.random.Generator) -> dict[str, Any]:
    """Tasks in which half of the strategies differ by so many standard deviations: the share with a
    false difference among the others; and, with all true differences at the margin, the share with
    a false equivalence."""
    figures: dict[str, Any] = {}
    scores = rng.standard_normal((FAMILIES, STRATEGIES + 1, MOST)) / 2**0.5
    for size in SIZES:
        shifted = scores.copy()
        shifted[:, 1 : 1 + STRATEGIES // 2] += size
        judged = stopped(shifted, MOST, np.nan)[1]
        others = judged.p_adjusted.reshape(-1, STRATEGIES)[:, STRATEGIES // 2 :]
        figures[f"{size:g} SD"] = float((others <= ALPHA).any(axis=1).mean())
    for size in SIZES:
        shifted = scores.copy()
        shifted[:, 1:] += size
        judged = stopped(shifted, MOST, size)[1]
        figures[f"margin {size:g} SD"] = false_tasks(judged, judged.equivalence_p)
    return figures


@cache
def about(suite: str) -> dict[str, tuple[float, bool]]:
    """By task, the margin of its metric, and whether it is a share of the baseline's mean."""
    found = {}
    for record in finals(suite):
        task = record.results["task"]
        facts = task["metrics"][task["metric"]]
        margin = facts["margin"] if facts["margin"] is not None else np.nan
        found[f"{suite}, {record.job['task']['name']}"] = margin, facts["relative"]
    return found


def drawn(suite: str, rng: np.random.Generator, most: int) -> dict[str, Any]:
    """By task, scores as if the means, spreads and correlations of the records were true."""
    return {
        task: like(scores[:, 0], rng, SAMPLES, most, means=True)
        for task, scores in observed(suite).items()
    }


def costs(suite: str, tasks: dict[str, Any], most: int, hopeless: float) -> dict[str, Any]:
    """What runs until a verdict take and find, beside fixed numbers of seeds that find as much.

    Shares are of strategies. Passes are counted in trials, which have equally many within a task;
    the baseline's trials count.
    """
    taken = fixed_cost = 0.0
    words: list[str] = []
    by_fixed: dict[int, list[bool]] = {n: [] for n in range(FIRST_LOOK, most + 1)}
    reasons: list[str] = []
    seeds: list[int] = []
    for task, scores in tasks.items():
        samples, rows, _ = scores.shape
        margin, relative = about(suite)[task]
        looks, judged = stopped(scores, most, margin, relative, hopeless)
        by_task = looks.seeds.reshape(samples, rows - 1)
        taken += float((by_task.sum(axis=1) + by_task.max(axis=1)).mean())
        fixed_cost += rows
        words += judged.verdicts
        open_ = [verdict == "undecided" for verdict in judged.verdicts]
        reasons += [w if o else "decided" for w, o in zip(looks.why, open_, strict=True)]
        seeds += looks.seeds.tolist()
        differences = (scores[:, 1:] - scores[:, :1]).reshape(-1, most)
        families = np.repeat(np.arange(samples), rows - 1).tolist()
        for n, decided in by_fixed.items():
            means = np.repeat(scores[:, 0, :n].mean(axis=1), rows - 1)
            size = margin * np.abs(means) if relative else margin
            found = judge(differences[:, :n], families, size, False).verdicts
            decided += [verdict != "undecided" for verdict in found]
    power = float(np.mean([word != "undecided" for word in words]))
    sizes = list(by_fixed)
    curve = [float(np.mean(by_fixed[n])) for n in sizes]
    equal = float(np.interp(power, np.maximum.accumulate(curve), sizes))
    return {
        "decided": power,
        "fixed": dict(zip(map(str, sizes), curve, strict=True)),
        "equal": equal,
        "trials": taken / fixed_cost,
        "saved": 1 - taken / (fixed_cost * equal),
        "seeds": float(np.mean(seeds)),
        **{why: reasons.count(why) / len(reasons) for why in ("futile", "limit")},
    }


def rules(suite: str) -> dict[str, Any]:
    """The costs under other ceilings, hopes and ways of spending."""
    figures = {}
    for most in (8, MOST, 16):
        tasks = drawn(suite, np.random.default_rng([3]), most)
        figures[f"at most {most} seeds"] = costs(suite, tasks, most, HOPELESS)
    tasks = drawn(suite, np.random.default_rng([3]), MOST)
    for hopeless in (0.0, 0.05, 0.2, 0.3):
        name = f"futile below {hopeless:.0%}" if hopeless else "never futile"
        figures[name] = costs(suite, tasks, MOST, hopeless)
    for power in (1.0, 1.5, 3.0):
        with mock.patch.object(spending, "_table", spending_table(power)):
            figures[f"spent as (n/12)^{power:g}"] = costs(suite, tasks, MOST, HOPELESS)
    return figures


def spending_table(power: float) -> Any:
    """The table of levels for another way of spending."""
    level = partial(spending.levels, power=power)
    return lru_cache(lambda most: np.array([level(float(a), most) for a in spending.ALPHAS]))


def estimates(rng: np.random.Generator) -> dict[str, Any]:
    """Of one strategy, by its true difference: how often it is shown, by how many seeds, by what
    factor the mean of the stopped estimates exceeds the truth, and the coverage of 95 % intervals;
    beside those of 12 seeds at once."""
    figures: dict[str, Any] = {}
    for size in (0.0, *SIZES):
        values = rng.standard_normal((2 * FAMILIES, 2, MOST)) / 2**0.5
        values[:, 1] += size
        looks, judged = stopped(values, MOST, np.nan)
        shown = judged.p_adjusted <= ALPHA
        tests = judged.tests
        fixed = paired_tests(values[:, 1] - values[:, 0])
        figures[f"{size:g}"] = {
            "shown": float(shown.mean()),
            "seeds": float(looks.seeds.mean()),
            "estimate": float(tests.difference[shown].mean()) if size else None,
            "all": float(tests.difference.mean()),
            "coverage": float(((tests.low <= size) & (size <= tests.high)).mean()),
            "fixed shown": float((fixed.p <= ALPHA).mean()),
        }
    return figures


def simulate() -> dict[str, Any]:
    """All figures."""
    draws = {**DRAWS, **{f"spreads of {suite}": spread_like(suite) for suite in SUITES}}
    return {
        "levels": {
            f"{alpha:.3g}": spending.levels(alpha, MOST)[FIRST_LOOK:].tolist()
            for alpha in (ALPHA, ALPHA / 4, ALPHA / 17)
        },
        "errors": {
            name: errors(draw, np.random.default_rng([0, at]))
            for at, (name, draw) in enumerate(draws.items())
        },
        "mixed": mixed(np.random.default_rng([1])),
        "estimates": estimates(np.random.default_rng([2])),
        "rules": {suite: rules(suite) for suite in SUITES},
    }


if __name__ == "__main__":
    started = time.perf_counter()
    figures = rounded(json.loads(json.dumps(simulate(), default=float)))
    for name, text in tables(figures).items():
        print(f"{name}\n\n{text}\n")
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if "--write" in sys.argv:
        OUT.write_text(json.dumps(figures, separators=(",", ":")) + "\n")
