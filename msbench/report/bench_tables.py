"""What `msbench bench` measured -> tables of text."""

from collections.abc import Sequence

from msbench.compare.bench import Bench, DecodingSpeedRow, SpeedRow, TrainingSpeedRow
from msbench.report.format import Cells, grouped, interval, number, varies


def bench_tables(bench: Bench) -> list[tuple[str, Cells]]:
    """(title, rows): of each task and model its speed, where a step's time goes, and limits."""
    titled: list[tuple[str, Cells]] = []
    decoding = grouped(bench.decoding, _place)
    for place, rows in grouped(bench.training, _place).items():
        where = " with ".join(place)
        once = [row for row in rows if not row["again"]]
        titled += [
            (_in_rounds(f"Training of {where}", rows), [_speed(rows, row) for row in rows]),
            (f"A step of {where}, in milliseconds", [_step(rows, row) for row in once]),
            (f"Memory and arithmetic of {where}", [_limits(rows, row) for row in once]),
        ]
        if place in decoding:
            cells = [_prediction(row) for row in decoding[place]]
            titled.append((_in_rounds(f"Decoding of {where}", decoding[place]), cells))
    return titled


def bench_legend(bench: Bench) -> list[str]:
    """What the tables mean, and what makes figures doubtful, a sentence a line."""
    noisy = [row for row in (*bench.training, *bench.decoding) if row["again"]]
    widest = max(
        (abs(bound - 1) for r in noisy for bound in (r["ratio_low"], r["ratio_high"])), default=0
    )
    return [
        "Speed: median of rounds. Ratio: to the first, formed within rounds [95 % interval].",
        f"Noise floor: the first, once more, differs by up to {widest:.1%}; less shows nothing.",
        "First: the first step, which compiles what is compiled. Setup: until the model is there.",
        "Of peak: share of the rate of large matrix products in this precision (MFU).",
        "mJ: of the whole processor and device, where the machine tells.",
        "TTFT: time to the first token, of a whole batch.",
        *bench.notes,
    ]


def _in_rounds(title: str, rows: Sequence[SpeedRow]) -> str:
    """With the number of rounds, which all take part in."""
    return f"{title}, {max(row['rounds'] for row in rows)} rounds"


def _place(row: SpeedRow) -> tuple[str, str]:
    return row["task"], row["model"]


def _name(rows: Sequence[SpeedRow], row: SpeedRow) -> str:
    """The optimizer, and the loss and schedule where they differ."""
    axes = [row[axis] for axis in ("loss", "schedule") if varies(rows, axis)]
    return " ".join([row["optimizer"], *axes]) + (" again" if row["again"] else "")


def _speed(rows: Sequence[TrainingSpeedRow], row: TrainingSpeedRow) -> dict[str, str]:
    return {"strategy": _name(rows, row), **_rates(row)}


def _prediction(row: DecodingSpeedRow) -> dict[str, str]:
    name = row["decoder"] + (" again" if row["again"] else "")
    rates = _rates(row)
    ratio, ttft = rates.pop("ratio"), number(1e3 * row["first_token_seconds"])
    return {"decoder": name, **rates, "TTFT, ms": ttft, "ratio": ratio}


def _rates(row: SpeedRow) -> dict[str, str]:
    return {
        "tokens/s": number(row["tokens_per_second"]),
        "examples/s": number(row["examples_per_second"]),
        "ratio": interval(row["ratio"], row["ratio_low"], row["ratio_high"]),
    }


def _step(rows: Sequence[TrainingSpeedRow], row: TrainingSpeedRow) -> dict[str, str]:
    seconds = {
        "data": row["data"],
        "forward": row["forward"],
        "backward": row["backward"],
        "optimizer": row["optimizer_seconds"],
        "first": row["first_step_seconds"],
        "setup": row["setup_seconds"],
    }
    return {"strategy": _name(rows, row), **{k: number(1e3 * v) for k, v in seconds.items()}}


def _limits(rows: Sequence[TrainingSpeedRow], row: TrainingSpeedRow) -> dict[str, str]:
    share = row["peak_share"]
    return {
        "strategy": _name(rows, row),
        "memory, MB": number(row["peak_memory"] / 1e6),
        "GFLOP/s": number(row["flops_per_second"] / 1e9),
        "of peak": f"{share:.1%}" if share == share else "-",
        "mJ/token": number(1e3 * row["joules_per_token"]),
    }
