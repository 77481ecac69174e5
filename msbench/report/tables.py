"""Comparison -> tables of text: what a reader is shown, rounded, in the order it is read."""

import math
from collections.abc import Mapping, Sequence

from msbench.compare.rows import (
    AccuracyRow,
    Comparison,
    MachineStrategyRow,
    TrainingRow,
    YardstickRow,
)
from msbench.compare.yardsticks import beaten, headlines
from msbench.report.format import (
    Cells,
    because,
    decimals,
    difference_of,
    ditto,
    drop_empty,
    interval,
    mean_of,
    number,
    probability,
    varies,
    verdict_of,
)
from msbench.spec import COLUMNS, DETAILS, Compared


def tables(comparison: Comparison) -> list[tuple[str, Cells]]:
    """(title, rows) of every table that has rows."""
    untuned = ", untuned" if comparison.untuned else ""
    titled = [
        (f"Accuracy{untuned}", _accuracy(comparison, decides=True)),
        ("Against yardsticks", _against(comparison)),
        ("Seed by seed", _seeds(comparison)),
        (f"Accuracy, secondary{untuned}", _accuracy(comparison, decides=False)),
        ("Training", _training(comparison)),
        ("To target, a validation loss", _targets(comparison)),
        ("Decoding", _decoding(comparison)),
        ("Tuning, on validation", _tuning(comparison)),
        ("Throughput, measured alone", _throughput(comparison)),
        ("Ranks over tasks", _ranks(comparison)),
        ("Profiles over tasks and seeds", _profiles(comparison)),
    ]
    return [(title, cells) for title, cells in titled if cells]


def legend(comparison: Comparison) -> list[str]:
    """What the tables mean and what was left open, a sentence a line."""
    base = comparison.baseline
    lines = [
        f"Mean [95 % interval over seeds]; differences to {base} are paired by seed.",
        *_errors(comparison),
        *_looks(comparison),
        f"The margin is the largest difference that does not matter: {_margins(comparison)}. "
        "Undecided: about so many seeds would decide a difference of this size and spread.",
    ]
    if any(not math.isnan(row["example_p"]) for row in comparison.accuracy):
        lines.append(
            "Per example: over seeds and test examples, so also for other examples; p is no "
            "smaller than over seeds alone. It is of the mean of single scores, in which every "
            "output counts alike: a corpus score, in which long ones count more, may say the "
            "opposite, and a remark then says so."
        )
    if comparison.against:
        lines.append(
            "Yardsticks are no strategies, are fitted once and have no spread: verdicts against "
            "them are over the strategy's seeds on these test examples, adjusted for the "
            "strategies of the task (Holm); other examples: the paired test over seeds and "
            "examples."
        )
    lines += headlines(comparison.yardsticks, comparison.against, comparison.by)
    if comparison.training:
        lines.append("Rise: validation loss, last minus best. Gap: test loss minus training loss.")
    if comparison.targets:
        lines.append(
            "To target: up to the first validation that is at the target, median over seeds; "
            "unreached = inf."
        )
    if comparison.throughput:
        lines.append("Speed: median; ratios to the first of each group are formed within rounds.")
    if comparison.tuning:
        lines.append(
            "Tuning: losses are means over the seeds of a point; trials and passes are what the "
            "search cost. The winner ran again on new seeds."
        )
    if any(row["metric"] for row in comparison.tuning):
        lines.append(
            "Tuning: a metric that is named selected the winner, and median and worst are of it."
        )
    if comparison.decoding:
        lines.append("TTFT: time to first token.")
    if comparison.ranks:
        row = comparison.ranks[0]
        lines.append(
            f"Ranks: 1 is best, by task; Friedman {probability(row['p'])}; ranks closer than "
            f"{row['critical_difference']:.2f} are not told apart (same letter, Nemenyi 5 %)."
        )
    if comparison.profiles:
        lines.append(
            f"Profiles: share of tasks and seeds that reach the target within so many times the "
            f"passes of {base} [95 % interval]."
        )
    if comparison.freezing:
        lines.append(
            f"Targets: median of the best of {base}; these lines in the suite freeze them:"
        )
        lines += comparison.freezing
    return [*lines, *comparison.notes]


def _errors(comparison: Comparison) -> list[str]:
    """What decides, and how often that is wrong."""
    rows = [row for row in comparison.accuracy if row["decides"] and row["verdict"]]
    families = {(row["task"], row["metric"], *_around(comparison, row)) for row in rows}
    if not families:
        return ["Verdicts: p is adjusted within a task, model, decoder and metric (Holm)."]
    chance = 1 - 0.95 ** len(families)
    more = (
        f" Any difference of the {len(families)} together is false in up to {chance:.0%} of suites."
        if len(families) > 1
        else ""
    )
    return [
        "Verdicts: p is adjusted within a task and model (Holm): at most 5 % have a false "
        "difference, and at most 5 % a false equivalence." + more,
    ] + (
        ["Secondary: other decoders and metrics, each adjusted for itself; they decide nothing."]
        if any(row["primary"] and not row["decides"] for row in comparison.accuracy)
        else []
    )


