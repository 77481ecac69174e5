"""Comparison -> tables of text: what a reader is shown, rounded, in the order it is read."""

import math
from collections.abc import Sequence

from msbench.compare.rows import Comparison, Row
from msbench.report.format import Cells, digits, ditto, interval, number, p_value
from msbench.spec import COLUMNS, DETAILS


def tables(comparison: Comparison) -> list[tuple[str, Cells]]:
    """(title, rows) of every table that has rows."""
    every = [
        ("Accuracy", _accuracy(comparison)),
        ("Training", _training(comparison)),
        ("To target, a validation loss", _targets(comparison)),
        ("Decoding", _decoding(comparison)),
        ("Tuning, on validation", _tuning(comparison)),
        ("Throughput, measured alone", _throughput(comparison)),
        ("Ranks over tasks", _ranks(comparison)),
        ("Profiles over tasks and seeds", _profiles(comparison)),
    ]
    return [(title, rows) for title, rows in every if rows]


def legend(comparison: Comparison) -> list[str]:
    """What the tables mean and what was left open, a sentence a line."""
    base = comparison.baseline
    lines = [
        f"Mean [95 % interval over seeds]; differences to {base} are paired by seed.",
        f"Verdicts: p is adjusted for all that are shown (Holm); {_margins(comparison)}.",
        "Not shown: so many seeds see a difference of that size in 4 of 5 single tests.",
    ]
    if any(not math.isnan(row["example_p"]) for row in comparison.accuracy):
        lines.append("Per example: over seeds and test examples, so also for other examples.")
    if comparison.training:
        lines.append("Rise: validation loss, last minus best. Gap: test loss minus training loss.")
    if comparison.targets:
        lines.append(
            "To target: up to the first validation that is at the target, median over seeds; "
            "unreached = inf."
        )
    if comparison.throughput:
        lines.append("Speed: median; ratios to the first of each group are formed within rounds.")
    if comparison.ranks:
        row = comparison.ranks[0]
        lines.append(
            f"Ranks: 1 is best, by task; Friedman p {p_value(row['p'])}; ranks closer than "
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


def _margins(comparison: Comparison) -> str:
    margins = {row["margin"] for row in comparison.accuracy if row["primary"]}
    if len(margins) == 1 and not math.isnan(margin := margins.pop()):
        return f"equivalent: within {margin:.3g}"
    return "equivalent: within 0.01 (shares), 1 (of 100) or 1 % of the baseline (losses)"


def _accuracy(comparison: Comparison) -> Cells:
    main = [row for row in comparison.accuracy if row["primary"]]
    examples = any(not math.isnan(row["example_p"]) for row in main)
    axes = [axis for axis in COLUMNS if axis != comparison.by]
    shown = [axis for axis in axes if axis not in DETAILS or _varies(main, axis)]
    rows = []
    for row in main:
        low, high = row["difference_low"], row["difference_high"]
        rows.append(
            {
                "task": row["task"],
                **{str(axis): row[axis] for axis in shown},
                "metric": row["metric"],
                comparison.by: row[comparison.by],
                "mean": interval(row["mean"], row["low"], row["high"]),
                f"vs {comparison.baseline}": ""
                if row["baseline"]
                else interval(row["difference"], low, high, "+"),
                "verdict": _verdict(row),
                **({"per example": _per_example(row)} if examples else {}),
                "ok": f"{row['n_ok']}/{row['n']}",
            }
        )
    return ditto(rows)


def _verdict(row: Row) -> str:
    """Such as "better (p 0.003)"; of a strategy that lost trials it says of which."""
    word = row["verdict"]
    if word == "equivalent":
        word = f"{word} (within {row['margin']:.3g})"
    elif word == "not shown":
        least = row["detectable"]
        unsure = math.isnan(least) or math.isinf(least)
        sees = "too few seeds" if unsure else f"sees {least:.{digits(least)}f}"
        told = "" if math.isnan(row["p_adjusted"]) else f"p {p_value(row['p_adjusted'])}; "
        word = f"{word} ({told}{sees})"
    elif word:
        word = f"{word} (p {p_value(row['p_adjusted'])})"
    return f"{word}, of those ok" if word and row["n_ok"] < row["n"] else word


def _per_example(row: Row) -> str:
    if math.isnan(row["example_p_adjusted"]):
        return ""
    difference = row["example_difference"]
    return f"{difference:+.{digits(abs(difference))}f} (p {p_value(row['example_p_adjusted'])})"


def _training(comparison: Comparison) -> Cells:
    rows, main = [], comparison.training
    flops = _known(main, "flops")  # older records do not count them
    sent = any(row["sent_bytes"] > 0 for row in main)
    gap, ratio = _known(main, "generalization_gap"), _known(main, "throughput_ratio")
    for row in sorted(main, key=lambda row: _baseline_first(row, comparison.by)):
        rows.append(
            {
                "task": row["task"],
                **_strategy(comparison, main, row),
                "passes": number(row["passes"]),
                **({"GFLOP": number(row["flops"] / 1e9)} if flops else {}),
                **({"sent MB": number(row["sent_bytes"] / 1e6)} if sent else {}),
                "train s": number(row["train_seconds"]),
                **({"speed ratio": number(row["throughput_ratio"])} if ratio else {}),
                "peak MB": number(row["peak_memory"] / 1e6),
                "best loss": number(row["best_loss"]),
                "rise": number(row["overfitting"]),
                **({"gap": number(row["generalization_gap"])} if gap else {}),
                "ok": f"{row['n_ok']}/{row['n']}",
            }
        )
    return ditto(rows)


def _targets(comparison: Comparison) -> Cells:
    rows = []
    flops = _known(comparison.targets, "flops")
    for row in comparison.targets:
        rows.append(
            {
                "task": row["task"],
                **_strategy(comparison, comparison.targets, row),
                "target": number(row["target"]),
                "reached": f"{row['reached']:.0%} of {row['n']}",
                "passes": number(row["passes"]),
                **({"GFLOP": number(row["flops"] / 1e9)} if flops else {}),
                "seconds": number(row["seconds"]),
            }
        )
    return ditto(rows)


def _decoding(comparison: Comparison) -> Cells:
    rows, main = [], comparison.decoding
    for row in main:
        rows.append(
            {
                "task": row["task"],
                **_strategy(comparison, main, row),
                "decoder": row["decoder"],
                "metric": row["metric"],
                "mean": number(row["mean"]),
                "model steps": number(row["steps"]),
                "tokens/s": number(row["tokens_per_second"]),
                "first ms": number(row["first_token_seconds"] * 1e3),
                "length ratio": number(row["length_ratio"]),
                "log-probability": number(row["log_probability"]),
                "empty": number(row["empty"]),
            }
        )
    return ditto(rows)


def _tuning(comparison: Comparison) -> Cells:
    rows = []
    shown = [axis for axis in DETAILS if _varies(comparison.tuning, axis)]
    for row in comparison.tuning:
        options = [
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in row["options"].items()
        ]
        rows.append(
            {
                "task": row["task"],
                **{str(axis): row[axis] for axis in shown},
                "optimizer": row["optimizer"],
                "winner": ", ".join(options) or "-",
                "point": "-" if row["point"] is None else f"{row['point'] + 1} of {row['points']}",
                "loss": number(row["validation_loss"]),
                "median": number(row["median"]),
                "worst": number(row["worst"]),
                "ok": f"{row['ok']}/{row['points']}",
                "at the edge": ", ".join(row["edge"]),
            }
        )
    return ditto(rows)


def _throughput(comparison: Comparison) -> Cells:
    rows, main = [], comparison.throughput
    shown = [axis for axis in DETAILS if _varies(main, axis)]
    several = len({row["machine"] for row in main}) > 1
    for row in main:
        rows.append(
            {
                "task": row["task"],
                **{str(axis): row[axis] for axis in shown},
                "strategy": row["optimizer"] or row["decoder"],
                **({"machine": row["machine"]} if several else {}),
                "speed": f"{number(row['per_second'])} {row['unit']}",
                "ratio": interval(row["ratio"], row["ratio_low"], row["ratio_high"]),
                "rounds": str(row["rounds"]),
            }
        )
    return ditto(rows)


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
    rows: dict[str, dict[str, str]] = {}
    for row in comparison.profiles:
        about = {comparison.by: row["strategy"], "problems": str(row["problems"])}
        share = f"{row['share']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        rows.setdefault(row["strategy"], about)[f"{row['tau']:g} x"] = share
    return list(rows.values())


def _strategy(comparison: Comparison, rows: Sequence[Row], row: Row) -> dict[str, str]:
    """What tells a strategy from others: axes that vary, its optimizer, and its machine."""
    axes = [axis for axis in DETAILS if axis == comparison.by or _varies(rows, axis)]
    several = len({each["machine"] for each in rows}) > 1
    return {
        **{axis: row[axis] for axis in axes},
        "optimizer": row["optimizer"],
        **({"machine": row["machine"]} if several else {}),
    }


def _baseline_first(row: Row, by: str) -> tuple[object, ...]:
    return (row["task"], not row["baseline"], row["optimizer"], row["machine"])


def _known(rows: Sequence[Row], column: str) -> bool:
    return any(not math.isnan(row[column]) for row in rows)


def _varies(rows: Sequence[Row], axis: str) -> bool:
    """Whether an axis tells rows of one task apart."""
    pairs = {(row["task"], row[axis]) for row in rows if row[axis]}
    return len(pairs) > len({task for task, _ in pairs})
