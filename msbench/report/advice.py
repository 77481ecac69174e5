"""Recommendation -> advice in sentences, and the table behind it."""

import math
from collections.abc import Sequence

from msbench.claims.results import ChoiceRow, RankedRow, Recommendation
from msbench.report.format import Cells, ditto, interval, number, p_value
from msbench.spec import COMPARED, DETAILS, Axis

LISTED = 10
"""Strategies of a task that are shown."""


def advice_tables(found: Recommendation) -> list[tuple[str, Cells]]:
    """(title, rows) of the evidence, the best of each task first."""
    rows = [row for row in found.rows if row["rank"] <= LISTED]
    title = f"Evidence at {_amount(found.amount, found.unit)}"
    return [(title, _evidence(found, rows))] if rows else []


def advice_lines(found: Recommendation) -> list[str]:
    """What to use, how sure that is, the risk, and what to try next; sentences."""
    lines = [line for choice in found.choices for line in _advice(found, choice)]
    if not lines:
        lines.append("There is no evidence at this budget: nothing can be recommended.")
    if found.rows:
        lines.append(
            "Mean [95 % interval over seeds]; p is adjusted for all pairs of a task (Holm), since "
            "the best is chosen by the same numbers."
        )
    if any(row["quantity"] == "validation loss" for row in found.rows):
        lines.append(
            "Validation loss stands for the test metric where not all trials end within the budget."
        )
    return [*lines, *found.notes]


def _advice(found: Recommendation, choice: ChoiceRow) -> list[str]:
    best, second = choice["best"], choice["runner_up"]
    where = f"{choice['task']}{', on ' + choice['machine'] if choice['machine'] else ''}"
    what = f"{choice['quantity']} {_mean(best)}"
    lost = f"; only {best['n_ok']} of {best['n']} seeds ended ok" if _lost(best) else ""
    lines = [
        f"{where}: use {_name(best, second)}: {what}, worst of {best['n_ok']} seeds "
        f"{number(best['worst'])} (seed {best['worst_seed']}){lost}."
    ]
    if second is None:
        return [*lines, f"{where}: nothing else was measured at this budget to compare it with."]
    told = f"{_name(second, best)} ({_mean(second)}, worst seed {number(second['worst'])})"
    away = interval(second["difference"], second["difference_low"], second["difference_high"], "+")
    if choice["shown"]:
        lines.append(
            f"{where}: the runner-up, {told}, is shown to be worse: {away}, "
            f"p {p_value(second['p_adjusted'])}."
        )
    else:
        p = second["p_adjusted"]
        reason = "too few seeds to tell" if math.isnan(p) else f"{away}, p {p_value(p)}"
        others = choice["alike"] - 1
        more = f" Nor are {others} others." if others > 1 else " Nor is another." if others else ""
        lines.append(
            f"{where}: the runner-up, {told}, is not shown to be worse: {reason}.{more} "
            "Nothing here speaks against the cheaper of them."
        )
    return [*lines, *(f"{where}: next, {each}." for each in _next(found, choice))]


def _next(found: Recommendation, choice: ChoiceRow) -> list[str]:
    """What may be tried."""
    tries = []
    needed = choice["seeds_needed"]
    if not choice["shown"]:
        if math.isnan(needed):
            tries.append("run more seeds: with fewer than two of both nothing can be shown")
        elif math.isinf(needed):
            tries.append("another strategy: even 10,000 seeds would not tell these two apart")
        else:
            tries.append(
                f"run about {needed:.0f} seeds (msbench run --seeds): a difference of this size "
                "and spread is then found in 4 of 5 cases"
            )
    for name, options in choice["edges"].items():
        tries.append(f"widen the space of {name}: its {', '.join(options)} is at the edge of it")
    if choice["best"]["spent"] < 0.98 * found.amount:
        spent = _amount(choice["best"]["spent"], found.unit)
        tries.append(f"use the whole budget: the best was only measured up to {spent}")
    if choice["falling"]:
        tries.append("a larger budget: the validation loss of the best still falls at its end")
    return tries


def _evidence(found: Recommendation, rows: Sequence[RankedRow]) -> Cells:
    axes = [a for a in DETAILS if _varies(found.rows, a)]
    machines = any(row["machine"] for row in rows)
    cells: Cells = []
    for row in rows:
        cells.append(
            {
                "task": row["task"],
                **({"machine": row["machine"]} if machines else {}),
                **{axis: row[axis] for axis in axes},
                "optimizer": row["optimizer"],
                **({"decoder": row["decoder"]} if any(r["decoder"] for r in rows) else {}),
                "measured": row["quantity"],
                "mean": _mean(row),
                "worst seed": number(row["worst"]),
                "vs the best": ""
                if row["verdict"] == "best"
                else interval(
                    row["difference"], row["difference_low"], row["difference_high"], "+"
                ),
                "verdict": _verdict(row),
                "spent": _amount(row["spent"], found.unit),
                "ok": f"{row['n_ok']}/{row['n']}",
            }
        )
    return ditto(cells)


def _verdict(row: RankedRow) -> str:
    if row["verdict"] == "best" or math.isnan(row["p_adjusted"]):
        return str(row["verdict"])
    return f"{row['verdict']} (p {p_value(row['p_adjusted'])})"


def _name(row: RankedRow, other: RankedRow | None) -> str:
    """The optimizer, with what else tells it from the other."""
    axes = [axis for axis in COMPARED if axis != "optimizer"]
    more = [row[axis] for axis in axes if other and row[axis] != other[axis] and row[axis]]
    return f"{row['optimizer']} with {', '.join(more)}" if more else str(row["optimizer"])


def _mean(row: RankedRow) -> str:
    return interval(row["mean"], row["low"], row["high"])


def _lost(row: RankedRow) -> bool:
    return bool(row["n_ok"] < row["n"])


def _amount(amount: float, unit: str) -> str:
    return f"{amount:.3g} FLOPs" if unit == "flops" else f"{number(amount)} {unit}"


def _varies(rows: Sequence[RankedRow], axis: Axis) -> bool:
    return len({(row["task"], row[axis]) for row in rows}) > len({row["task"] for row in rows})
