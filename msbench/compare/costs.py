"""What strategies cost: a row per strategy and machine of training, and one per decoder."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from msbench.compare.columns import COSTS, DECODED, Columns, Trained
from msbench.compare.rows import (
    Bases,
    CostRow,
    DecodingRow,
    StrategyKey,
    ThroughputRow,
    TrainingRow,
    is_baseline,
)
from msbench.compare.stats import mean_intervals
from msbench.compare.verdicts import Scored
from msbench.spec import Compared

MEASURED = (*COSTS, "generalization_gap", "overfitting")
"""Columns of CostRow that are means over trials."""

OF_MACHINE = ("train_seconds", "tokens_per_second", "peak_memory", "throughput", "throughput_ratio")
"""What no other machine repeats: never averaged over several."""


def training_rows(
    columns: Columns,
    trials: Trained,
    throughput: Sequence[ThroughputRow],
    by: Compared,
    bases: Bases,
) -> list[TrainingRow]:
    """A row per strategy and machine: means over the seeds that ended ok."""
    ok = columns.ok[trials.trial]
    table = {**columns.trials, "overfitting": columns.trials["last"] - columns.trials["best"]}
    means = {
        name: _means(trials.cell[ok], table[name][trials.trial[ok]], len(trials.cells))
        for name in (*MEASURED, "best")
    }
    n = np.bincount(trials.cell, minlength=len(trials.cells))
    n_ok = np.bincount(trials.cell[ok], minlength=len(trials.cells))
    timed = {(*StrategyKey.of(row), row["machine"]): row for row in throughput if row["optimizer"]}
    rows = []
    for i, cell in enumerate(trials.cells):
        alone = timed.get((*StrategyKey.of(cell), cell["machine"]))
        row = {
            **cell,
            "n": int(n[i]),
            "n_ok": int(n_ok[i]),
            **{name: float(means[name][i]) for name in COSTS},
            "generalization_gap": float(means["generalization_gap"][i]),
            "best_loss": float(means["best"][i]),
            "overfitting": float(means["overfitting"][i]),
            "throughput": alone["per_second"] if alone else math.nan,
            "throughput_ratio": alone["ratio"] if alone else math.nan,
            "baseline": is_baseline(cell, by, bases),
        }
        rows.append(cast(TrainingRow, row))
    return rows


def costs_by_strategy(training: Sequence[TrainingRow]) -> dict[tuple[str, ...], CostRow]:
    """The costs of every strategy over its machines; what is of a machine only if there was one."""
    rows: dict[tuple[str, ...], list[TrainingRow]] = {}
    for row in training:
        rows.setdefault(StrategyKey.of(row), []).append(row)
    return {strategy: _pooled(of_machines) for strategy, of_machines in rows.items()}


def _pooled(rows: Sequence[TrainingRow]) -> CostRow:
    """Means over machines, weighted by their trials."""
    values: Sequence[Mapping[str, float]] = [cast(Mapping[str, float], row) for row in rows]
    total = sum(row["n_ok"] for row in rows)
    pooled = {}
    for name in (*MEASURED, "throughput", "throughput_ratio"):
        if len(rows) == 1:
            pooled[name] = values[0][name]
        elif name in OF_MACHINE or not total:
            pooled[name] = math.nan
        else:
            pooled[name] = sum(v["n_ok"] * v[name] for v in values if v["n_ok"]) / total
    return cast(CostRow, pooled)


def decoding_rows(
    columns: Columns, scores: Scored, machines: Sequence[str], by: Compared, bases: Bases
) -> list[DecodingRow]:
    """A row per strategy, machine and decoder: what predicting the test split took and gave.

    Of a decoder and seed the newest result counts, the one that scores are of. machines: names, in
    the order of `Columns.machines`. Empty where no record counts the steps of a decoder: older
    ones do not.
    """
    if np.isnan(columns.decoded["steps"]).all():
        return []
    cells = _one_per_decoder(scores)
    trial, values = scores.trial[cells], scores.values[cells]
    decoded = columns.predictions(trial, scores.place[cells])
    seconds = columns.decoded["seconds"]
    rate = columns.decoded["tokens"] / np.where(seconds > 0, seconds, np.nan)
    table = {"tokens_per_second": rate, **{name: columns.decoded[name] for name in DECODED}}
    rows = []
    for number, machine in enumerate(machines):
        on_it = (scores.status[cells] == 0) & (columns.trials["machine"][trial] == number)
        at = np.where(on_it, decoded, -1)
        means = {name: _mean(np.append(column, np.nan)[at]) for name, column in table.items()}
        mean, n = _mean(np.where(at >= 0, values, np.nan)), (at >= 0).sum(axis=1)
        for i in np.flatnonzero(n).tolist():
            cell = scores.cells[cells[i]]
            row = {
                **StrategyKey.of(cell).row(),
                "decoder": cell["decoder"],
                "machine": machine,
                "n": int(n[i]),
                "metric": cell["metric"] if cell["main"] else "-",
                "mean": float(mean[i]) if cell["main"] else math.nan,
                **{name: float(column[i]) for name, column in means.items()},
                "baseline": is_baseline(cell, by, bases, cell["decoder"]),
            }
            rows.append(cast(DecodingRow, row))
    return sorted(rows, key=lambda row: (*StrategyKey.of(row), row["decoder"]))


def _one_per_decoder(scores: Scored) -> list[int]:
    """Of every strategy and decoder one cell, that of the main metric if it is scored by it."""
    found: dict[tuple[str, ...], int] = {}
    for number, cell in enumerate(scores.cells):
        key = (*StrategyKey.of(cell), cell["decoder"])
        if cell["main"] or key not in found:
            found[key] = number
    return list(found.values())


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of every row, over the seeds that are known."""
    return mean_intervals(values)[0]


def _means(codes: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The mean of the values of each code; those that are not known are left out."""
    known = ~np.isnan(values)
    total = np.bincount(codes[known], weights=values[known], minlength=size)
    count = np.bincount(codes[known], minlength=size)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)
