"""Time to target: passes, FLOPs and seconds until the validation loss was low enough."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from msbench.compare.asked import PLAIN
from msbench.compare.columns import Columns, Trained
from msbench.compare.labels import Labels
from msbench.compare.rows import Bases, StrategyRow, TargetRow, is_baseline
from msbench.spec import Compared

Target = float | Mapping[str, float] | None
"""One loss for all tasks, one per task, or none: the median of the baseline's best."""

UNITS = ("passes", "flops", "seconds")


def auto_targets(
    columns: Columns, trials: Trained, by: Compared, bases: Bases
) -> dict[tuple[str, str], float]:
    """Per task and loss, the median over the baseline's trials of their best validation loss.

    No competitor counts, so that adding one changes nothing. Losses of two kinds are not compared.
    """
    if by == "decoder":
        return {}  # decoders do not train
    best = np.where(columns.ok, columns.trials["best"], np.inf)[trials.trial]
    found: dict[tuple[str, str], list[float]] = {}
    for number, cell in enumerate(trials.cells):
        if is_baseline(cell, by, bases):
            values = best[trials.cell == number]
            key = (cell["task"], cell["loss"])
            found.setdefault(key, []).extend(values[~np.isnan(values)].tolist())
    # Of an even number the higher of the two in the middle: the median trial itself reaches it.
    medians = {key: statistics.median_high(values) for key, values in found.items() if values}
    return {key: value for key, value in medians.items() if math.isfinite(value)}


def freezing(targets: Mapping[tuple[str, str], float], labels: Labels) -> list[str]:
    """The lines that keep automatic targets in a suite; none for tasks with several losses."""
    tasks = [task for task, _ in targets]
    lines = [
        f"{json.dumps(labels.name(task), ensure_ascii=False)} = {value!r}"
        for (task, _), value in targets.items()
        if tasks.count(task) == 1
    ]
    return ["[target]", *lines] if lines else []


def resolved(
    target: Target,
    cells: Sequence[StrategyRow],
    auto: Mapping[tuple[str, str], float],
    labels: Labels,
    by: Compared,
    bases: Bases,
) -> tuple[list[float], list[str]]:
    """(the target of every cell, NaN where there is none; notes on losses that have none).

    A number that is given is of one loss, that of the baseline: nats and squared errors share no
    target.
    """
    if target is None:
        return [auto.get((cell["task"], cell["loss"]), math.nan) for cell in cells], []
    losses = _losses(cells, by, bases)
    found, others = [], set()
    for cell in cells:
        task = cell["task"]
        # A task that is told apart by its options still has its name in the suite.
        value = (
            target.get(task, target.get(labels.name(task), math.nan))
            if isinstance(target, Mapping)
            else target
        )
        if cell["loss"] != losses[task] and not math.isnan(value):
            others.add((task, losses[task], cell["loss"]))
            value = math.nan
        found.append(value)
    notes = [
        f"{task}: the target is a loss of {own}, and {other} is measured in something else"
        for task, own, other in sorted(others)
    ]
    return found, notes


def _losses(cells: Sequence[StrategyRow], by: Compared, bases: Bases) -> dict[str, str]:
    """Per task, the loss that a target is of: the baseline's; of several a plain one, else the
    first by name."""
    of_task: dict[str, set[str]] = {}
    of_base: dict[str, set[str]] = {}
    for cell in cells:
        of_task.setdefault(cell["task"], set()).add(cell["loss"])
        if is_baseline(cell, by, bases):
            of_base.setdefault(cell["task"], set()).add(cell["loss"])
    chosen = {task: of_base.get(task, losses) for task, losses in of_task.items()}
    return {
        task: next((plain for plain in PLAIN if plain in losses), min(losses))
        for task, losses in chosen.items()
    }


def reaching(
    columns: Columns, trials: Trained, targets: Sequence[float]
) -> dict[str, NDArray[np.float64]]:
    """Per trial, in UNITS, what it took until the first measured point at its target or below.

    Infinite where it was not reached or the trial did not end ok; NaN where there is no target or
    nothing was measured. FLOPs are those of the trial, by its share of passes.
    """
    wanted = np.full(len(columns.kept), np.nan)
    wanted[trials.trial] = np.array(targets)[trials.cell]
    at = columns.curve["trial"]
    hits = np.flatnonzero((columns.curve["loss"] <= wanted[at]) & columns.ok[at])
    trial, first = np.unique(at[hits], return_index=True)
    unknown = np.isnan(wanted) | (columns.ok & np.isnan(columns.trials["best"]))
    found = {}
    for unit in ("passes", "seconds"):
        took = np.where(unknown, np.nan, np.inf)
        took[trial] = columns.curve[unit][hits[first]]
        found[unit] = took
    with np.errstate(invalid="ignore"):
        share = found["passes"] / columns.trials["passes"]
        flops = np.where(np.isinf(found["passes"]), np.inf, share * columns.trials["flops"])
    found["flops"] = flops
    return {unit: found[unit][trials.trial] for unit in UNITS}


def target_rows(
    trials: Trained,
    targets: Sequence[float],
    took: Mapping[str, NDArray[np.float64]],
    by: Compared,
    bases: Bases,
) -> list[TargetRow]:
    """A row per strategy and machine that has a target: medians over its seeds, and the share of
    them that reached it. An unreached target is infinite, never left out."""
    rows: list[TargetRow] = []
    for number, (cell, target) in enumerate(zip(trials.cells, targets, strict=True)):
        mine = (trials.cell == number) & ~np.isnan(took["passes"])
        if math.isnan(target) or not mine.any():
            continue
        rows.append(
            {
                **cell,
                "target": float(target),
                "n": int(mine.sum()),
                "reached": float(np.isfinite(took["passes"][mine]).mean()),
                "passes": _median(took["passes"][mine]),
                "flops": _median(took["flops"][mine]),
                "seconds": _median(took["seconds"][mine]),
                "baseline": is_baseline(cell, by, bases),
            }
        )
    return sorted(rows, key=lambda row: (row["task"], row["passes"], -row["reached"]))


def _median(values: Iterable[float]) -> float:
    """NaN if any is not known: FLOPs that a counter lost are no bound."""
    return float(np.median(np.asarray(list(values))))
