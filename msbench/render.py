"""Tables -> text, markdown, csv, json or latex. Names are data: escaped in every format."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from msbench.errors import printable
from msbench.spec import Comparison, Row


def render(comparison: Comparison, format: str = "text") -> str:
    """The comparison in one of `spec.FORMATS`; csv and json hold every metric, unrounded."""
    if format == "json":
        rows = [{k: _or_none(v) for k, v in row.items()} for row in comparison.accuracy]
        return json.dumps(rows, indent=1, ensure_ascii=False)
    if format == "csv":
        return _csv(comparison.accuracy)
    style, escape = {
        "text": ("simple", printable),
        "markdown": ("pipe", _markdown),
        "latex": ("latex_booktabs", printable),  # which escapes by itself
    }[format]
    tables = [
        ("Accuracy", _accuracy(comparison)),
        ("Tuning, on validation", _tuning(comparison)),
        ("Throughput, measured alone", _throughput(comparison)),
    ]
    pieces = [
        f"{_title(title, format)}\n\n{_table(rows, style, escape)}"
        for title, rows in tables
        if rows
    ]
    legend = (
        f"Mean [95 % interval over seeds]; differences to {comparison.baseline} are paired by "
        f"seed; ratios to the first of each group are formed within rounds."
    )
    comment = "% " if format == "latex" else ""
    pieces.append("\n".join(comment + escape(line) for line in (legend, *comparison.notes)))
    return "\n\n".join(pieces)


def _accuracy(comparison: Comparison) -> list[dict[str, str]]:
    main = [row for row in comparison.accuracy if row["primary"]]
    shown = [axis for axis in ("model", "loss", "schedule") if _varies(main, axis)]
    flops = any(not math.isnan(row["flops"]) for row in main)  # older records do not count them
    sent = any(row["sent_bytes"] > 0 for row in main)
    rows = []
    for row in main:
        rows.append(
            {
                "task": row["task"],
                **{axis: row[axis] for axis in shown},
                "optimizer": row["optimizer"],
                "decoder": row["decoder"],
                "metric": row["metric"],
                "mean": _interval(row["mean"], row["low"], row["high"]),
                f"vs {comparison.baseline}": ""
                if row["optimizer"] == comparison.baseline
                else _interval(
                    row["difference"], row["difference_low"], row["difference_high"], "+"
                ),
                "ok": f"{row['n_ok']}/{row['n']}",
                "passes": _number(row["passes"]),
                **({"GFLOP": _number(row["flops"] / 1e9)} if flops else {}),
                **({"sent MB": _number(row["sent_bytes"] / 1e6)} if sent else {}),
                "train s": _number(row["train_seconds"]),
                "peak MB": _number(row["peak_memory"] / 1e6),
            }
        )
    return _ditto(rows)


def _tuning(comparison: Comparison) -> list[dict[str, str]]:
    rows = []
    shown = [axis for axis in ("model", "loss", "schedule") if _varies(comparison.tuning, axis)]
    for row in comparison.tuning:
        options = [
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in row["options"].items()
        ]
        rows.append(
            {
                "task": row["task"],
                **{axis: row[axis] for axis in shown},
                "optimizer": row["optimizer"],
                "winner": ", ".join(options) or "-",
                "point": "-" if row["point"] is None else f"{row['point'] + 1} of {row['points']}",
                "loss": _number(row["validation_loss"]),
                "median": _number(row["median"]),
                "worst": _number(row["worst"]),
                "ok": f"{row['ok']}/{row['points']}",
                "at the edge": ", ".join(row["edge"]),
            }
        )
    return _ditto(rows)


def _throughput(comparison: Comparison) -> list[dict[str, str]]:
    rows = []
    shown = [axis for axis in ("model", "loss", "schedule") if _varies(comparison.throughput, axis)]
    for row in comparison.throughput:
        rows.append(
            {
                "task": row["task"],
                **{axis: row[axis] for axis in shown},
                "strategy": row["optimizer"] or row["decoder"],
                "speed": f"{_number(row['per_second'])} {row['unit']}",
                "ratio": _interval(row["ratio"], row["ratio_low"], row["ratio_high"]),
                "rounds": str(row["rounds"]),
            }
        )
    return _ditto(rows)


def _varies(rows: Sequence[Row], axis: str) -> bool:
    """Whether an axis tells rows of one task apart."""
    pairs = {(row["task"], row[axis]) for row in rows if row[axis]}
    return len(pairs) > len({task for task, _ in pairs})


def _ditto(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The task only where it changes."""
    tasks = [row["task"] for row in rows]
    for index in range(len(rows) - 1, 0, -1):
        if tasks[index] == tasks[index - 1]:
            rows[index]["task"] = ""
    return rows


def _table(rows: Sequence[Mapping[str, str]], style: str, escape: Callable[[str], str]) -> str:
    headers = [escape(name) for name in rows[0]]
    cells = [[escape(cell) for cell in row.values()] for row in rows]
    return tabulate(cells, headers, tablefmt=style, disable_numparse=True)


def _title(title: str, format: str) -> str:
    return {"markdown": f"## {title}", "latex": f"% {title}"}.get(format, title.upper())


def _interval(mean: float, low: float, high: float, sign: str = "") -> str:
    if math.isnan(mean):
        return "-"
    digits = _digits(max(abs(x) for x in (mean, low, high) if not math.isnan(x)))
    shown = f"{mean:{sign}.{digits}f}"
    return shown if math.isnan(low) else f"{shown} [{low:.{digits}f}, {high:.{digits}f}]"


def _digits(size: float) -> int:
    """Decimals that leave about three significant digits."""
    return 3 if size < 2 else 2 if size < 20 else 1


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if _or_none(v) is None else v for k, v in row.items()} for row in rows)
    return out.getvalue().rstrip("\n")


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(text: str) -> str:
    escaped = printable(text).replace("\\", "\\\\")
    for char in "|*_`[]<>":
        escaped = escaped.replace(char, "\\" + char if char not in "[]" else char)
    return escaped
