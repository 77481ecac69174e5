"""Records of throughput -> what `msbench bench` tells: speed, where time goes, and noise."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from msbench.compare.labels import Labels
from msbench.compare.rows import StrategyRow
from msbench.compare.throughput import ratio_interval
from msbench.records.record import Record
from msbench.records.schema import RatesData


class SpeedRow(StrategyRow):
    """Speed of a strategy or decoder; the ratio is to the baseline's, within rounds."""

    decoder: str
    again: bool
    """Whether it is the baseline once more."""
    baseline: bool
    tokens_per_second: float
    examples_per_second: float
    ratio: float
    ratio_low: float
    ratio_high: float
    rounds: int
    joules_per_token: float


class TrainingSpeedRow(SpeedRow):
    """Seconds are of one step, and bytes of memory."""

    data: float
    forward: float
    backward: float
    optimizer_seconds: float
    setup_seconds: float
    first_step_seconds: float
    peak_memory: float
    flops_per_second: float
    peak_share: float


class DecodingSpeedRow(SpeedRow):
    """Seconds until a whole batch has its first tokens."""

    first_token_seconds: float


@dataclass(frozen=True)
class Bench:
    """What was measured, a task and model after the other."""

    training: Sequence[TrainingSpeedRow]
    decoding: Sequence[DecodingSpeedRow]
    notes: Sequence[str]
    """What makes figures doubtful, or missing."""


def bench(records: Sequence[Record]) -> Bench:
    """The rows of all measurements that ended ok."""
    measured = [record for record in records if record.status == "ok"]
    labels = Labels(measured)
    return Bench(
        [row for record in measured for row in _training(record, labels)],
        [row for record in measured for row in _decoding(record, labels)],
        [note for record in measured for note in _notes(record, labels)],
    )


def _training(record: Record, labels: Labels) -> Iterator[TrainingSpeedRow]:
    results = record.measurement_results
    base = results["training"][0]
    for each in results["training"]:
        axes = labels.strategy(record, record.trial, each["strategy"])
        speed = _speed(axes, "", each, base, each is base)
        yield cast(TrainingSpeedRow, {**speed, **_step(each)})
    if "noise" in results:
        axes = labels.strategy(record, record.trial, base["strategy"])
        again = _speed(axes, "", results["noise"]["training"], base, again=True)
        yield cast(TrainingSpeedRow, {**again, **_step({})})


def _decoding(record: Record, labels: Labels) -> Iterator[DecodingSpeedRow]:
    results = record.measurement_results
    axes = labels.strategy(record, record.trial)
    axes |= {"loss": "", "optimizer": "", "schedule": ""}  # any will do: what is timed is decoding
    for each in results["decoding"]:
        name = labels.of(record, "decoder", each["decoder"])
        base = results["decoding"][0]
        first = _number(each.get("first_token_seconds"))
        yield {**_speed(axes, name, each, base, each is base), "first_token_seconds": first}
    if noise := results.get("noise", {}).get("decoding"):
        base = results["decoding"][0]
        name = labels.of(record, "decoder", base["decoder"])
        again = _speed(axes, name, noise, base, again=True)
        yield {**again, "first_token_seconds": math.nan}


def _speed(
    axes: StrategyRow,
    decoder: str,
    mine: RatesData,
    base: RatesData,
    baseline: bool = False,
    again: bool = False,
) -> SpeedRow:
    ratio, low, high = ratio_interval(mine["rates"], base["rates"])
    return {
        **axes,
        "decoder": decoder,
        "again": again,
        "baseline": baseline,
        "tokens_per_second": _number(mine.get("tokens_per_second")),
        "examples_per_second": _number(mine.get("examples_per_second")),
        "ratio": ratio,
        "ratio_low": low,
        "ratio_high": high,
        "rounds": len(mine["rates"]),
        "joules_per_token": _number(mine.get("joules_per_token")),
    }


def _step(each: Mapping[str, Any]) -> dict[str, float]:
    parts = each.get("step") or {}
    names = ("setup_seconds", "first_step_seconds", "peak_memory", "flops_per_second", "peak_share")
    return {
        **{name: _number(parts.get(name)) for name in ("data", "forward", "backward")},
        "optimizer_seconds": _number(parts.get("optimizer")),
        **{name: _number(each.get(name)) for name in names},
    }


def _notes(record: Record, labels: Labels) -> Iterator[str]:
    results, task = record.measurement_results, labels.task(record.trial)
    if busy := results.get("busy"):
        yield f"{task}: the machine was too busy: {busy}"
    for each in results["failed"]:
        yield f"{task}: {each['strategy']} could not be measured: {each['reason']}"
    peak = results.get("matrix_peak")
    if peak:
        yield f"{task}: matrix products reach {peak / 1e9:,.1f} GFLOP/s here"


def _number(value: float | None) -> float:
    return math.nan if value is None else value
