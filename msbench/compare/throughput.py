"""Throughput: speeds that were measured alone, and their ratio to the baseline's."""

from collections.abc import Mapping, Sequence
from typing import Any

from msbench.compare.labels import Labels
from msbench.compare.rows import Row
from msbench.compare.stats import mean_interval
from msbench.records.record import Record
from msbench.spec import AXES


def speed_rows(
    measured: Sequence[Record],
    labels: Labels,
    by: str,
    bases: Mapping[str, str],
    machines: Mapping[str, str],
) -> list[Row]:
    """Rows of training and of decoding speed; of a task, model and machine the newest measurement.

    Ratios are formed within rounds: of training to the baseline if it was measured, else to the
    first; of decoding alike. machines: what the machine of each record, by key, is called.
    """
    newest = {}
    for record in measured:
        first = record.job["strategies"][0]
        model = labels.of(record, "model", first["model"])
        newest[labels.task(record, first), model, machines[record.key]] = record
    rows: list[Row] = []
    for (task, model, machine), record in newest.items():
        first, results = record.job["strategies"][0], record.results
        axes = [labels.strategy(record, {**first, **r["strategy"]}) for r in results["training"]]
        trained = [{**each, "decoder": "", "unit": "training tokens/s"} for each in axes]
        same = {**dict.fromkeys(AXES, ""), "task": task, "model": model}
        decoded = [
            {
                **same,
                "decoder": labels.of(record, "decoder", each["decoder"]),
                "unit": "examples/s",
            }
            for each in results["decoding"]
        ]
        for about, kind in ((trained, "training"), (decoded, "decoding")):
            base = next((i for i, a in enumerate(about) if a[by] == bases.get(task)), 0)
            for each, speed in zip(about, _speeds(results[kind], base), strict=True):
                rows.append({**each, "machine": machine, **speed})
    return sorted(rows, key=_rank)


def _rank(row: Row) -> tuple[Any, ...]:
    """Training before decoding, the baseline first, then the fastest."""
    where = (row["task"], row["model"], row["machine"])
    return (*where, bool(row["decoder"]), not row["baseline"], -row["ratio"])


def _speeds(measured: Sequence[Mapping[str, Any]], base: int) -> list[Row]:
    """Median speed of each, and its ratio to the one at `base`, formed within rounds."""
    rows = []
    for index, each in enumerate(measured):
        pairs = zip(each["rates"], measured[base]["rates"], strict=True)
        ratio, low, high = mean_interval([mine / other for mine, other in pairs])
        rows.append(
            {
                "per_second": each["per_second"],
                "ratio": ratio,
                "ratio_low": low,
                "ratio_high": high,
                "rounds": len(each["rates"]),
                "baseline": index == base,
            }
        )
    return rows
