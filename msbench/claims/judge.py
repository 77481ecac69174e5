"""Effects -> rows with p-values and verdicts: supported, contradicted or not shown."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from msbench.claims.effects import Effect
from msbench.claims.results import CLAIMS, ClaimRow, Subject, Verdict
from msbench.compare.stats import holm, paired_tests
from msbench.compare.verdicts import LEVEL
from msbench.spec import AXES, UNITS


def judged(effects: Sequence[Effect]) -> list[ClaimRow]:
    """The effects with their numbers and verdicts, sorted; all tests are one family."""
    if not effects:
        return []
    tests = paired_tests(np.array([effect.differences for effect in effects]), LEVEL)
    p = tests.p.copy()
    for i, effect in enumerate(effects):
        # A target that one side alone reached has no ratio: then only who was first is tested.
        if tests.n[i] < 2 and effect.sooner + effect.later >= 2:
            p[i] = _sign_p(effect.sooner, effect.later)
    adjusted = holm(p)
    rows: list[ClaimRow] = []
    for i, condition in enumerate(conditions([effect.subject for effect in effects])):
        effect = effects[i]
        ratio = effect.claim == "compute"
        difference, low, high = (float(x[i]) for x in (tests.difference, tests.low, tests.high))
        unknown = math.isnan(difference) or tests.n[i] < 2
        direction = effect.later - effect.sooner if unknown else difference
        gained = direction > 0 if effect.better == "higher" else direction < 0
        least = float(tests.detectable[i])
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
                "effect": float(np.exp(difference)) if ratio else difference,
                "low": float(np.exp(low)) if ratio else low,
                "high": float(np.exp(high)) if ratio else high,
                "pairs": int(tests.n[i]),
                "p": float(p[i]),
                "p_adjusted": float(adjusted[i]),
                "verdict": _verdict(effect, float(adjusted[i]), gained),
                "detectable": math.exp(-least) if ratio else least,
                "condition": condition,
            }
        )
    return sorted(rows, key=_order)


def _verdict(effect: Effect, p: float, gained: bool) -> Verdict:
    """Of a target, a ratio counts only if no fewer seeds reached it than on the other side."""
    if not p <= 1 - LEVEL:
        return "not shown"
    reached, base_reached = effect.reached
    if (gained and reached < base_reached) or (not gained and reached > base_reached):
        return "not shown"
    return "supported" if gained else "contradicted"


def _sign_p(one: int, two: int) -> float:
    """The two-sided p of the exact sign test: the probability that fair signs agree so well."""
    n, least = one + two, min(one, two)
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
