"""Throughput: speeds that were measured alone, and their ratio to the baseline's."""

import math
from collections.abc import Mapping, Sequence

from msbench.compare.labels import Labels
from msbench.compare.rows import Bases, StrategyKey, StrategyRow, ThroughputRow, compared
from msbench.compare.stats import mean_interval
from msbench.records.record import Record
from msbench.records.schema import RatesData
from msbench.spec import Compared, digest

TRAINING, DECODING = "training tokens/s", "examples/s"
"""Units of throughput."""


def throughput_rows(
    measured: Sequence[Record],
    labels: Labels,
    by: Compared,
    bases: Bases,
    machines: Mapping[str, str],
) -> list[ThroughputRow]:
    """Rows of training and of decoding; of a task, model and machine the newest measurement that
    has all strategies which an earlier one has.

    Ratios are formed within rounds: of training to the baseline if it was measured, else to the
    first; of decoding alike. machines: what the machine of each record, by key, is called.
    """
    newest: dict[tuple[str, str, str], Record] = {}
    for record in measured:
        model = labels.of(record, "model", record.trial["model"])
        where = labels.task(record.trial), model, machines[record.key]
        if where not in newest or not _strategies(record) < _strategies(newest[where]):
            newest[where] = record
    rows = [
        row
        for (task, model, machine), record in newest.items()
        for row in (
            *_training(record, labels, machine, by, bases),
            *_decoding(record, labels, task, model, machine, by, bases),
        )
    ]
    return sorted(rows, key=_rank)


def _strategies(record: Record) -> set[str]:
    """What was timed; a measurement of some of them alone leaves that of all in the tables."""
    return {digest(each["strategy"]) for each in record.measurement_results["training"]}


def _training(
    record: Record, labels: Labels, machine: str, by: Compared, bases: Bases
) -> list[ThroughputRow]:
    timed, task = record.measurement_results["training"], labels.task(record.trial)
    axes = [labels.strategy(record, record.trial, each["strategy"]) for each in timed]
    names = [compared(row, by) for row in axes]
    return [
        _row(each, machine, "", TRAINING, rates)
        for each, rates in zip(axes, _rates(timed, names, bases.get(task)), strict=True)
    ]


def _decoding(
    record: Record,
    labels: Labels,
    task: str,
    model: str,
    machine: str,
    by: Compared,
    bases: Bases,
) -> list[ThroughputRow]:
    timed = record.measurement_results["decoding"]
    axes = StrategyKey(task=task, model=model).row()
    decoders = [labels.of(record, "decoder", each["decoder"]) for each in timed]
    names = [compared(axes, by, decoder) for decoder in decoders]
    return [
        _row(axes, machine, decoder, DECODING, rates)
        for decoder, rates in zip(decoders, _rates(timed, names, bases.get(task)), strict=True)
    ]


def ratio_interval(mine: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """(ratio of two rates, low, high): the geometric mean over rounds, and Student's t of the
    logarithms, so that the ratio of base to mine is exactly the inverse.

    mine, base: units per second, round by round; paired by round. Bounds are NaN for one round.
    """
    logs = [math.log(one / other) for one, other in zip(mine, base, strict=True)]
    ratio, low, high = map(math.exp, mean_interval(logs))
    return ratio, low, high


Rates = tuple[float, tuple[float, float, float], int, bool]
"""Median speed, its ratio to the baseline's with bounds, rounds, and whether it is the baseline."""


def _row(axes: StrategyRow, machine: str, decoder: str, unit: str, rates: Rates) -> ThroughputRow:
    per_second, (ratio, low, high), rounds, baseline = rates
    return {
        **axes,
        "decoder": decoder,
        "unit": unit,
        "machine": machine,
        "per_second": per_second,
        "ratio": ratio,
        "ratio_low": low,
        "ratio_high": high,
        "rounds": rounds,
        "baseline": baseline,
    }


def _rates(timed: Sequence[RatesData], names: Sequence[str], baseline: str | None) -> list[Rates]:
    """Of each competitor; ratios are to the one of the baseline's name, else to the first."""
    base = names.index(baseline) if baseline in names else 0
    found = []
    for index, each in enumerate(timed):
        ratio = ratio_interval(each["rates"], timed[base]["rates"])
        found.append((each["per_second"], ratio, len(each["rates"]), index == base))
    return found


def _rank(row: ThroughputRow) -> tuple[object, ...]:
    """Training before decoding, the baseline first, then the fastest."""
    where = (row["task"], row["model"], row["machine"])
    return (*where, bool(row["decoder"]), not row["baseline"], -row["ratio"])
