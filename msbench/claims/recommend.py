"""Records -> which strategy to use at a budget, how sure that is, and what to try next."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msbench.claims.pairs import Axes, Trials, strategies
from msbench.claims.results import Recommendation, Row
from msbench.compare.columns import Ledger, checked, collect, newest_winners
from msbench.compare.curves import NEAR, Curves
from msbench.compare.labels import Labels, machine_names
from msbench.compare.stats import holm, mean_intervals, paired_tests, seeds_needed
from msbench.compare.verdicts import LEVEL, Scored, scored
from msbench.errors import MsbenchError, did_you_mean
from msbench.records.record import Record
from msbench.spec import AXES

UNITS = {"passes": "passes", "steps": "steps", "s": "seconds", "flops": "flops"}
"""How budgets are written, and the unit that is meant."""


FALLING = 0.01
"""A validation loss that fell by a larger share between its last two points is still falling."""


Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Candidate:
    """A strategy, and what it gave by seed within the budget."""

    cell: Row
    values: Array
    """NaN where a trial did not end ok or nothing was measured so early."""
    spent: float
    """What that took, in the unit of the budget, on average."""
    trials: Trials


def budget(text: str) -> tuple[str, float]:
    """`"500passes"` -> `("passes", 500.0)`; MsbenchError says how it is written."""
    found = re.fullmatch(r"\s*(.+?)\s*(passes|steps|s|flops)\s*", text)
    try:
        amount = float(found[1]) if found else math.nan
    except ValueError:
        amount = math.nan
    if found is None or not 0 < amount < math.inf:
        raise MsbenchError(
            f"a budget is an amount and its unit, such as 500passes, 200steps, 60s or 1e12flops, "
            f"not {text!r}"
        )
    return UNITS[found[2]], amount


def recommend(
    records: Iterable[Record], unit: str, amount: float, *, task: str = "", metric: str = ""
) -> Recommendation:
    """The strategies of every task, best first, by what they gave within `amount` of `unit`.

    Where all trials of a task fit into the budget it is the test metric at their end. Else it is
    the validation loss at the budget, for all of them. Seconds are compared within a machine.
    task: this one alone. metric: instead of the task's own. Raises MsbenchError where there are
    no trials, or no such task or metric.
    """
    ledger = checked(collect(records, metric), metric)
    labels = Labels([*ledger.groups, *ledger.searches])
    ledger, left = newest_winners(ledger, labels)
    names, differing = machine_names(ledger.machines)
    every = strategies(ledger, labels)
    tasks = sorted({axes[0] for axes in every})
    chosen = [name for name in tasks if not task or task in (name, name.partition(" (")[0])]
    if not chosen:
        raise MsbenchError(f"no task {task!r} in these results{did_you_mean(task, tasks)}")
    scores, curves = scored(ledger, labels, metric), Curves(ledger)
    rows: list[Row] = []
    choices: list[Row] = []
    notes: list[str] = []
    for name in chosen:
        of_task = {axes: trials for axes, trials in every.items() if axes[0] == name}
        for machine, mine in _machines(ledger, of_task, names, unit):
            for what, better, group in _evidence(ledger, scores, curves, mine, unit, amount):
                about = {"task": name, "machine": machine, "quantity": what, "better": better}
                found, choice = _ranked(ledger, curves, group, about)
                rows += found
                choices += choice
                if not choice:
                    notes.append(f"{name}: {_nothing(ledger, curves, mine, unit, amount)}")
    return Recommendation(rows, choices, unit, amount, [*notes, *left, *differing])


def _machines(
    ledger: Ledger, of_task: Mapping[Axes, Trials], names: Sequence[str], unit: str
) -> Iterator[tuple[str, Mapping[Axes, Trials]]]:
    """All trials of a task; where seconds count, those of each machine for themselves."""
    if unit != "seconds" or len(names) < 2:
        yield "", of_task
        return
    for number, name in enumerate(names):
        here = {
            axes: np.where((trials >= 0) & (ledger.trials["machine"][trials] == number), trials, -1)
            for axes, trials in of_task.items()
        }
        kept = {axes: trials for axes, trials in here.items() if (trials >= 0).any()}
        if kept:
            yield name, kept


def _evidence(
    ledger: Ledger,
    scores: Scored,
    curves: Curves,
    of_task: Mapping[Axes, Trials],
    unit: str,
    amount: float,
) -> Iterator[tuple[str, str, list[_Candidate]]]:
    """(quantity, which is better, candidates): the test metric if all fit, else losses by kind."""
    ends = {axes: _ends(ledger, curves, trials, unit) for axes, trials in of_task.items()}
    fit = all(not (end > amount * (1 + NEAR)).any() for end in ends.values())
    cells = [n for n, c in enumerate(scores.cells) if c["main"] and _axes(c) in of_task]
    measured = any(not np.isnan(scores.values[n]).all() for n in cells)
    known = any(not np.isnan(end).all() for end in ends.values())
    if fit and known and measured:
        group = []
        for number in cells:
            cell, trials = scores.cells[number], of_task[_axes(scores.cells[number])]
            values = np.where(trials >= 0, scores.values[number], np.nan)
            spent_on_average = _mean(ends[_axes(cell)])
            group.append(_Candidate(dict(cell), values, spent_on_average, trials))
        metric = scores.cells[cells[0]]
        yield f"test {metric['metric']}", _better(metric["lower_is_better"]), group
        return
    losses: dict[str, list[_Candidate]] = {}
    for axes, trials in of_task.items():
        values, spent = (np.full(len(trials), np.nan) for _ in range(2))
        for seed in np.flatnonzero((trials >= 0) & ledger.ok[trials]).tolist():
            curve = curves.of(int(trials[seed]), unit)
            spent[seed] = min(amount, curve.end)
            values[seed] = curve.at(spent[seed])
        about: Row = {**dict(zip(map(str, AXES), axes, strict=True)), "decoder": ""}
        losses.setdefault(about["loss"], []).append(_Candidate(about, values, _mean(spent), trials))
    for group in losses.values():
        yield "validation loss", "lower", group


def _ranked(
    ledger: Ledger, curves: Curves, group: Sequence[_Candidate], about: Row
) -> tuple[list[Row], list[Row]]:
    """(a row per candidate, best first; the choice, or nothing without evidence).

    The best is chosen by these very numbers, so Holm's family is all pairs, not only its own.
    """
    sign = 1.0 if about["better"] == "higher" else -1.0
    values = np.array([each.values for each in group])
    mean, low, high, n_ok = mean_intervals(values, LEVEL)
    n = np.array([(each.trials >= 0).sum() for each in group])
    worth = np.where(np.isnan(mean), -np.inf, sign * mean)
    order = sorted(range(len(group)), key=lambda i: (n_ok[i] < n[i], -worth[i], str(group[i].cell)))
    order = [i for i in order if n_ok[i]] + [i for i in order if not n_ok[i]]
    first = order[0]
    if not n_ok[first]:
        return [], []
    pairs = list(combinations(range(len(group)), 2))
    adjusted = np.full((len(group), len(group)), np.nan)
    if pairs:
        one, two = np.array(pairs).T
        adjusted[one, two] = holm(paired_tests(values[one] - values[two]).p)
        adjusted[two, one] = adjusted[one, two]
    tests = paired_tests(values - values[first])
    rows = []
    for place, i in enumerate(order):
        worst = int(np.nanargmin(sign * group[i].values)) if n_ok[i] else 0
        p = float(adjusted[first, i])
        rows.append(
            {
                **about,
                **{key: group[i].cell[key] for key in (*AXES, "decoder")},
                "rank": place + 1,
                "mean": float(mean[i]),
                "low": float(low[i]),
                "high": float(high[i]),
                "worst": float(group[i].values[worst]),
                "worst_seed": ledger.seeds[worst] if n_ok[i] else None,
                "n": int(n[i]),
                "n_ok": int(n_ok[i]),
                "spent": group[i].spent,
                "difference": float(tests.difference[i]),
                "difference_low": float(tests.low[i]),
                "difference_high": float(tests.high[i]),
                "p_adjusted": p,
                "verdict": "best" if i == first else _verdict(p, sign * tests.difference[i]),
            }
        )
    two = order[1] if len(order) > 1 and n_ok[order[1]] else None
    shown = two is not None and rows[1]["verdict"] == "worse"
    needed = math.nan
    if two is not None:
        apart = (values[first] - values[two]).tolist()
        # What was not shown by so many seeds is not promised of as few.
        needed = max(seeds_needed(apart, tests=len(pairs)), float(tests.n[two] + 1))
    finalists = [i for i in (first, two) if i is not None]
    choice = {
        **about,
        "best": rows[0],
        "runner_up": None if two is None else rows[1],
        "shown": shown,
        "alike": sum(row["verdict"] == "not shown" for row in rows),
        "seeds_needed": needed,
        "edges": {_place(rows, i, order): e for i in finalists if (e := _edges(ledger, group[i]))},
        "falling": _falling(ledger, curves, group[first]),
    }
    return rows, [choice]


def _verdict(p: float, better: float) -> str:
    return "worse" if p <= 1 - LEVEL and better < 0 else "not shown"


def _place(rows: Sequence[Row], i: int, order: Sequence[int]) -> str:
    return str(rows[order.index(i)]["optimizer"])


def _edges(ledger: Ledger, candidate: _Candidate) -> list[str]:
    """Options at the edge of what was searched."""
    tuned: Mapping[str, Any] = ledger.tuned.get(int(candidate.trials.max())) or {}
    return list(tuned.get("edge", ()))


def _falling(ledger: Ledger, curves: Curves, candidate: _Candidate) -> bool:
    """Whether most of its validation losses fell to the very end of their trials."""
    there = candidate.trials[candidate.trials >= 0]
    ends = [curves.of(int(trial), "passes").loss[-2:] for trial in there[ledger.ok[there]]]
    fell = [end[1] < end[0] * (1 - FALLING) for end in ends if len(end) == 2]
    return bool(sum(fell) > len(fell) / 2)


def _nothing(
    ledger: Ledger, curves: Curves, of_task: Mapping[Axes, Trials], unit: str, amount: float
) -> str:
    """Why there is no evidence, in a sentence."""
    ran = [int(t) for trials in of_task.values() for t in trials[trials >= 0]]
    ok = [trial for trial in ran if ledger.ok[trial]]
    firsts = [c.spent[0] for t in ok if (c := curves.of(t, unit)).spent.size]
    if not ok:
        return f"no evidence, since none of {len(ran)} trials ended ok"
    if not firsts or all(math.isnan(first) for first in firsts):
        return f"no evidence, since its records do not say what was measured at how many {unit}"
    return (
        f"no evidence at {amount:g} {unit}: the earliest that was measured is at "
        f"{min(firsts):.4g} {unit}"
    )


def _ends(ledger: Ledger, curves: Curves, trials: Trials, unit: str) -> Array:
    """Per seed, what a trial had spent in the end; NaN where none ended ok."""
    return np.where((trials >= 0) & ledger.ok[trials], curves.ends(unit)[trials], np.nan)


def _axes(cell: Mapping[str, Any]) -> Axes:
    return tuple(cell[axis] for axis in AXES)


def _better(lower: bool) -> str:
    return "lower" if lower else "higher"


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
