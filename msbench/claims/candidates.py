"""Strategies that can be ranked at a budget, by what each gave within it, seed by seed."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from msbench.claims.evidence import Array, Evidence, Trials
from msbench.claims.results import Better, Contested
from msbench.compare.curves import NEAR
from msbench.compare.rows import StrategyKey


class Budget(NamedTuple):
    """What training may take."""

    unit: str
    """passes, steps, seconds or flops."""
    amount: float


@dataclass(frozen=True)
class Candidate:
    """A strategy, and what it gave by seed within the budget."""

    axes: StrategyKey
    decoder: str
    """Empty where validation losses are compared."""
    trials: Trials
    values: Array
    """NaN where a trial did not end ok or nothing was measured so early."""
    spent: float
    """What the values took, in the unit of the budget, on average."""
    cell: int = -1
    """Its row in the scores, where test scores are compared."""


@dataclass(frozen=True)
class Contest:
    """Candidates of one task that are ranked by one quantity."""

    about: Contested
    candidates: Sequence[Candidate]

    @property
    def loss(self) -> str:
        """What all candidates train with, if they are ranked by it."""
        return self.candidates[0].axes.loss


def contests(
    evidence: Evidence, trials: Mapping[StrategyKey, Trials], budget: Budget
) -> Iterator[Contest]:
    """By task, and where seconds count by machine: the test metric if all trials fit into the
    budget, else the validation loss, kind by kind."""
    for task in sorted({axes.task for axes in trials}):
        of_task = {axes: each for axes, each in trials.items() if axes.task == task}
        for machine, each in _by_machine(evidence, of_task, budget.unit):
            for quantity, better, candidates in _measured(evidence, each, budget):
                about = Contested(task=task, machine=machine, quantity=quantity, better=better)
                yield Contest(about, candidates)


def _by_machine(
    evidence: Evidence, trials: Mapping[StrategyKey, Trials], unit: str
) -> Iterator[tuple[str, Mapping[StrategyKey, Trials]]]:
    if unit != "seconds" or len(evidence.machines) < 2:
        yield "", trials
        return
    machine = evidence.columns.trials["machine"]
    for number, name in enumerate(evidence.machines):
        on_it = {a: np.where((t >= 0) & (machine[t] == number), t, -1) for a, t in trials.items()}
        if kept := {axes: each for axes, each in on_it.items() if (each >= 0).any()}:
            yield name, kept


def _measured(
    evidence: Evidence, trials: Mapping[StrategyKey, Trials], budget: Budget
) -> Iterator[tuple[str, Better, list[Candidate]]]:
    """(quantity, which is better, candidates)."""
    ends = evidence.curves.ends(budget.unit)
    spent = {axes: np.where(evidence.ok(t), ends[t], np.nan) for axes, t in trials.items()}
    known = [end for each in spent.values() for end in each[~np.isnan(each)].tolist()]
    if known and max(known) <= budget.amount * (1 + NEAR):
        scored = _with_scores(evidence, trials, spent)
        if any(not np.isnan(each.values).all() for each in scored):
            cell = evidence.scores.cells[evidence.cells[scored[0].axes][scored[0].decoder]]
            better: Better = "lower" if cell["lower_is_better"] else "higher"
            yield f"test {cell['metric']}", better, scored
            return
    losses: dict[str, list[Candidate]] = defaultdict(list)
    for axes, each in trials.items():
        losses[axes.loss].append(_with_losses(evidence, axes, each, budget))
    for group in losses.values():
        yield "validation loss", "lower", group


def _with_scores(
    evidence: Evidence, trials: Mapping[StrategyKey, Trials], spent: Mapping[StrategyKey, Array]
) -> list[Candidate]:
    """A candidate per strategy, by the test metric at the end of each trial and the decoder that
    decides; per strategy and decoder, if decoders are what is compared."""
    asked, candidates = evidence.settled.asked, []
    for axes, each in trials.items():
        decides = asked.decoders.get(axes.task)
        for decoder, cell in evidence.cells.get(axes, {}).items():
            if asked.by == "decoder" or decoder == decides:
                values = np.where(each >= 0, evidence.scores.values[cell], np.nan)
                found = _candidate(axes, decoder, each, values, spent[axes])
                candidates.append(replace(found, cell=cell))
    return candidates


def _with_losses(
    evidence: Evidence, axes: StrategyKey, trials: Trials, budget: Budget
) -> Candidate:
    """By the validation loss at the budget, or at the end of a trial that took less."""
    values, spent = np.full((2, len(trials)), np.nan)
    for seed in np.flatnonzero(evidence.ok(trials)).tolist():
        curve = evidence.curves.of(int(trials[seed]), budget.unit)
        spent[seed] = min(budget.amount, curve.end)
        values[seed] = curve.at(spent[seed])
    return _candidate(axes, "", trials, values, spent)


def _candidate(
    axes: StrategyKey, decoder: str, trials: Trials, values: Array, spent: Array
) -> Candidate:
    """spent: by seed."""
    known = spent[~np.isnan(values) & ~np.isnan(spent)]
    mean = float(known.mean()) if known.size else math.nan
    return Candidate(axes, decoder, trials, values, mean)
