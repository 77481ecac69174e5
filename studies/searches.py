"""Which search finds good rates in few trials? By simulation, on the curves of reference records.

    python studies/searches.py [--draws N]

results/reference/optimizers has a bracket of rates of each of eighteen optimizers on three tasks,
and fresh seeds of each winner. Of every optimizer and task, the logarithm of the validation loss is
interpolated over that of the rate, other options as at the start; its mean where several seeds were
tried. Beyond the outermost rates the curve is taken to be its mirror image, and to be infinite
where training diverged. A trial's loss is lognormal around it, with the spread of the fresh seeds.
Every draw shifts the declared range by up to a quarter of a decade either way, so that neither
search starts where the records happen to be. The searches themselves are those of msbench.

The excess is how far the true loss at the chosen rate lies above the lowest that is known.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from tabulate import tabulate

from msbench import Record, load_plugins, read
from msbench.plan.methods import Method, bracket, halton
from msbench.plan.space import Space
from msbench.spec import Tuning

RECORDS = Path("results/reference/optimizers")
OUT = Path("results/reference/searches.json")
SHIFT = 0.25
"""Decades by which a declared range may be off."""
TASKS = ("bbc-news", "verses-lm", "numbers-fr")
LOST = 100.0
"""A validation loss beyond which training is as good as diverged."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """What is known of an optimizer on a task."""

    task: str
    optimizer: str
    space: Space
    rates: Array
    """Logarithms (base 10) of a fine grid of rates."""
    losses: Array
    """Logarithms of the true losses there; infinite where training diverges."""
    spread: float
    """Standard deviation of the logarithm of a trial's loss."""

    def at(self, rate: float) -> float:
        """Logarithm of the true loss at a rate; beyond the grid, that of its end."""
        place = np.searchsorted(self.rates, math.log10(rate)).clip(0, len(self.rates) - 1)
        return float(self.losses[place])

    @property
    def best(self) -> float:
        """Logarithm of the lowest loss that is known."""
        return float(self.losses.min())


def curves(records: Iterable[Record], spaces: Mapping[str, Space]) -> list[Curve]:
    """A curve for every optimizer and task with a search of a rate. spaces: by optimizer."""
    searched: dict[tuple[str, str], list[Record]] = defaultdict(list)
    finals: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        if record.is_trial and record.trial.get("tuned"):
            key = record.trial["task"]["name"], record.trial["optimizer"]["name"]
            if record.is_search:
                searched[key].append(record)
            else:
                finals[key].append(record.validation_loss)
    return [
        _curve(*key, _by_rate(found), finals[key], spaces[key[1]])
        for key, found in sorted(searched.items())
    ]


def _by_rate(searched: Sequence[Record]) -> Mapping[float, list[float]]:
    """The losses at every rate that was tried while all other options were as at the start."""
    points = {r.trial["tuned"]["point"]: r.trial["tuned"]["options"] for r in searched}
    first, second = points[0], points[1]  # a bracket begins with rates
    (rate,) = (name for name in first if first[name] != second[name])
    losses: dict[float, list[float]] = defaultdict(list)
    for record in searched:
        options = record.trial["tuned"]["options"]
        if {**options, rate: first[rate]} == first:
            losses[options[rate]].append(record.validation_loss)
    return losses


def _curve(
    task: str,
    optimizer: str,
    by_rate: Mapping[float, list[float]],
    finals: Sequence[float],
    space: Space,
) -> Curve:
    known = {math.log10(rate): _logs(values) for rate, values in sorted(by_rate.items())}
    means = {rate: float(np.mean(logs)) for rate, logs in known.items() if logs}
    lost = [rate for rate, logs in known.items() if not logs]
    nodes = np.array(list(means))
    grid = np.arange(nodes[0] - 2, nodes[-1] + 2, 0.01)
    mirrored = np.where(grid < nodes[0], 2 * nodes[0] - grid, grid)
    mirrored = np.where(mirrored > nodes[-1], 2 * nodes[-1] - mirrored, mirrored)
    found = PchipInterpolator(nodes, list(means.values()))(mirrored.clip(nodes[0], nodes[-1]))
    if lost:  # training diverges from halfway on
        found[grid > (nodes[-1] + min(lost)) / 2] = math.inf
    return Curve(task, optimizer, space, grid, found, float(np.std(_logs(finals), ddof=1)))


def _logs(values: Sequence[float]) -> list[float]:
    return [math.log(value) for value in values if value < LOST]


