"""Effects -> rows with p-values and verdicts: supported, contradicted or not shown."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from msbench.claims.effects import Effect
from msbench.claims.results import CLAIMS, Row
from msbench.compare.columns import Ledger
from msbench.compare.stats import holm, paired_tests
from msbench.compare.verdicts import LEVEL
from msbench.spec import AXES, UNITS

# ── verdicts ────────────────────────────────────────────────────────────────────────────────


def judged(tests: Sequence[Effect]) -> list[Row]:
    """The rows with their numbers and verdicts; all tests are one family."""
    if not tests:
        return []
    found = paired_tests(np.array([test.differences for test in tests]), LEVEL)
    p = found.p.copy()
    for number, test in enumerate(tests):
        # A target that one side alone reached has no ratio: then only who was first is tested.
        if found.n[number] < 2 and test.sooner + test.later >= 2:
            p[number] = _sign_p(test.sooner, test.later)
    adjusted = holm(p)
    rows = []
    for i, test in enumerate(tests):
        ratio = test.row["claim"] == "compute"
        effect, low, high = (float(x[i]) for x in (found.difference, found.low, found.high))
        away = effect if not math.isnan(effect) and found.n[i] > 1 else test.later - test.sooner
        gained = away > 0 if test.row["better"] == "higher" else away < 0
        least = float(found.detectable[i])
        rows.append(
            {
                **test.row,
                "scale": "ratio" if ratio else "difference",
                "effect": float(np.exp(effect)) if ratio else effect,
                "low": float(np.exp(low)) if ratio else low,
                "high": float(np.exp(high)) if ratio else high,
                "pairs": int(found.n[i]),
                "p": float(p[i]),
                "p_adjusted": float(adjusted[i]),
                "verdict": _verdict(test.row, float(adjusted[i]), gained),
                "detectable": math.exp(-least) if ratio else least,
            }
        )
    return sorted(rows, key=_order)


def _verdict(row: Row, p: float, gained: bool) -> str:
    """Of a target, a ratio counts only if no fewer seeds reached it than on the other side."""
    if not p <= 1 - LEVEL:
        return "not shown"
    fewer, more = row["reached"] < row["base_reached"], row["reached"] > row["base_reached"]
    if (gained and fewer) or (not gained and more):
        return "not shown"
    return "supported" if gained else "contradicted"


def _sign_p(one: int, two: int) -> float:
    """The two-sided probability that fair signs agree so well (exact sign test)."""
    n, least = one + two, min(one, two)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(least + 1)) * 0.5**n)


def _order(row: Row) -> tuple[object, ...]:
    names = list(CLAIMS)
    axes = [row[axis] for axis in AXES if axis != "optimizer"]
    units = [*UNITS, "flops", "training"]
    whose = (row["kind"], row["strategy"], row["base"])
    return (names.index(row["claim"]), *whose, *axes, units.index(row["units"][0]), row["machine"])


def summary(rows: Sequence[Row], *more: str) -> list[Row]:
    """Per claim, strategy, unit and `more`: in how many rows it was supported and contradicted."""
    keys = ("claim", "kind", "strategy", "base", "steps", *more)
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        for unit in row["units"]:
            groups.setdefault((*(row[key] for key in keys), unit), []).append(row)
    made = []
    for key, several in groups.items():
        counts = Counter(row["verdict"] for row in several)
        made.append(
            {
                **dict(zip((*keys, "unit"), key, strict=True)),
                "supported": counts["supported"],
                "contradicted": counts["contradicted"],
                "of": len(several),
                "supported_in": _where(several, "supported"),
                "contradicted_in": _where(several, "contradicted"),
            }
        )
    return made


def _where(rows: Sequence[Row], verdict: str) -> list[str]:
    return [
        f"{row['task']}, {row['condition']}" if row["condition"] else str(row["task"])
        for row in rows
        if row["verdict"] == verdict
    ]


def with_conditions(rows: list[Row]) -> list[Row]:
    """With what sets a row apart: a size that varies in these results, several tasks, rewards."""
    sizes: dict[tuple[str, ...], set[int]] = {}
    keys = {"train_examples": ("task_name", "multitask"), "parameters": ("task", "base")}
    for row in rows:
        for size, names in keys.items():
            if row[size] is not None:  # nothing ended that would have counted
                sizes.setdefault((size, *(row[n] for n in names)), set()).add(row[size])

    def varies(row: Row, size: str) -> bool:
        found = sizes.get((size, *(row[name] for name in keys[size])), set())
        return row[size] is not None and len(found) > 1

    for row in rows:
        told = []
        if varies(row, "train_examples") and not row["multitask"]:
            told.append(f"{row['train_examples']:,} examples")
        if varies(row, "parameters"):
            told.append(f"{row['parameters']:,} weights")
        told += ["several tasks in one"] if row["multitask"] else []
        told += ["rewards of drawn outputs"] if row["reinforcement"] else []
        row["condition"] = ", ".join(told)
    return rows


def unjudged(rows: Sequence[Row], ledger: Ledger) -> list[str]:
    """What could not be judged, and why, in whole sentences."""
    if not rows:
        return ["no multi-step strategy was run beside its base: there is nothing to judge"]
    notes = []
    claimed = {row["claim"] for row in rows}
    if "generalization" not in claimed and any(row["kind"] == "optimizer" for row in rows):
        notes.append(
            "generalization: no records say, since they lack the loss on training and test data"
        )
    if max(row["pairs"] for row in rows) < 2:
        notes.append("one seed each: nothing can be shown without more (msbench run --seeds)")
    bad = int((~ledger.ok & ledger.kept).sum())
    if bad:
        notes.append(f"{bad} trials did not end ok: they count as not reaching a target, else not")
    return notes
