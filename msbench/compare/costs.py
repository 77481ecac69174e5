"""What strategies cost: a row per strategy and machine of training, and one per decoder."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from msbench.compare.columns import COSTS, DECODED, Columns, Trained
from msbench.compare.labels import Labels
from msbench.compare.rows import (
    AccuracyRow,
    Bases,
    CostRow,
    DecodingRow,
    StrategyKey,
    ThroughputRow,
    TrainingRow,
    is_baseline,
)
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


def costs_by_strategy(training: Sequence[TrainingRow]) -> dict[StrategyKey, CostRow]:
    """The costs of every strategy over its machines; what is of a machine only if there was one."""
    rows: dict[StrategyKey, list[TrainingRow]] = {}
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
    columns: Columns,
    trials: Trained,
    labels: Labels,
    accuracy: Sequence[AccuracyRow],
    by: Compared,
    bases: Bases,
) -> list[DecodingRow]:
    """A row per strategy, machine and decoder: what predicting the test split took and gave.

    Empty where no record counts the steps of a decoder: older ones do not.
    """
    if np.isnan(columns.decoded["steps"]).all():
        return []
    cell_of_trial = np.full(len(columns.kept), -1)
    cell_of_trial[trials.trial] = trials.cell
    counted = cell_of_trial[columns.decoded["trial"]] >= 0
    table = {name: column[counted] for name, column in columns.decoded.items()}
    seconds = np.where(table["seconds"] > 0, table["seconds"], np.nan)
    table["tokens_per_second"] = table["tokens"] / seconds
    decoders, numbers = _decoders(columns, labels)
    decoder = numbers[columns.trials["group"][table["trial"]], table["place"]]
    codes = cell_of_trial[table["trial"]] * len(decoders) + decoder
    pairs, inverse = np.unique(codes, return_inverse=True)
    means = {
        name: _means(inverse, table[name], len(pairs)) for name in ("tokens_per_second", *DECODED)
    }
    n = np.bincount(inverse, minlength=len(pairs))
    scores = {(*StrategyKey.of(row), row["decoder"]): row for row in accuracy if row["main"]}
    rows = []
    for i, code in enumerate(pairs.tolist()):
        cell, name = trials.cells[code // len(decoders)], decoders[code % len(decoders)]
        score = scores.get((*StrategyKey.of(cell), name))
        row = {
            **StrategyKey.of(cell).row(),
            "decoder": name,
            "machine": cell["machine"],
            "n": int(n[i]),
            "metric": score["metric"] if score else "-",
            "mean": score["mean"] if score else math.nan,
            **{column: float(mean[i]) for column, mean in means.items()},
            "baseline": is_baseline(cell, by, bases, name),
        }
        rows.append(cast(DecodingRow, row))
    return rows


def _decoders(columns: Columns, labels: Labels) -> tuple[list[str], NDArray[np.int64]]:
    """(the labels of all decoders; for each group, which of them is at which place)."""
    by_group = [
        [labels.of(record, "decoder", part) for part in record.trial["decoders"]]
        for record in columns.groups
    ]
    decoders = sorted({label for labels_of_group in by_group for label in labels_of_group})
    numbers = np.zeros((len(by_group), max(map(len, by_group))), dtype=np.int64)
    for group, labels_of_group in enumerate(by_group):
        numbers[group, : len(labels_of_group)] = [decoders.index(each) for each in labels_of_group]
    return decoders, numbers


def _means(codes: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The mean of the values of each code; those that are not known are left out."""
    known = ~np.isnan(values)
    total = np.bincount(codes[known], weights=values[known], minlength=size)
    count = np.bincount(codes[known], minlength=size)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)