def excess(curve: Curve, method: Callable[[Space], Method], draw: np.random.Generator) -> float:
    """How far above the best known loss a search ends, as a share of it; not a number if it has no
    winner."""
    factor = 10 ** draw.uniform(-SHIFT, SHIFT)
    ((name, (low, high, scale)),) = curve.space.items()
    space = {name: (low * factor, high * factor, scale)}
    search = method(space)
    attempts = next(search)
    try:
        while True:
            true = [curve.at(each.point[name]) for each in attempts]
            noise = draw.normal(0, curve.spread, len(true))
            attempts = search.send(np.exp(true + noise).tolist())
    except StopIteration as end:
        if end.value is None:
            return math.nan
        return math.exp(curve.at(end.value.point[name]) - curve.best) - 1


def _bracket(space: Space, trials: int, **how: Any) -> Method:
    start = dict.fromkeys(space)
    return bracket(space, start, trials, **how)


def _halton(space: Space, points: int, seeds: int = 1) -> Method:
    return halton(space, Tuning(method="halton", points=points, seeds=seeds))


METHODS: dict[str, tuple[int, Callable[[Space], Method]]] = {
    "Halton, 6 points": (6, partial(_halton, points=6)),
    "Halton, 14 points": (14, partial(_halton, points=14)),
    "Halton, 7 points of 2 seeds": (14, partial(_halton, points=7, seeds=2)),
    "bracket, no seed more": (14, partial(_bracket, trials=14, again=())),
    "bracket, best 3 with 2 more seeds": (14, partial(_bracket, trials=14, again=((3, 2),))),
    "bracket, best 4, then 2, with 1 more": (14, partial(_bracket, trials=14)),
    "the same in fewer trials": (10, partial(_bracket, trials=10)),
    "best 6 with 1 more, 3 with 2, 2 with 5": (
        30,
        partial(_bracket, trials=30, again=((6, 1), (3, 2), (2, 5))),
    ),
    "best 6 with 1 more, 4 with 4, 3 with 10": (
        60,
        partial(_bracket, trials=60, again=((6, 1), (4, 4), (3, 10))),
    ),
}
"""Name -> (trials, the search)."""


def simulate(known: Sequence[Curve], draws: int) -> list[dict[str, object]]:
    """A row per method: mean excess by task, and its standard error."""
    rows = []
    for name, (trials, method) in METHODS.items():
        row: dict[str, object] = {"search": name, "trials": trials}
        for task in TASKS:
            mine = [curve for curve in known if curve.task == task]
            found = np.array(
                [
                    [excess(curve, method, np.random.default_rng([n, d])) for d in range(draws)]
                    for n, curve in enumerate(mine)
                ]
            )
            by_draw = np.nanmean(found, axis=0)
            row[task] = float(by_draw.mean())
            row[f"{task} error"] = float(by_draw.std(ddof=1) / math.sqrt(draws))
            row[f"{task} without winner"] = float(np.isnan(found).mean())
        print(row, flush=True)
        rows.append(row)
    return rows


def spreads(known: Sequence[Curve]) -> dict[str, float]:
    """By task, the median over optimizers of the spread of a trial's loss over seeds."""
    return {
        task: float(np.median([curve.spread for curve in known if curve.task == task]))
        for task in TASKS
    }


def table(figures: Mapping[str, Any]) -> str:
    """Mean excess in %, with its standard error."""
    cells = [
        {
            "search": row["search"],
            "trials": row["trials"],
            **{task: f"{100 * row[task]:.1f} ± {100 * row[f'{task} error']:.1f}" for task in TASKS},
        }
        for row in figures["rows"]
    ]
    return tabulate(cells, headers="keys", tablefmt="pipe", disable_numparse=True)


def of_suite() -> list[Curve]:
    """The curves of the reference records."""
    registry = load_plugins()
    found = {
        entry.name: entry.space or {}
        for entry in registry.of("optimizer")
        if entry.learner == "torch"
    }
    rates = {name: {"lr": space["lr"]} for name, space in found.items() if "lr" in space}
    bases = {"local-sgd": "sgd"}
    spaces = {name: rates.get(name, rates[bases.get(name, "adamw")]) for name in found}
    return curves(read(RECORDS).records, spaces)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=400)
    known, draws = of_suite(), parser.parse_args().draws
    figures = {"draws": draws, "spreads": spreads(known), "rows": simulate(known, draws)}
    OUT.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))
