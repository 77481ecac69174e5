"""Recommendation -> advice in sentences, and the table behind it."""

import math
from collections.abc import Sequence

from msbench.claims.results import ChoiceRow, RankedRow, Recommendation
from msbench.report.format import (
    Cells,
    because,
    difference_of,
    ditto,
    drop_empty,
    interval,
    mean_cells,
    mean_of,
    number,
    probability,
    seeds_ok,
    to_decide,
    undecided,
    varies,
    verdict_cells,
)
from msbench.spec import COMPARED, DETAILS

SPARE = (
    "seeds added",
    "95 % interval",
    "decoder",
    "p",
    "seeds ok",
    "spent",
    "measured",
    "worst seed",
)
"""Columns that a narrow terminal can do without, the first to go first."""

LISTED = 10
"""Strategies of a task that are shown."""


def advice_tables(recommendation: Recommendation) -> list[tuple[str, Cells]]:
    """(title, rows) of the evidence, the best of each task first."""
    rows = [row for row in recommendation.rows if row["rank"] <= LISTED]
    title = f"Evidence at {_amount(recommendation.amount, recommendation.unit)}"
    return [(title, _evidence(recommendation, rows))] if rows else []


def advice_lines(recommendation: Recommendation) -> list[str]:
    """What to use, how sure that is, the risk, and what to try next; sentences."""
    return [*advice_first(recommendation), *advice_reasons(recommendation)]


def advice_first(recommendation: Recommendation) -> list[str]:
    """For each task one sentence: what to use, the runner-up, and what both cost."""
    if not recommendation.choices:
        evidence = "too little" if recommendation.rows else "no"
        return [f"There is {evidence} evidence at this budget: nothing can be recommended."]
    return [_first(recommendation, choice) for choice in recommendation.choices]


def advice_reasons(recommendation: Recommendation) -> list[str]:
    """How sure that is, the risk, and what to try next; sentences."""
    lines = [line for choice in recommendation.choices for line in _advice(recommendation, choice)]
    if recommendation.rows:
        lines.append(
            "Mean [95 % interval over seeds]. Verdicts are against the best. Where one of the two "
            "is the baseline, it is that of msbench compare; else p is adjusted for all other "
            "pairs of a task (Holm), since the best is chosen by the same numbers."
        )
    if any(row["quantity"] == "validation loss" for row in recommendation.rows):
        lines.append(
            "Validation loss stands for the test metric where not all trials end within the budget."
        )
    return [*lines, *recommendation.notes]


def _advice(recommendation: Recommendation, choice: ChoiceRow) -> list[str]:
    best, second = choice["best"], choice["runner_up"]
    lost, early = best["n_ok"] < best["n"], best["measured"] < best["n_ok"]
    failed = f"; only {best['n_ok']} of {best['n']} seeds ended ok" if lost else ""
    known = "were measured by then" if choice["quantity"] == "validation loss" else "gave a number"
    failed += f"; only {best['measured']} of {best['n_ok']} {known}" if early else ""
    sentences = [
        f"{_name(best, second)}: {choice['quantity']} {mean_of(best)}, worst of "
        f"{best['measured']} seeds {number(best['worst'])} (seed {best['worst_seed']}){failed}"
    ]
    if second is None:
        sentences.append("nothing else was measured at this budget to compare it with")
    else:
        sentences.append(_runner_up(choice, best, second))
        sentences += [f"next, {step}" for step in _next_steps(recommendation, choice)]
    return [f"{_where(choice)}: {sentence}." for sentence in sentences]


def _first(recommendation: Recommendation, choice: ChoiceRow) -> str:
    best, second = choice["best"], choice["runner_up"]
    unit = recommendation.unit
    use = (
        f"{_where(choice)}: use {_name(best, second)}, {choice['quantity']} {_mean(best)} for "
        f"{_price(best, unit)}"
    )
    if second is None:
        return f"{use}; nothing else was measured."
    other = f"the runner-up, {_name(second, best)}, {_mean(second)} for {_price(second, unit)}"
    verdict: str = second["verdict"]
    if verdict == "undecided":
        needed = to_decide(
            second["pairs"], second["difference"], second["p_adjusted"], second["seeds_needed"]
        )
        verdict = because("undecided", needed)
    return f"{use}; {other}, is {verdict or 'not compared'}."


def _where(choice: ChoiceRow) -> str:
    return f"{choice['task']}{', on ' + choice['machine'] if choice['machine'] else ''}"


