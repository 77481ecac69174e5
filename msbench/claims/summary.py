"""Verdicts, counted over tasks, and what could not be judged."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, cast

import numpy as np

from msbench.claims.evidence import Evidence
from msbench.claims.results import Claimed, ClaimRow, SummaryRow

GroupKey = Literal["claim", "kind", "strategy", "base", "steps", "condition"]


NO_MATTER: tuple[Claimed, ...] = (
    "equivalent",
    "supported within the margin",
    "contradicted within the margin",
)
"""What is shown not to matter."""


def summary(rows: Sequence[ClaimRow], *more: Literal["condition"]) -> list[SummaryRow]:
    """Per claim, strategy, `more` and unit: in how many rows it was supported and contradicted."""
    keys: tuple[GroupKey, ...] = ("claim", "kind", "strategy", "base", "steps", *more)
    groups: dict[tuple[str, ...], list[ClaimRow]] = defaultdict(list)
    for row in rows:
        for unit in row["units"]:
            groups[(*(row[key] for key in keys), unit)].append(row)
    return [
        cast(SummaryRow, {**dict(zip((*keys, "unit"), values, strict=True)), **_tally(group)})
        for values, group in groups.items()
    ]


def open_questions(rows: Sequence[ClaimRow], evidence: Evidence) -> list[str]:
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
    failed = sum(
        np.count_nonzero((trials >= 0) & ~evidence.ok(trials))
        for trials in evidence.trials.values()
    )
    if failed:
        notes.append(
            f"{failed} trials did not end ok: they count as not reaching a target, else not"
        )
    return notes


def _tally(rows: Sequence[ClaimRow]) -> dict[str, int | list[str]]:
    counts = Counter(row["verdict"] for row in rows)
    return {
        "supported": counts["supported"],
        "contradicted": counts["contradicted"],
        "equivalent": sum(counts[word] for word in NO_MATTER),
        "untestable": counts["untestable"],
        "of": len(rows),
        "supported_in": _where(rows, "supported"),
        "contradicted_in": _where(rows, "contradicted"),
    }


def _where(rows: Sequence[ClaimRow], verdict: Claimed) -> list[str]:
    """The tasks, with their conditions, in which that was the verdict."""
    return [
        f"{row['task']}, {row['condition']}" if row["condition"] else row["task"]
        for row in rows
        if row["verdict"] == verdict
    ]
