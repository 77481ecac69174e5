"""Claims -> tables of text: what a reader is shown, rounded."""

import math
from collections.abc import Sequence

from msbench.claims.results import CLAIMS, ClaimRow, Claims, SummaryRow
from msbench.report.format import (
    Cells,
    because,
    drop_empty,
    interval,
    number,
    probability,
    undecided,
    varies,
)
from msbench.spec import DETAILS, UNITS

NAMES: dict[str, str] = {
    **{unit: unit for unit in UNITS},
    "flops": "FLOPs",
    "training": "one trained model",
}
"""The units that summaries have a column for, and what they are called there."""


SPARE = ("condition", "machine", "measured", "seeds", "model", "reached", "base")
"""Columns that a narrow terminal can do without, the first to go first."""


def claim_tables(claims: Claims, *, short: bool = False) -> list[tuple[str, Cells]]:
    """(title, rows) of every table that has rows; `short`: only summaries."""
    titled = [
        ("Claims in short", _summary(claims.summary)),
        ("By condition", _summary(claims.conditions)),
    ]
    if not short:
        for claim, text in CLAIMS.items():
            rows = [row for row in claims.rows if row["claim"] == claim]
            titled.append((f"It {text}", _tests(rows, claim)))
    return [(title, cells) for title, cells in titled if cells]


def claim_legend(claims: Claims) -> list[str]:
    """What the tables mean and what was left open, a sentence a line."""
    if not claims.rows:
        return list(claims.notes)
    claimed = {row["claim"] for row in claims.rows}
    tests = sum(not math.isnan(row["p_adjusted"]) for row in claims.rows)
    left = len(claims.rows) - tests
    lines = [
        "Each strategy minus its single-step base, paired by seed: mean [95 % interval].",
        f"p of {tests} tests is adjusted within a claim and task (Holm); what msbench compare "
        "judges has its p. Within the margin: shown, but by less than what matters (of losses 1 %, "
        "of compute 2 %).",
        f"Untestable, {left} of {len(claims.rows)}: with these seeds no test could have shown it, "
        "for want of seeds or of a spread; they count in no family.",
        "Equal in several units is one test. Validation loss is the one at the largest amount that "
        "both have spent, between two validations on a line.",
    ]
    if "overfitting" in claimed:
        lines.append("Rise: validation loss at that amount minus the best before.")
    if "compute" in claimed:
        lines.append(
            "Compute: a ratio, below 1 is cheaper. To the median of the base's best losses, over "
            "seeds in which both got there; reached: by the strategy and by its base."
        )
    return [*lines, *claims.notes]


def _summary(summary: Sequence[SummaryRow]) -> Cells:
    """A row per claim, strategy and condition (if there are any), a column per unit."""
    units = [unit for unit in NAMES if any(row["unit"] == unit for row in summary)]
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for row in summary:
        condition = row.get("condition", "")
        key = (row["claim"], row["kind"], row["strategy"], row["base"])
        first = {
            "claim": CLAIMS[row["claim"]],
            "strategy": row["strategy"],
            "base": row["base"],
            "multi-step by": row["steps"],
            "condition": condition,
            **{f"at equal {NAMES[unit]}": "" for unit in units},
        }
        line = cells.setdefault((*key, condition), first)
        line[f"at equal {NAMES[row['unit']]}"] = _counted(row)
    return drop_empty(list(cells.values()), "condition")


def _counted(row: SummaryRow) -> str:
    """Such as "supported in 2 of 3, contradicted in 1"."""
    counts = {
        "supported": row["supported"],
        "contradicted": row["contradicted"],
        "equivalent": row["equivalent"],
        "untestable": row["untestable"],
    }
    counts["undecided"] = row["of"] - sum(counts.values())
    words = [word for word, count in counts.items() if count]
    if row["of"] == 1:
        return words[0]
    first, *rest = (f"{word} in {counts[word]}" for word in words)
    return ", ".join([f"{first} of {row['of']}", *rest])


def _tests(rows: Sequence[ClaimRow], claim: str) -> Cells:
    models = varies(rows, "model")
    others = [axis for axis in DETAILS[1:] if len({row[axis] for row in rows}) > 1]
    decoders = any(row["kind"] == "decoder" for row in rows)
    cells = [
        {
            "strategy": row["strategy"],
            "base": row["base"],
            "task": row["task"],
            "model": row["model"] if models else "",
            **{axis: row[axis] for axis in others},
            "optimizer": row["optimizer"] if decoders else "",
            "condition": row["condition"],
            "at equal": _budget(row),
            "machine": row["machine"],
            "measured": row["quantity"],
            "effect": _effect(row),
            **({"reached": _reached(row)} if claim == "compute" else {}),
            "verdict": _verdict(row),
            "seeds": f"{row['pairs']} of {row['seeds']}",
        }
        for row in rows
    ]
    return drop_empty(cells, "model", "optimizer", "condition", "machine")


def _budget(row: ClaimRow) -> str:
    """Such as "300 passes, steps"; of compute, what is counted."""
    units = ", ".join("FLOPs" if unit == "flops" else unit for unit in row["units"])
    known = row["claim"] != "compute" and not math.isnan(row["amount"])
    return f"{number(row['amount'])} {units}" if known else units


def _effect(row: ClaimRow) -> str:
    sign = "" if row["scale"] == "ratio" else "+"
    return interval(row["effect"], row["low"], row["high"], sign)


def _reached(row: ClaimRow) -> str:
    if math.isnan(row["reached"]):
        return ""
    return f"{row['reached']:.0%}, {row['base_reached']:.0%}"


def _verdict(row: ClaimRow) -> str:
    """Such as "supported (p 0.003)"."""
    verdict, p = row["verdict"], probability(row["p_adjusted"])
    if verdict == "undecided":
        needed = undecided(row["pairs"], row["effect"], row["p"], row["seeds_needed"])
        return because(verdict, p, needed if row["pairs"] > 1 else "")
    if verdict == "untestable":
        return because(verdict, _reason(row))
    lost = row["claim"] != "compute" and row["pairs"] < row["seeds"]
    margin = "" if verdict in ("supported", "contradicted") else number(row["margin"])
    return because(verdict, margin, p) + (", of those ok" if lost else "")


def _reason(row: ClaimRow) -> str:
    """Why no test could have shown anything."""
    if row["pairs"] > 1:
        return "no spread"
    if row["claim"] == "compute":
        return "no ratio"
    return "too few seeds" if row["pairs"] else "not measured so early"