def _mean(row: RankedRow) -> str:
    return interval(row["mean"], math.nan, math.nan)


def _price(row: RankedRow, unit: str) -> str:
    """What it took, in the unit of the budget and in seconds."""
    seconds = (
        "" if unit == "seconds" or math.isnan(row["seconds"]) else f"{number(row['seconds'])} s"
    )
    return ", ".join(filter(None, [_amount(row["spent"], unit), seconds]))


def _runner_up(choice: ChoiceRow, best: RankedRow, second: RankedRow) -> str:
    """What is known of it against the best."""
    name = f"{_name(second, best)} ({mean_of(second)}, worst seed {number(second['worst'])})"
    p = probability(second["p_adjusted"])
    which = "as in msbench compare" if second["declared"] else "against the best, for all pairs"
    reason = f"{difference_of(second)}, {p} ({which})" if p else difference_of(second)
    if choice["shown"]:
        return f"the runner-up, {name}, is worse: {reason}"
    verdict = f"is {second['verdict']}"
    if second["verdict"] == "undecided":
        pairs, difference = second["pairs"], second["difference"]
        needed = undecided(pairs, difference, second["p_adjusted"], second["seeds_needed"])
        verdict = f"is undecided ({needed})"
    elif second["verdict"] != "better":
        verdict += f" ({number(second['margin'])})"
    others = choice["alike"] - 1
    more = (
        f" Nor are {others} others shown to be worse by more."
        if others > 1
        else " Nor is another shown to be worse by more."
        if others
        else ""
    )
    return (
        f"the runner-up, {name}, {verdict}: {reason}.{more} "
        "Nothing here speaks against the cheaper of them"
    )


def _next_steps(recommendation: Recommendation, choice: ChoiceRow) -> list[str]:
    """What may be tried."""
    steps = []
    second, needed = choice["runner_up"], choice["seeds_needed"]
    if second is not None and second["verdict"] == "undecided":
        if second["pairs"] < 2:
            steps.append("run more seeds: with fewer than two of both nothing can be shown")
        elif math.isinf(needed):
            steps.append("another strategy: even 10,000 seeds would not tell these two apart")
        elif not math.isnan(needed):
            steps.append(
                f"run about {needed:,.0f} seeds (msbench run --seeds): a difference of this size "
                "and spread is then decided in 4 of 5 cases"
            )
    for name, options in choice["edges"].items():
        steps.append(f"widen the space of {name}: its {', '.join(options)} is at the edge of it")
    if choice["best"]["spent"] < 0.98 * recommendation.amount:
        spent = _amount(choice["best"]["spent"], recommendation.unit)
        steps.append(f"use the whole budget: the best was only measured up to {spent}")
    if choice["falling"]:
        steps.append("a larger budget: the validation loss of the best still falls at its end")
    return steps


def _evidence(recommendation: Recommendation, rows: Sequence[RankedRow]) -> Cells:
    axes = [axis for axis in DETAILS if varies(recommendation.rows, axis)]
    later = any(row["measured"] < row["n_ok"] for row in rows)
    cells = [
        {
            "task": row["task"],
            "machine": row["machine"],
            **{axis: row[axis] for axis in axes},
            "optimizer": row["optimizer"],
            "decoder": row["decoder"],
            "measured": row["quantity"],
            **mean_cells(row),
            "worst seed": number(row["worst"]),
            "vs the best": "" if row["rank"] == 1 else difference_of(row),
            **verdict_cells(row),
            "spent": _amount(row["spent"], recommendation.unit),
            "seeds measured": f"{row['measured']} of {row['n_ok']}" if later else "",
            "seeds ok": seeds_ok(row),
        }
        for row in rows
    ]
    columns = ("machine", "decoder", "95 % interval", "p", "to decide", "seeds added")
    return ditto(drop_empty(cells, *columns, "seeds measured"))


def _name(row: RankedRow, other: RankedRow | None) -> str:
    """The optimizer, with what else tells it from the other."""
    axes = [axis for axis in COMPARED if axis != "optimizer"]
    more = [row[axis] for axis in axes if other and row[axis] != other[axis] and row[axis]]
    return f"{row['optimizer']} with {', '.join(more)}" if more else str(row["optimizer"])


def _amount(amount: float, unit: str) -> str:
    return f"{amount:.3g} FLOPs" if unit == "flops" else f"{number(amount)} {unit}"
