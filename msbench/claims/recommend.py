"""Records -> which strategy to use at a budget, how sure that is, and what to try next."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from msbench.claims.candidates import Budget, Contest, contests
from msbench.claims.evidence import Evidence, Trials, gather
from msbench.claims.ranking import best_first, choice, ranked
from msbench.claims.results import ChoiceRow, RankedRow, Recommendation
from msbench.compare.columns import Columns
from msbench.compare.rows import StrategyKey
from msbench.compare.searches import untuned
from msbench.errors import MsbenchError, did_you_mean
from msbench.records.record import Record
from msbench.spec import Question

UNITS = {"passes": "passes", "steps": "steps", "s": "seconds", "flops": "flops"}
"""The units that a budget may be written in, and what they stand for."""


def budget(text: str) -> Budget:
    """`"500passes"` -> `Budget("passes", 500.0)`; MsbenchError says how it is written."""
    match = re.fullmatch(r"\s*(.+?)\s*(passes|steps|s|flops)\s*", text)
    try:
        amount = float(match[1]) if match else math.nan
    except ValueError:
        amount = math.nan
    if match is None or not 0 < amount < math.inf:
        raise MsbenchError(
            f"a budget is an amount and its unit, such as 500passes, 200steps, 60s or 1e12flops, "
            f"not {text!r}"
        )
    return Budget(UNITS[match[2]], amount)


def recommend(
    records: Iterable[Record] | Columns,
    unit: str,
    amount: float,
    *,
    task: str = "",
    metric: str = "",
    question: Question | None = None,
) -> Recommendation:
    """The strategies of every task, best first, by what they gave within `amount` of `unit`.

    Where all trials of a task fit into the budget it is the test metric at their end. Else it is
    the validation loss at the budget, for all of them. Seconds are compared within a machine.
    Nothing is recommended of which fewer than two seeds were measured. task: this one alone.
    question: what was declared. metric: instead of the one that decides. Raises MsbenchError where
    there are no trials, or no such task or metric.
    """
    evidence, allowed = gather(records, metric, question), Budget(unit, amount)
    rows: list[RankedRow] = []
    choices: list[ChoiceRow] = []
    notes: list[str] = []
    held = list(contests(evidence, _of(evidence, task), allowed))
    for contest in held:
        where, candidates = ", ".join(_told_apart(contest, held)), best_first(contest)
        if not candidates:
            notes.append(f"{where}: no evidence{_reason(evidence, contest, allowed)}")
            continue
        ranking = ranked(evidence, contest, candidates)
        rows += ranking
        if ranking[0]["verdict"] == "best":
            choices.append(choice(evidence, contest, candidates, ranking))
        else:
            notes.append(f"{where}: no recommendation, since {_too_few(ranking[0], allowed)}")
    notes += _untuned(evidence, held) if not (question and question.tuned_by) else []
    return Recommendation(rows, choices, unit, amount, [*notes, *evidence.notes])


def _untuned(evidence: Evidence, held: Sequence[Contest]) -> list[str]:
    """That optimizers are compared although no search chose their options."""
    named = set(untuned(evidence.columns, evidence.labels))
    compared = {each.axes.optimizer for contest in held for each in contest.candidates}
    if len(compared) < 2 or not compared & named:
        return []
    return [
        f"untuned, so the best may only have the best rate: {', '.join(sorted(compared & named))}"
    ]


def _of(evidence: Evidence, task: str) -> dict[StrategyKey, Trials]:
    """The trials of a task, or all; a bare name also means all that options tell apart."""
    means = evidence.labels.means
    chosen = {a: t for a, t in evidence.trials.items() if not task or means(task, a.task)}
    if not chosen:
        known = {axes.task for axes in evidence.trials}
        raise MsbenchError(f"no task {task!r} in these results{did_you_mean(task, known)}")
    return chosen


def _told_apart(contest: Contest, held: Sequence[Contest]) -> Iterator[str]:
    """The task, and the loss and the machine where the task has contests of several."""
    task, machine, loss = contest.about["task"], contest.about["machine"], contest.loss
    rivals = [other for other in held if other.about["task"] == task]
    yield task
    if any(other.loss != loss for other in rivals):
        yield loss
    if any(other.about["machine"] != machine for other in rivals):
        yield f"on {machine}"


def _too_few(first: RankedRow, budget: Budget) -> str:
    """That the strategy with the most seeds has too few of them, and what would help."""
    later, lost = first["n_ok"] - first["measured"], first["n"] - first["n_ok"]
    early = first["quantity"] == "validation loss"  # a test metric is of the end, or is no number
    why = [f"{later} {'not measured by then' if early else 'gave no number'}"] if later else []
    why += [f"{lost} did not end ok"] if lost else []
    seeds = ", ".join([f"{first['measured']} of {first['n']} seeds", *why])
    larger = "a larger budget or more validations"
    help_ = larger if later and early else "more seeds (msbench run --seeds)"
    return (
        f"no strategy was measured with two seeds within {budget.amount:g} {budget.unit} "
        f"({first['optimizer']}: {seeds}): {help_} may tell"
    )


def _reason(evidence: Evidence, contest: Contest, budget: Budget) -> str:
    """Why there is no evidence."""
    trials = np.concatenate([each.trials for each in contest.candidates])
    ok = trials[evidence.ok(trials)].tolist()
    spent = [evidence.curves.of(trial, budget.unit).spent[:1].tolist() for trial in ok]
    first = [amount for amounts in spent for amount in amounts if not math.isnan(amount)]
    if not ok:
        return f", since none of {np.count_nonzero(trials >= 0)} trials ended ok"
    if not first:
        return f", since its records do not say what was measured at how many {budget.unit}"
    return (
        f" at {budget.amount:g} {budget.unit}: the earliest that was measured is at "
        f"{min(first):.4g} {budget.unit}"
    )