def _looks(comparison: Comparison) -> list[str]:
    """What it means that seeds were added until there was a verdict."""
    if not comparison.max_seeds:
        return []
    return [
        f"Seeds were added until there was a verdict, up to {comparison.max_seeds}, with a test "
        "after each: p allows for all of these looks (alpha spending), intervals do not. An "
        "estimate that was stopped by its verdict is biased outward: the true difference is likely "
        "to be smaller. Futile: a verdict had become unlikely."
    ]


def _around(comparison: Comparison, row: AccuracyRow) -> list[str]:
    """What strategies of one family share besides their task and metric."""
    axes: list[Compared] = ["model", "decoder"]
    return [row[axis] for axis in axes if axis != comparison.by]


def _margins(comparison: Comparison) -> str:
    """The margin of every metric that is shown."""
    shown = [row for row in comparison.accuracy if row["primary"] and row["verdict"]]
    found: dict[str, set[float]] = {}
    for row in shown:
        found.setdefault(row["metric"], set()).add(row["margin"])
    texts = []
    for metric, margins in found.items():
        known = sorted(f"{margin:.3g}" for margin in margins if not math.isnan(margin))
        sizes = "none declared" if not known else known[0]
        if len(set(known)) > 1:
            sizes = f"{known[0]} to {known[-1]}"
        texts.append(f"{metric} {sizes}")
    return ", ".join(texts) or "none"


def _accuracy(comparison: Comparison, *, decides: bool) -> Cells:
    by = comparison.by
    every = [row for row in comparison.accuracy if row["primary"]]
    rows = [row for row in every if row["decides"] == decides]
    axes = [axis for axis in COLUMNS if axis != by]
    shown = [axis for axis in axes if axis not in DETAILS or varies(every, axis)]
    cells = [
        {
            "task": row["task"],
            **{str(axis): row[axis] for axis in shown},
            "metric": row["metric"],
            by: row[by],
            "mean": mean_of(row),
            f"vs {comparison.baseline}": "" if row["baseline"] else difference_of(row),
            "verdict": verdict_of(row),
            "remark": row["remark"],
            "per example": _per_example(row),
            "ok": f"{row['n_ok']}/{row['n']}",
        }
        for row in rows
    ]
    decided = {(row["task"], row["metric"]) for row in every if row["decides"]}
    here = {(row["task"], row["metric"]) for row in rows}
    for held in comparison.yardsticks:
        of = held["task"], held["metric"]
        if of in here and (decides or of not in decided):
            _insert(cells, _yardstick(comparison, held, cells[0]))
    return ditto(drop_empty(cells, "remark", "per example"))


def _yardstick(
    comparison: Comparison, row: YardstickRow, like: Mapping[str, str]
) -> dict[str, str]:
    """The row of what is no strategy: one score, without a spread."""
    known = {
        "task": row["task"],
        "metric": row["metric"],
        comparison.by: row["yardstick"],
        "mean": interval(row["score"], math.nan, math.nan),
        "verdict": beaten(row, comparison.against) or "yardstick",
        "ok": f"{int(row['status'] == 'ok')}/1",
    }
    return {name: known.get(name, "") for name in like}


def _insert(cells: Cells, new: dict[str, str]) -> None:
    """Behind the last row of the same task and metric, or of the same task."""
    same = [n for n, row in enumerate(cells) if row["task"] == new["task"]]
    if same:
        alike = [n for n in same if cells[n]["metric"] == new["metric"]]
        cells.insert((alike or same)[-1] + 1, new)


def _against(comparison: Comparison) -> Cells:
    """Every strategy that decides against what is none."""
    rows = comparison.against
    axes = [axis for axis in DETAILS if axis != comparison.by and varies(rows, axis)]
    cells = [
        {
            "task": row["task"],
            **{str(axis): row[axis] for axis in axes},
            "metric": row["metric"],
            comparison.by: row[comparison.by],
            "mean": mean_of(row),
            "yardstick": f"{row['yardstick']} {number(row['score'])}",
            "difference": difference_of(row),
            "verdict": verdict_of(row),
            "other examples": because(
                interval(row["example_difference"], math.nan, math.nan, "+"),
                probability(row["example_p"]),
            ),
        }
        for row in rows
    ]
    return ditto(drop_empty(cells, "other examples"))


