"""Across tasks: average ranks that can be told apart, and performance profiles."""

import math
from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from msbench.compare.columns import Columns, Trained
from msbench.compare.rows import AccuracyRow, Bases, ProfileRow, RankRow, compared, is_baseline
from msbench.compare.stats import (
    critical_difference,
    friedman,
    groups,
    performance_profile,
    profile_band,
)
from msbench.spec import AXES, COLUMNS, Compared

TAUS = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Multiples of the baseline's cost at which profiles are shown."""


def rank_rows(accuracy: Sequence[AccuracyRow], by: Compared) -> tuple[list[RankRow], list[str]]:
    """(a row per strategy that ran on every task of the baseline, best first; notes).

    A task is one block however many models or decoders it has: its main metric, averaged over
    those that all of the ranked ran with. Strategies with trials that did not end ok rank last
    there. None for fewer than two tasks or three strategies. Strategies of one letter in `group`
    are not told apart (Nemenyi, 5 %).
    """
    main = [row for row in accuracy if row["main"]]
    tasks = sorted({row["task"] for row in main if row["baseline"]})
    axes = [axis for axis in COLUMNS if axis != by]
    found: dict[tuple[str, str], dict[tuple[str, ...], float]] = {}
    for row in main:
        whole = row["n_ok"] == row["n"] and not math.isnan(row["mean"])
        worth = -row["mean"] if row["lower_is_better"] else row["mean"]
        around = tuple(row[axis] for axis in axes)
        found.setdefault((row["task"], row[by]), {})[around] = worth if whole else -math.inf
    names = sorted({name for task, name in found if task in tasks})
    full = [name for name in names if all((task, name) in found for task in tasks)]
    if len(tasks) < 2 or len(full) < 3:
        return [], []
    left = [name for name in names if name not in full]
    notes = [f"not ranked, since not run on every task: {', '.join(left)}"] if left else []
    shared = [set.intersection(*({*found[task, name]} for name in full)) for task in tasks]
    if not all(shared):
        return [], [*notes, "not ranked, since strategies share no model and decoder on every task"]
    scores = np.array(
        [
            [np.mean([found[task, name][around] for around in sorted(of_task)]) for name in full]
            for task, of_task in zip(tasks, shared, strict=True)
        ]
    )
    statistic, p, ranks = friedman(scores)
    distance = critical_difference(len(full), len(tasks))
    letters = _letters(groups(ranks, distance), len(full))
    rows: list[RankRow] = [
        {
            "strategy": name,
            "average_rank": float(ranks[i]),
            "group": letters[i],
            "tasks": len(tasks),
            "friedman": statistic,
            "p": p,
            "critical_difference": distance,
        }
        for i, name in enumerate(full)
    ]
    return sorted(rows, key=lambda row: (row["average_rank"], row["strategy"])), notes


def _letters(found: Sequence[Sequence[int]], size: int) -> list[str]:
    """Per strategy the letters of the groups that it is in: a, b, ..., z, a2, ..."""
    letters = [""] * size
    for number, group in enumerate(found):
        turn, letter = divmod(number, len(ascii_lowercase))
        for place in group:
            letters[place] += ascii_lowercase[letter] + (str(turn + 1) if turn else "")
    return letters


def profile_rows(
    columns: Columns,
    trials: Trained,
    passes: NDArray[np.float64],
    by: Compared,
    bases: Bases,
) -> list[ProfileRow]:
    """Per strategy and tau of TAUS, the share of problems that it solved within tau times the
    baseline's passes to target, and its interval (95 %).

    A problem is a task and seed (and whatever else but `by`) that the baseline has too. The
    baseline is fixed, unlike the best of all, so that adding a competitor changes nothing. What
    the baseline did not solve counts as solved at once by those who did.
    """
    rest = [tuple(cell[axis] for axis in AXES if axis != by) for cell in trials.cells]
    numbers = {others: number for number, others in enumerate(dict.fromkeys(rest))}
    other = np.array([numbers[each] for each in rest], dtype=np.int64)[trials.cell]
    seed = columns.trials["seed"][trials.trial]
    of_base = np.array([is_baseline(cell, by, bases) for cell in trials.cells])[trials.cell]
    base = np.full((len(numbers), len(columns.seeds)), np.nan)
    base[other[of_base], seed[of_base]] = passes[of_base]
    with np.errstate(invalid="ignore"):
        ratios = np.where(np.isinf(passes), np.inf, passes / base[other, seed])
    ratios[np.isnan(base[other, seed]) | np.isnan(passes)] = np.nan
    strategy = np.array([compared(cell, by) for cell in trials.cells], dtype=object)[trials.cell]
    rows: list[ProfileRow] = []
    for name in sorted(set(strategy.tolist())):
        problems = ratios[(strategy == name) & ~np.isnan(ratios)]
        if not len(problems):
            continue
        shares = performance_profile(problems, TAUS)
        low, high = profile_band(problems, TAUS)
        for i, tau in enumerate(TAUS):
            rows.append(
                {
                    "strategy": name,
                    "tau": tau,
                    "share": float(shares[i]),
                    "low": float(low[i]),
                    "high": float(high[i]),
                    "problems": len(problems),
                }
            )
    return rows
