"""Candidates -> ranks, which are shown to be worse than the best, and what to try next."""

import math
from collections.abc import Sequence

import numpy as np

from msbench.claims.candidates import Candidate, Contest
from msbench.claims.evidence import Evidence
from msbench.claims.results import ChoiceRow, RankedRow
from msbench.compare.stats import holm, mean_intervals, paired_tests, seeds_needed
from msbench.compare.verdicts import LEVEL

ENOUGH = 2
"""Seeds of which a strategy must have been measured to be recommended: one says nothing of others.
"""

FALLING = 0.01
"""A validation loss that fell by a larger share between its last two points is still falling."""


def best_first(contest: Contest) -> list[Candidate]:
    """The candidates, those that lack seeds after those that do not; none without any value."""
    mean, _, _, measured = mean_intervals([each.values for each in contest.candidates])
    worth = np.where(np.isnan(mean), -np.inf, _sign(contest) * mean)

    def order(i: int) -> tuple[object, ...]:
        candidate = contest.candidates[i]
        incomplete = measured[i] < _n(candidate)
        enough = min(measured[i], ENOUGH)
        return (-enough, incomplete, -worth[i], candidate.axes, candidate.decoder)

    places = sorted(range(len(contest.candidates)), key=order) if measured.any() else []
    return [contest.candidates[i] for i in places]


def ranked(
    evidence: Evidence, contest: Contest, candidates: Sequence[Candidate]
) -> list[RankedRow]:
    """A row per candidate.

    The best is chosen by these very numbers, so Holm's family is all pairs, not only its own.
    """
    sign = _sign(contest)
    values = np.array([each.values for each in candidates])
    mean, low, high, measured = mean_intervals(values, LEVEL)
    tests = paired_tests(values - values[0], LEVEL)
    one, two = np.triu_indices(len(candidates), 1)  # the pairs of the first come first
    adjusted = [math.nan, *holm(paired_tests(values[one] - values[two], LEVEL).p).tolist()]
    rows: list[RankedRow] = []
    for i, candidate in enumerate(candidates):
        worst = int(np.nanargmin(sign * values[i])) if measured[i] else 0
        worse = adjusted[i] <= 1 - LEVEL and sign * tests.difference[i] < 0
        rows.append(
            {
                **contest.about,
                **candidate.axes.row(),
                "decoder": candidate.decoder,
                "rank": i + 1,
                "mean": float(mean[i]),
                "low": float(low[i]),
                "high": float(high[i]),
                "worst": float(values[i, worst]),
                "worst_seed": evidence.columns.seeds[worst] if measured[i] else None,
                "n": _n(candidate),
                "n_ok": int(evidence.ok(candidate.trials).sum()),
                "measured": int(measured[i]),
                "spent": candidate.spent,
                "difference": float(tests.difference[i]),
                "difference_low": float(tests.low[i]),
                "difference_high": float(tests.high[i]),
                "p_adjusted": adjusted[i],
                "verdict": "worse" if worse else "not shown",
            }
        )
    rows[0]["verdict"] = "best" if measured[0] >= ENOUGH else ""
    return rows


def choice(
    evidence: Evidence,
    contest: Contest,
    candidates: Sequence[Candidate],
    rows: Sequence[RankedRow],
) -> ChoiceRow:
    """The best, the runner-up, and what may be tried next."""
    runner_up = rows[1] if len(rows) > 1 and rows[1]["measured"] else None
    needed = math.nan
    if runner_up:
        difference = candidates[0].values - candidates[1].values
        pairs = math.comb(len(candidates), 2)
        # What was not shown by so many seeds is not promised of as few.
        n = np.count_nonzero(~np.isnan(difference))
        needed = max(seeds_needed(difference.tolist(), tests=pairs), n + 1.0)
    finalists = candidates[: 2 if runner_up else 1]
    edges = {each.axes.optimizer: evidence.tuned(each.trials, "edge") for each in finalists}
    return {
        **contest.about,
        "best": rows[0],
        "runner_up": runner_up,
        "shown": runner_up is not None and runner_up["verdict"] == "worse",
        "alike": sum(row["verdict"] == "not shown" and row["measured"] > 0 for row in rows),
        "seeds_needed": needed,
        "edges": {name: options for name, options in edges.items() if options},
        "falling": _falling(evidence, candidates[0]),
    }


def _sign(contest: Contest) -> float:
    return 1.0 if contest.about["better"] == "higher" else -1.0


def _n(candidate: Candidate) -> int:
    """With how many seeds it was run."""
    return int((candidate.trials >= 0).sum())


def _falling(evidence: Evidence, candidate: Candidate) -> bool:
    """Whether most of its validation losses fell to the very end of their trials."""
    trials = candidate.trials[evidence.ok(candidate.trials)].tolist()
    ends = [evidence.curves.of(trial, "passes").loss[-2:] for trial in trials]
    fell = [end[1] < end[0] * (1 - FALLING) for end in ends if len(end) == 2]
    return bool(sum(fell) > len(fell) / 2)