def _seeds(comparison: Comparison) -> Cells:
    """The score of every seed, so that a reader sees what a mean hides."""
    rows = [row for row in comparison.accuracy if row["decides"]]
    axes = [axis for axis in DETAILS if axis != comparison.by and varies(rows, axis)]
    cells = [
        {
            "task": row["task"],
            **{str(axis): row[axis] for axis in axes},
            "metric": row["metric"],
            comparison.by: row[comparison.by],
            "scores": " ".join(number(value) for value in row["by_seed"]),
        }
        for row in rows
    ]
    return ditto(cells) if any(row["n_ok"] > 1 for row in rows) else []


def _per_example(row: AccuracyRow) -> str:
    p, difference = probability(row["example_p_adjusted"]), row["example_difference"]
    return because(f"{difference:+.{decimals(abs(difference))}f}", p) if p else ""


def _training(comparison: Comparison) -> Cells:
    rows = comparison.training
    sent = any(row["sent_bytes"] > 0 for row in rows)
    losses = sorted({row["loss"] for row in rows})
    cells = [
        {
            "task": row["task"],
            **_strategy(comparison, rows, row),
            "passes": number(row["passes"]),
            "GFLOP": number(row["flops"] / 1e9),
            "sent MB": number(row["sent_bytes"] / 1e6) if sent else "",
            "train s": number(row["train_seconds"]),
            "speed ratio": number(row["throughput_ratio"]),
            "peak MB": number(row["peak_memory"] / 1e6),
            **_of_losses(row, losses),
            "ok": f"{row['n_ok']}/{row['n']}",
        }
        for row in sorted(rows, key=_baseline_first)
    ]
    gaps = [name for name in cells[0] if name.startswith("gap")] if cells else []
    return ditto(drop_empty(cells, "machine", "GFLOP", "sent MB", "speed ratio", *gaps))


def _of_losses(row: TrainingRow, losses: Sequence[str]) -> dict[str, str]:
    """What is measured in the unit of a loss: a column for each loss, since nats and squared errors
    cannot be compared."""
    values = {
        "best loss": row["best_loss"],
        "rise": row["overfitting"],
        "gap": row["generalization_gap"],
    }
    if len(losses) == 1:
        return {name: number(value) for name, value in values.items()}
    return {
        f"{name}, {loss}": number(value) if row["loss"] == loss else ""
        for loss in losses
        for name, value in values.items()
    }


def _targets(comparison: Comparison) -> Cells:
    cells = [
        {
            "task": row["task"],
            **_strategy(comparison, comparison.targets, row),
            "target": number(row["target"]),
            "reached": f"{row['reached']:.0%} of {row['n']}",
            "passes": number(row["passes"]),
            "GFLOP": number(row["flops"] / 1e9),
            "seconds": number(row["seconds"]),
        }
        for row in comparison.targets
    ]
    return ditto(drop_empty(cells, "machine", "GFLOP"))


def _decoding(comparison: Comparison) -> Cells:
    cells = [
        {
            "task": row["task"],
            **_strategy(comparison, comparison.decoding, row),
            "decoder": row["decoder"],
            "metric": row["metric"],
            "mean": number(row["mean"]),
            "model steps": number(row["steps"]),
            "tokens/s": number(row["tokens_per_second"]),
            "TTFT ms": number(row["first_token_seconds"] * 1e3),
            "length ratio": number(row["length_ratio"]),
            "log-probability": number(row["log_probability"]),
            "empty": number(row["empty"]),
        }
        for row in comparison.decoding
    ]
    return ditto(drop_empty(cells, "machine"))


def _tuning(comparison: Comparison) -> Cells:
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
                "point": "-" if row["point"] is None else f"{row['point'] + 1} of {row['points']}",
                "trials": str(row["trials"]),
                "passes": number(row["passes"]),
                "metric": row["metric"],
                "score": number(row["score"]),
                "loss": number(row["validation_loss"]),
                "median": number(row["median"]),
                "worst": number(row["worst"]),
                "ok": f"{row['ok']}/{row['points']}",
                "at the edge": ", ".join(row["edge"]),
            }
        )
    return ditto(drop_empty(cells, "metric", "score"))


def _throughput(comparison: Comparison) -> Cells:
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


def _ranks(comparison: Comparison) -> Cells:
    return [
        {
            comparison.by: row["strategy"],
            "average rank": f"{row['average_rank']:.2f}",
            "not told apart": row["group"],
            "tasks": str(row["tasks"]),
        }
        for row in comparison.ranks
    ]


def _profiles(comparison: Comparison) -> Cells:
    """A row per strategy, a column per multiple of the baseline's cost."""
    cells: dict[str, dict[str, str]] = {}
    for row in comparison.profiles:
        first = {comparison.by: row["strategy"], "problems": str(row["problems"])}
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
