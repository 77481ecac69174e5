"""What does `prune` save, and what does it lose? Replayed on the searches of reference records.

    python studies/pruning.py [RESULTS]

The searches of results/reference/optimizers ran without pruning, so every trial's whole curve is
known. Each search goes again as if trials had been stopped, by msbench's own method and limits.
Where the losses that are gone lead it to a point that was never tried, it ends there, and counts as
another winner. Prints the table of docs/tuning.md and writes it to results/reference/pruning.json.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from msbench import Record, load_plugins, load_suite, read
from msbench.plan.methods import Attempt, Point, method_of
from msbench.plan.pruning import limits
from msbench.plan.tuning import SEEDS, Search, plan_searches
from msbench.spec import Tuning

RECORDS = Path("results/reference/optimizers")
OUT = Path(__file__).parent.parent / "results/reference/pruning.json"

RULES = [(kept, watched) for kept in (2, 3, 4, 6) for watched in (0.25, 0.5, 0.75)]
"""Curves that a trial has to be among, and the share of the budget after which it has to."""

Curves = Mapping[tuple[str, int], Record]
"""The trials of a search by point and seed."""


@dataclass(frozen=True)
class Ended:
    """How a search ended."""

    winner: Point | None
    """None where it went to a point that was never tried."""
    passes: float


def searches(records: Sequence[Record]) -> list[tuple[Tuning, Search, Curves]]:
    """The searches of the suite on every task, with what their trials left."""
    suite = load_suite("optimizers")
    planned, problems = plan_searches(suite, load_plugins())
    assert suite.tuning is not None
    assert not problems, problems
    by_name = {
        search.optimizer.label or search.optimizer.name: search for search in planned.values()
    }
    found: dict[tuple[str, str], dict[tuple[str, int], Record]] = {}
    for record in records:
        if record.is_search and (tuned := record.trial["tuned"]):
            trial = record.trial
            of = trial["task"]["name"], trial["optimizer"]["label"] or trial["optimizer"]["name"]
            at = _named(tuned["options"]), trial["seed"] - SEEDS
            found.setdefault(of, {})[at] = record
    return [(suite.tuning, by_name[name], curves) for (_, name), curves in sorted(found.items())]


def _named(point: Point) -> str:
    return json.dumps(dict(sorted(point.items())))


def replay(how: Tuning, search: Search, curves: Curves, rule: tuple[int, float] | None) -> Ended:
    """The search again, its trials stopped by a rule; None = never."""
    method, passes = method_of(search.space, search.start, how), 0.0
    seen: list[Sequence[float]] = []
    try:
        attempts = next(method)
        while True:
            above = limits(seen, *rule) if rule else ()
            ends = [_end(attempt, curves, above) for attempt in attempts]
            known = [end for end in ends if end is not None]
            if len(known) < len(ends):
                return Ended(None, passes)
            seen += [curve for curve, _, _ in known]
            passes += math.fsum(each for _, _, each in known)
            attempts = method.send([loss for _, loss, _ in known])
    except StopIteration as end:
        return Ended(end.value.point if end.value else None, passes)


def _end(
    attempt: Attempt, curves: Curves, above: Sequence[float | None]
) -> tuple[Sequence[float], float, float] | None:
    """(the curve, the loss that counts, the passes) of a trial; None if it was never run."""
    record = curves.get((_named(attempt.point), attempt.seed))
    if record is None:
        return None
    curve = record.validation_curve
    points = record.trial_results["training"]["curve"]
    for number, limit in enumerate(() if attempt.seed else above):
        if number < len(curve) and limit is not None and curve[number] > limit:
            return curve[: number + 1], math.inf, points[number]["passes"] or 0.0
    spent = record.trial_results["training"]["passes"] or 0.0
    return curve, record.validation_loss, spent


def row(
    known: Sequence[tuple[Tuning, Search, Curves]], rule: tuple[int, float]
) -> Mapping[str, Any]:
    """What a rule saves and loses over all searches that are complete."""
    saved, losses, same, total = 0.0, list[float](), 0, 0.0
    for how, search, curves in known:
        whole = replay(how, search, curves, None)
        cut = replay(how, search, curves, rule)
        assert whole.winner is not None
        total += whole.passes
        saved += whole.passes - cut.passes if cut.winner else 0.0
        same += cut.winner == whole.winner
        if cut.winner:
            losses.append(_mean(curves, cut.winner) / _mean(curves, whole.winner) - 1)
    return {
        "kept": rule[0],
        "watched": rule[1],
        "saved": saved / total,
        "same": same / len(known),
        "worse": sum(losses) / len(losses),
    }


def _mean(curves: Curves, point: Point) -> float:
    """The mean loss of a point over the seeds that it was tried with."""
    losses = [r.validation_loss for (at, _), r in curves.items() if at == _named(point)]
    return math.fsum(losses) / len(losses)


def table(figures: Mapping[str, Any]) -> str:
    """Shares in %."""
    cells = [
        {
            "among the best": row["kept"],
            "after, % of the budget": f"{100 * row['watched']:.0f}",
            "passes saved, %": f"{100 * row['saved']:.1f}",
            "same winner, %": f"{100 * row['same']:.0f}",
            "winner's loss above, %": f"{100 * row['worse']:.2f}",
        }
        for row in figures["rows"]
    ]
    return tabulate(cells, headers="keys", tablefmt="pipe", disable_numparse=True)


def main(results: Path) -> None:
    """Replay, print and write."""
    every = searches(read(results).records)
    known = [each for each in every if replay(*each, None).winner is not None]
    figures = {
        "searches": len(known),
        "without": len(every) - len(known),
        "rows": [row(known, rule) for rule in RULES],
    }
    OUT.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(table(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDS)
