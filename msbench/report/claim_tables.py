"""Claims -> tables of text: what a reader is shown, rounded."""

import math
from collections.abc import Sequence
from typing import Literal

from msbench.claims.results import CLAIMS, ClaimRow, Claims, SummaryRow
from msbench.report.format import Cells, digits, interval, number, p_value
from msbench.spec import DETAILS


def claim_tables(claims: Claims, *, short: bool = False) -> list[tuple[str, Cells]]:
    """(title, rows) of every table that has rows; `short`: only summaries."""
    every = [
        ("Claims in short", _summary(claims.summary)),
        ("By condition", _summary(claims.conditions, "condition")),
    ]
    if not short:
        for claim, said in CLAIMS.items():
            every.append(
                (f"It {said}", _tests([row for row in claims.rows if row["claim"] == claim]))
            )
    return [(title, rows) for title, rows in every if rows]


def claim_legend(claims: Claims) -> list[str]:
    """What the tables mean and what was left open, a sentence a line."""
    if not claims.rows:
        return list(claims.notes)
    claimed = {row["claim"] for row in claims.rows}
    tests = sum(not math.isnan(row["p"]) for row in claims.rows)
    lines = [
        "Each strategy minus its single-step base, paired by seed: mean [95 % interval].",
        f"p is adjusted for all {tests} tests (Holm); supported, contradicted: p at most 0.05. "
        "Not shown does not mean that there is no effect: sees is the smallest that so many seeds "
        "find in 4 of 5 single tests.",
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


def _summary(summary: Sequence[SummaryRow], *more: Literal["condition"]) -> Cells:
    """A row per claim, strategy and `more`, a column per unit."""
    shown = ("passes", "steps", "seconds", "flops", "training")
    units = [unit for unit in shown if any(row["unit"] == unit for row in summary)]
    names = {"flops": "FLOPs", "training": "one trained model"}
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for row in summary:
        key = (
            row["claim"],
            row["kind"],
            row["strategy"],
            row["base"],
            *(row[name] for name in more),
        )
        about = {
            "claim": CLAIMS[row["claim"]],
            "strategy": row["strategy"],
            "base": row["base"],
            "multi-step by": row["steps"],
            **{name: row[name] for name in more},
            **{f"at equal {names.get(unit, unit)}": "" for unit in units},
        }
        unit = names.get(row["unit"], row["unit"])
        rows.setdefault(key, about)[f"at equal {unit}"] = _counted(row)
    return list(rows.values())


def _counted(row: SummaryRow) -> str:
    """Such as "supported in 2 of 3, contradicted in 1"."""
    told = [f"{word} in {row[word]}" for word in ("supported", "contradicted") if row[word]]
    if not told:
        return f"not shown in {row['of']}" if row["of"] > 1 else "not shown"
    if row["of"] == 1:
        return told[0].partition(" ")[0]
    return ", ".join([f"{told[0]} of {row['of']}", *told[1:]])


def _tests(rows: Sequence[ClaimRow]) -> Cells:
    conditions = any(row["condition"] for row in rows)
    models = len({(row["task"], row["model"]) for row in rows}) > len({r["task"] for r in rows})
    others = [a for a in DETAILS[1:] if len({row[a] for row in rows}) > 1]
    machines = any(row["machine"] for row in rows)
    cells: Cells = []
    for row in rows:
        cells.append(
            {
                "strategy": row["strategy"],
                "base": row["base"],
                "task": row["task"],
                **({"model": row["model"]} if models else {}),
                **{axis: row[axis] for axis in others},
                **({"optimizer": row["optimizer"]} if _decoders(rows) else {}),
                **({"condition": row["condition"]} if conditions else {}),
                "at equal": _budget(row),
                **({"machine": row["machine"]} if machines else {}),
                "measured": row["quantity"],
                "effect": _effect(row),
                **({"reached": _reached(row)} if row["claim"] == "compute" else {}),
                "verdict": _verdict(row),
                "n": f"{row['pairs']}/{row['seeds']}",
            }
        )
    return cells


def _decoders(rows: Sequence[ClaimRow]) -> bool:
    return any(row["kind"] == "decoder" for row in rows)


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
    if row["verdict"] == "not shown":
        sees = _sees(row)
        told = "" if math.isnan(row["p_adjusted"]) else f"p {p_value(row['p_adjusted'])}; "
        return f"not shown ({told}{sees})"
    word = f"{row['verdict']} (p {p_value(row['p_adjusted'])})"
    lost = row["claim"] != "compute" and row["pairs"] < row["seeds"]
    return f"{word}, of those ok" if lost else word


def _sees(row: ClaimRow) -> str:
    """Which effect would have been found, or why that cannot be said."""
    if row["pairs"] < 2:
        some = "too few seeds" if row["pairs"] else "not measured so early"
        return "no ratio" if row["claim"] == "compute" else some
    least = row["detectable"]
    return "no spread" if math.isnan(least) else f"sees {least:.{digits(least)}f}"
