"""Effects -> rows with p-values and verdicts: supported, contradicted, equivalent or undecided."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from msbench.claims.effects import Effect
from msbench.claims.evidence import Evidence
from msbench.claims.results import CLAIMS, Claimed, ClaimRow, Subject
from msbench.compare.judge import Judgement, Verdict, judge
from msbench.compare.stats import ALPHA, cut_at
from msbench.spec import AXES, UNITS

CLAIMED: dict[Verdict, Claimed] = {
    "better": "supported",
    "better within the margin": "supported within the margin",
    "equivalent": "equivalent",
    "worse within the margin": "contradicted within the margin",
    "worse": "contradicted",
    "undecided": "undecided",
}


def judged(evidence: Evidence, effects: Sequence[Effect]) -> list[ClaimRow]:
    """The effects with their numbers and verdicts, sorted.

    What `msbench compare` judges has its verdict. A family of all others is the tests of one claim
    on one task; what no test could have shown with these seeds is in none.
    """
    if not effects:
        return []
    differences = np.array([effect.differences for effect in effects])
    settled = [_settled(evidence, effect) for effect in effects]
    signs = np.array([_sign_p(effect) for effect in effects])
    kinds = [_family(effect, known) for effect, known in zip(effects, settled, strict=True)]
    lower = [effect.better == "lower" for effect in effects]
    margins = [effect.margin for effect in effects]
    max_seeds = evidence.settled.asked.max_seeds
    tests = judge(differences, kinds, margins, lower, signs, max_seeds)
    lows, highs = cut_at(tests.tests, [effect.span for effect in effects])
    rows: list[ClaimRow] = []
    for i, condition in enumerate(conditions([effect.subject for effect in effects])):
        effect, judgement = effects[i], settled[i] or tests[i]
        ratio = effect.claim == "compute"
        found = (tests.tests.difference[i], lows[i], highs[i])
        difference, low, high = (float(np.exp(x)) if ratio else float(x) for x in found)
        rows.append(
            {
                **effect.subject,
                "claim": effect.claim,
                "units": [*effect.units],
                "quantity": effect.quantity,
                "better": effect.better,
                "amount": effect.amount,
                "machine": effect.machine,
                "reached": effect.reached[0],
                "base_reached": effect.reached[1],
                "scale": "ratio" if ratio else "difference",
                "effect": difference,
                "low": low,
                "high": high,
                "pairs": int(tests.tests.n[i]),
                "p": float(tests.p[i]),
                "p_adjusted": judgement.p_adjusted,
                "verdict": _verdict(effect, judgement),
                "margin": math.exp(effect.margin) if ratio else effect.margin,
                "seeds_needed": judgement.needed,
                "detectable": math.exp(-judgement.detectable) if ratio else judgement.detectable,
                "condition": condition,
            }
        )
    return sorted(rows, key=_order)


def _settled(evidence: Evidence, effect: Effect) -> Judgement | None:
    """What `msbench compare` says of the pair, if the effect is of the same scores."""
    mine, base = effect.cells
    if mine < 0 or base < 0:
        return None
    scores = evidence.scores.values
    same = np.array_equal(scores[mine] - scores[base], effect.differences, equal_nan=True)
    return evidence.settled.on(mine, base) if same else None


def _family(effect: Effect, known: Judgement | None) -> Hashable:
    """What it is adjusted with: the tests of its claim on its task that are not settled."""
    subject = effect.subject
    return (effect.claim, subject["task"], subject["kind"], known is not None)


def _verdict(effect: Effect, judgement: Judgement) -> Claimed:
    """Of a target, a ratio counts only if no fewer seeds reached it than on the other side."""
    if math.isnan(judgement.p_adjusted):
        return "untestable"
    verdict = CLAIMED[judgement.verdict]
    if verdict in ("undecided", "equivalent") or effect.claim != "compute":
        return verdict
    if np.count_nonzero(~np.isnan(effect.differences)) < 2:
        gained = effect.sooner > effect.later
        verdict = "supported" if gained else "contradicted"
    gained = verdict.startswith("supported")
    reached, base_reached = effect.reached
    if (gained and reached < base_reached) or (not gained and reached > base_reached):
        return "undecided"
    return verdict


def _sign_p(effect: Effect) -> float:
    """Of a target that one side alone reached there is no ratio, and only who was first is tested:
    the two-sided p of the exact sign test. NaN for other effects, and where so few seeds could not
    have rejected even if all agreed."""
    one, two = effect.sooner, effect.later
    n, least = one + two, min(one, two)
    if np.count_nonzero(~np.isnan(effect.differences)) >= 2 or 2 * 0.5**n > ALPHA:
        return math.nan
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(least + 1)) * 0.5**n)


def conditions(subjects: Sequence[Subject]) -> list[str]:
    """What sets each subject apart from the others, such as "640 examples"; often nothing."""
    sizes: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for subject in subjects:
        for key, size in _sizes(subject):
            sizes[key].add(size)
    return [
        ", ".join(
            [
                *(f"{size:,} {key[0]}" for key, size in _sizes(subject) if len(sizes[key]) > 1),
                *(["several tasks in one"] if subject["multitask"] else []),
                *(["rewards of drawn outputs"] if subject["reinforcement"] else []),
            ]
        )
        for subject in subjects
    ]


def _sizes(subject: Subject) -> Iterator[tuple[tuple[str, ...], int]]:
    """(of what, and among whom it may vary; how much): the sizes of data and model, if known."""
    if subject["train_examples"] is not None and not subject["multitask"]:
        yield ("examples", subject["task_name"]), subject["train_examples"]
    if subject["parameters"] is not None:
        yield ("weights", subject["task"], subject["base"]), subject["parameters"]


def _order(row: ClaimRow) -> tuple[object, ...]:
    axes = [row[axis] for axis in AXES if axis != "optimizer"]
    unit = [*UNITS, "flops", "training"].index(row["units"][0])
    strategy = (row["kind"], row["strategy"], row["base"])
    return (list(CLAIMS).index(row["claim"]), *strategy, *axes, unit, row["machine"])
