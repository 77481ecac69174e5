"""What strategies cost: a row per strategy and machine of training, and one per decoder."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msbench.compare.columns import COSTS, DECODED, Ledger, Trained
from msbench.compare.labels import Labels
from msbench.compare.rows import Row
from msbench.spec import AXES

OF_MACHINE = ("train_seconds", "tokens_per_second", "peak_memory", "throughput", "throughput_ratio")
"""What no other machine repeats: never averaged over several."""


Speeds = Mapping[tuple[str, ...], Row]
"""Rows of throughput by AXES and machine."""


def training_rows(
    ledger: Ledger, trials: Trained, speeds: Speeds, by: str, bases: Mapping[str, str]
) -> list[Row]:
    """A row per strategy and machine: means over the seeds that ended ok.

    `gap` is the loss on (a sample of) the training split minus that on the test split,
    `overfitting` how far the last validation loss is above the best.
    """
    ok = ledger.ok[trials.trial]
    columns = {name: ledger.trials[name] for name in (*COSTS, "gap", "best", "last")}
    columns["overfitting"] = columns.pop("last") - columns["best"]
    means = {
        "best_loss" if name == "best" else name: _means(
            trials.cell[ok], column[trials.trial[ok]], len(trials.cells)
        )
        for name, column in columns.items()
    }
    n = np.bincount(trials.cell, minlength=len(trials.cells))
    n_ok = np.bincount(trials.cell[ok], minlength=len(trials.cells))
    rows = []
    for i, cell in enumerate(trials.cells):
        speed = speeds.get(tuple(cell[key] for key in (*AXES, "machine")), {})
        rows.append(
            {
                **cell,
                "n": int(n[i]),
                "n_ok": int(n_ok[i]),
                **{name: float(mean[i]) for name, mean in means.items()},
                "throughput": speed.get("per_second", math.nan),
                "throughput_ratio": speed.get("ratio", math.nan),
                "baseline": cell.get(by) == bases.get(cell["task"]),
            }
        )
    return rows


def costs_by_cell(training: Sequence[Row]) -> dict[tuple[str, ...], Row]:
    """The costs of every strategy over its machines; what is of a machine only if there was one."""
    rows: dict[tuple[str, ...], list[Row]] = {}
    for row in training:
        rows.setdefault(tuple(row[axis] for axis in AXES), []).append(row)
    return {axes: _pooled(several) for axes, several in rows.items()}


def _pooled(rows: Sequence[Row]) -> Row:
    weights = [row["n_ok"] for row in rows]
    pooled = {}
    for name in (*COSTS, "gap", "overfitting", "throughput", "throughput_ratio"):
        if len(rows) > 1 and name in OF_MACHINE:
            pooled[name] = math.nan
        elif len(rows) == 1:
            pooled[name] = rows[0][name]
        else:
            pairs = [(w, row[name]) for w, row in zip(weights, rows, strict=True) if w]
            total = sum(w for w, _ in pairs)
            pooled[name] = sum(w * x for w, x in pairs) / total if total else math.nan
    return pooled


def decoding_rows(
    ledger: Ledger,
    trials: Trained,
    labels: Labels,
    means: Mapping[tuple[str, ...], Row],
    by: str,
    bases: Mapping[str, str],
) -> list[Row]:
    """A row per strategy, machine and decoder: what predicting the test split took and gave.

    means: rows of scores by AXES and decoder, of each task's main metric. Empty where no record
    counts the steps of a decoder: older ones do not.
    """
    if np.isnan(ledger.decoded["steps"]).all():
        return []
    where = np.full(len(ledger.kept), -1)
    where[trials.trial] = np.arange(len(trials.trial))
    there = where[ledger.decoded["trial"]] >= 0
    columns = {name: column[there] for name, column in ledger.decoded.items()}
    seconds = np.where(columns["seconds"] > 0, columns["seconds"], np.nan)
    columns["tokens_per_second"] = columns["tokens"] / seconds
    names = [
        [labels.of(record, "decoder", part) for part in record.job["decoders"]]
        for record in ledger.groups
    ]
    decoders = sorted({name for several in names for name in several})
    known = np.zeros((len(names), max(map(len, names))), dtype=np.int64)
    for group, several in enumerate(names):
        known[group, : len(several)] = [decoders.index(name) for name in several]
    decoder = known[ledger.trials["group"][columns["trial"]], columns["place"]]
    codes = trials.cell[where[columns["trial"]]] * len(decoders) + decoder
    found, inverse = np.unique(codes, return_inverse=True)
    shown = ("tokens_per_second", *DECODED)
    averages = {name: _means(inverse, columns[name], len(found)) for name in shown}
    counts = np.bincount(inverse, minlength=len(found))
    rows = []
    for i, code in enumerate(found.tolist()):
        cell = trials.cells[code // len(decoders)]
        name = decoders[code % len(decoders)]
        score = means.get((*(cell[axis] for axis in AXES), name), {})
        rows.append(
            {
                **{str(axis): cell[axis] for axis in AXES},
                "decoder": name,
                "machine": cell["machine"],
                "n": int(counts[i]),
                "metric": score.get("metric", "-"),
                "mean": score.get("mean", math.nan),
                **{key: float(averages[key][i]) for key in shown},
                "baseline": {**cell, "decoder": name}[by] == bases.get(cell["task"]),
            }
        )
    return rows


def _means(codes: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[Any]:
    """The mean of the values of each code; those that are not known are left out."""
    known = ~np.isnan(values)
    total = np.bincount(codes[known], weights=values[known], minlength=size)
    count = np.bincount(codes[known], minlength=size)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)
