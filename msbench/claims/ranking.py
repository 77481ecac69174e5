"""Candidates -> ranks, which are shown to be worse than the best, and what to try next."""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from msbench.claims.candidates import Candidate, Contest
from msbench.claims.evidence import LOSS_MARGIN, Evidence
from msbench.claims.results import ChoiceRow, RankedRow
from msbench.compare.judge import LEVEL, Judgement, judge
from msbench.compare.stats import bounded_intervals, cut_at, mean_intervals, paired_tests
from msbench.compare.verdicts import margin_of

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
    """A row per candidate, with the verdict against the best.

    Pairs with the baseline have the verdict of `msbench compare`. The best is chosen by these very
    numbers, so the family of all others is all pairs, not only those with the best.
    """
    sign = _sign(contest)
    values = np.array([each.values for each in candidates])
    lowest, highest = _bounds(evidence, candidates)
    mean, low, high, measured = bounded_intervals(values, lowest, highest, LEVEL)
    tests = paired_tests(values - values[0], LEVEL)
    difference_low, difference_high = cut_at(tests, highest - lowest)
    margin = _margin(evidence, candidates[0], float(mean[0]))
    known, found = _judgements(evidence, contest, candidates, margin)
    rows: list[RankedRow] = []
    for i, candidate in enumerate(candidates):
        worst = int(np.nanargmin(sign * values[i])) if measured[i] else 0
        judged = found.get(i)
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
                "seconds": _seconds(evidence, candidate),
                "difference": float(tests.difference[i]),
                "difference_low": float(difference_low[i]) if i else 0.0,
                "difference_high": float(difference_high[i]) if i else 0.0,
                "pairs": int(tests.n[i]),
                "p_adjusted": judged.p_adjusted if judged else math.nan,
                "verdict": judged.verdict if judged else "",
                "margin": judged.margin if judged else margin,
                "seeds_needed": judged.needed if judged else math.nan,
                "declared": i in known,
            }
        )
    rows[0]["verdict"] = "best" if measured[0] >= ENOUGH else ""
    return rows


def _seconds(evidence: Evidence, candidate: Candidate) -> float:
    """What training took, of trials that ended within the budget on one machine."""
    table, trials = evidence.columns.trials, candidate.trials[evidence.ok(candidate.trials)]
    if candidate.cell < 0 or len({*table["machine"][trials].tolist()}) != 1:
        return math.nan
    return float(np.mean(table["train_seconds"][trials]))


def _judgements(
    evidence: Evidence, contest: Contest, candidates: Sequence[Candidate], margin: float
) -> tuple[set[int], dict[int, Judgement]]:
    """(candidates whose pair with the best `msbench compare` judges; the judgement on every
    candidate but the best, against it)."""
    values = np.array([each.values for each in candidates])
    pairs = list(combinations(range(len(candidates)), 2))
    known = {}
    for one, two in pairs:
        if judgement := _settled(evidence, candidates[two], candidates[one]):
            known[one, two] = judgement
    rest = [pair for pair in pairs if pair not in known]
    found = {two: judgement for (one, two), judgement in known.items() if not one}
    if rest:
        one, two = np.array(rest).T
        lower = contest.about["better"] == "lower"
        max_seeds = evidence.settled.asked.max_seeds
        pairs_of = [""] * len(rest)
        judged = judge(values[two] - values[one], pairs_of, margin, lower, max_seeds=max_seeds)
        found |= {two: judged[at] for at, (one, two) in enumerate(rest) if not one}
    return {two for one, two in known if not one}, found


def _settled(evidence: Evidence, mine: Candidate, other: Candidate) -> Judgement | None:
    """What `msbench compare` says of two candidates, if it is about the same scores."""
    if mine.cell < 0 or other.cell < 0:
        return None
    scores = evidence.scores.values
    same = np.array_equal(
        scores[mine.cell] - scores[other.cell], mine.values - other.values, equal_nan=True
    )
    return evidence.settled.on(mine.cell, other.cell) if same else None


def _bounds(evidence: Evidence, candidates: Sequence[Candidate]) -> tuple[float, float]:
    """What values can be: those of the metric; losses have no bounds that are known."""
    cell = candidates[0].cell
    about = evidence.scores.cells[cell]
    return (about["lowest"], about["highest"]) if cell >= 0 else (-math.inf, math.inf)


def _margin(evidence: Evidence, best: Candidate, mean: float) -> float:
    """The largest difference to the best that does not matter."""
    if best.cell >= 0:
        return margin_of(evidence.scores.cells[best.cell], mean)
    margin = LOSS_MARGIN * abs(mean)
    return margin if margin > 0 else math.nan


def choice(
    evidence: Evidence,
    contest: Contest,
    candidates: Sequence[Candidate],
    rows: Sequence[RankedRow],
) -> ChoiceRow:
    """The best, the runner-up, and what may be tried next."""
    runner_up = rows[1] if len(rows) > 1 and rows[1]["measured"] else None
    finalists = candidates[: 2 if runner_up else 1]
    edges = {each.axes.optimizer: evidence.tuned(each.trials, "edge") for each in finalists}
    return {
        **contest.about,
        "best": rows[0],
        "runner_up": runner_up,
        "shown": runner_up is not None and runner_up["verdict"] == "worse",
        "alike": sum(
            row["verdict"] not in ("best", "worse") and row["measured"] > 0 for row in rows
        ),
        "seeds_needed": runner_up["seeds_needed"] if runner_up else math.nan,
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
