"""What strategies cost, and how they rank, as cells."""

import math
from collections.abc import Sequence

from msbench.compare.rows import Comparison, MachineStrategyRow, TrainingRow
from msbench.report.format import (
    Cells,
    ditto,
    drop_empty,
    interval,
    number,
    seeds_ok,
    varies,
)
from msbench.spec import DETAILS

GAP = "test - train loss"
"""The column of the generalization gap."""


def training(comparison: Comparison) -> Cells:
    rows = comparison.training
    sent = any(row["sent_bytes"] > 0 for row in rows)
    losses = sorted({row["loss"] for row in rows})
    cells = [
        {
            "task": row["task"],
            **_strategy(comparison, rows, row),
            "gradient passes": number(row["passes"]),
            "GFLOP": number(row["flops"] / 1e9),
            "sent MB": number(row["sent_bytes"] / 1e6) if sent else "",
            "seconds": number(row["train_seconds"]),
            "speed": _times(row["throughput_ratio"]),
            "peak memory MB": number(row["peak_memory"] / 1e6),
            **_of_losses(row, losses),
            "seeds ok": seeds_ok(row),
        }
        for row in sorted(rows, key=_baseline_first)
    ]
    gaps = [name for name in cells[0] if name.startswith(GAP)] if cells else []
    return ditto(drop_empty(cells, "machine", "GFLOP", "sent MB", "speed", *gaps))


def _of_losses(row: TrainingRow, losses: Sequence[str]) -> dict[str, str]:
    """What is measured in the unit of a loss: a column for each loss, since nats and squared errors
    cannot be compared."""
    values = {
        "validation loss": row["best_loss"],
        "overfitting": row["overfitting"],
        GAP: row["generalization_gap"],
    }
    if len(losses) == 1:
        return {name: number(value) for name, value in values.items()}
    return {
        f"{name}, {loss}": number(value) if row["loss"] == loss else ""
        for loss in losses
        for name, value in values.items()
    }


def targets(comparison: Comparison) -> Cells:
    cells = [
        {
            "task": row["task"],
            **_strategy(comparison, comparison.targets, row),
            "target loss": number(row["target"]),
            "reached by": f"{row['reached'] * row['n']:.0f} of {_seeds(row['n'])}",
            "gradient passes": number(row["passes"]),
            "GFLOP": number(row["flops"] / 1e9),
            "seconds": number(row["seconds"]),
        }
        for row in comparison.targets
    ]
    return ditto(drop_empty(cells, "machine", "GFLOP"))


def decoding(comparison: Comparison) -> Cells:
    cells = [
        {
            "task": row["task"],
            **_strategy(comparison, comparison.decoding, row),
            "decoder": row["decoder"],
            "metric": row["metric"],
            "mean": number(row["mean"]),
            "model steps": number(row["steps"]),
            "tokens/s": number(row["tokens_per_second"]),
            "first token ms": number(row["first_token_seconds"] * 1e3),
            "output length": number(row["length_ratio"]),
            "log-probability": number(row["log_probability"]),
            "empty outputs": number(row["empty"]),
        }
        for row in comparison.decoding
    ]
    return ditto(drop_empty(cells, "machine"))


def tuning(comparison: Comparison) -> Cells:
    axes = [axis for axis in DETAILS if varies(comparison.tuning, axis)]
    cells: Cells = []
    for row in comparison.tuning:
        options = [
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in row["options"].items()
        ]
        cells.append(
            {
                "task": row["task"],
                **{axis: row[axis] for axis in axes},
                "optimizer": row["optimizer"],
                "winner": ", ".join(options) or "none",
                "winning point": "-"
                if row["point"] is None
                else f"{row['point'] + 1} of {row['points']}",
                "trials": str(row["trials"]),
                "gradient passes": number(row["passes"]),
                "metric": row["metric"],
                "score": number(row["score"]),
                "validation loss": number(row["validation_loss"]),
                "median point": number(row["median"]),
                "worst point": number(row["worst"]),
                "points ok": f"{row['ok']} of {row['points']}",
                "at the edge": ", ".join(row["edge"]),
            }
        )
    return ditto(drop_empty(cells, "metric", "score"))


def throughput(comparison: Comparison) -> Cells:
    rows = comparison.throughput
    axes = [axis for axis in DETAILS if varies(rows, axis)]
    several = len({row["machine"] for row in rows}) > 1
    cells = [
        {
            "task": row["task"],
            **{axis: row[axis] for axis in axes},
            "strategy": row["optimizer"] or row["decoder"],
            "machine": row["machine"] if several else "",
            "speed": f"{number(row['per_second'])} {row['unit']}",
            "ratio": interval(row["ratio"], row["ratio_low"], row["ratio_high"]),
            "rounds": str(row["rounds"]),
        }
        for row in rows
    ]
    return ditto(drop_empty(cells, "machine"))


def ranks(comparison: Comparison) -> Cells:
    return [
        {
            comparison.by: row["strategy"],
            "average rank": f"{row['average_rank']:.2f}",
            "not told apart": row["group"],
            "tasks": str(row["tasks"]),
        }
        for row in comparison.ranks
    ]


def profiles(comparison: Comparison) -> Cells:
    """A row per strategy, a column per multiple of the baseline's cost."""
    cells: dict[str, dict[str, str]] = {}
    for row in comparison.profiles:
        first = {comparison.by: row["strategy"], "tasks x seeds": str(row["problems"])}
        share = f"{row['share']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        cells.setdefault(row["strategy"], first)[f"{row['tau']:g} x"] = share
    return list(cells.values())


def _strategy(
    comparison: Comparison, rows: Sequence[MachineStrategyRow], row: MachineStrategyRow
) -> dict[str, str]:
    """What tells a strategy from others: axes that vary, its optimizer, and its machine."""
    axes = [axis for axis in DETAILS if axis == comparison.by or varies(rows, axis)]
    several = len({each["machine"] for each in rows}) > 1
    return {
        **{axis: row[axis] for axis in axes},
        "optimizer": row["optimizer"],
        "machine": row["machine"] if several else "",
    }


def _baseline_first(row: TrainingRow) -> tuple[object, ...]:
    return row["task"], not row["baseline"], row["optimizer"], row["machine"]


def _times(ratio: float) -> str:
    """Such as "0.97 x", as fast as the baseline."""
    return "" if math.isnan(ratio) else f"{number(ratio)} x"


def _seeds(count: int) -> str:
    return f"{count} seed{'s' * (count != 1)}"
