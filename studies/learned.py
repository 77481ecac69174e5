"""What models learn in each suite's budget, beside what learns nothing and what is linear.

    python studies/learned.py [FOLDER]

Reads the records under results/reference (or FOLDER), and trivial.json and yardsticks.json there.
One row a suite and task: the trivial score, the yardstick's, adamw with the better of its models
and decoders, and the best strategy. Verdicts are against the yardstick, over seeds on these test
examples: of two seeds there is none, nor an interval. The best was chosen by the same scores.
"""

import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from msbench import Record, load_suite, read
from msbench.compare.judge import judge
from msbench.compare.labels import Labels
from msbench.compare.stats import bounded_intervals
from msbench.plan.shipped import shipped_suites

REFERENCE = Path(__file__).parent.parent / "results/reference"

LEAST = 3
"""Seeds of which an interval is shown: that of two is no statement."""

Scores = dict[tuple[str, str], list[float]]
"""(optimizer, decoder) -> score of every seed."""


def rows(folder: Path) -> Iterator[dict[str, str]]:
    """One table row per suite and task that has records and a trivial predictor."""
    trivial = json.loads((REFERENCE / "trivial.json").read_text())["suites"]
    linear = json.loads((REFERENCE / "yardsticks.json").read_text())
    for name in sorted(shipped_suites()):
        if (folder / name).is_dir() and name in trivial:
            records = read(folder / name).records
            for choice in load_suite(name).tasks:
                task = choice.label or choice.name
                known = trivial[name].get(task)
                if known:
                    scores, about = scores_of(records, task, known["data"])
                    if scores:
                        yield row(name, task, known, linear.get(known["data"]), scores, about)


def scores_of(records: Sequence[Record], task: str, data: str) -> tuple[Scores, dict[str, Any]]:
    """Scores in the task's own metric, and what is known of that.

    Only of strategies on the data that the trivial predictor was scored on.
    """
    scores: Scores = {}
    known: dict[str, Any] = {}
    labels = Labels(records)
    for record in records:
        part = record.job.get("task", {})
        same = record.job.get("data") == data and task in (part.get("label"), part.get("name"))
        if record.status == "ok" and same and record.is_trained:
            about = record.results["task"]
            metric, known = about["metric"], about["metrics"][about["metric"]]
            model = record.job["model"]["label"]
            strategy = " ".join(filter(None, (model, _name(record.job["optimizer"]))))
            for decoded in record.results["decoding"]:
                if metric in decoded["metrics"]:
                    key = strategy, labels.of(record, "decoder", decoded["decoder"])
                    scores.setdefault(key, []).append(decoded["metrics"][metric])
    return scores, known


def row(
    suite: str,
    task: str,
    known: dict[str, Any],
    held: dict[str, Any] | None,
    scores: Scores,
    about: dict[str, Any],
) -> dict[str, str]:
    """The trivial score, the yardstick's, the default's and the best."""
    default = best_of({k: v for k, v in scores.items() if k[0].split()[-1] == "adamw"}, about)
    best = best_of(scores, about)
    return {
        "suite": suite,
        "task": task,
        "metric": known["metric"],
        "trivial": f"{known['trivial']['score']:.3g} ({known['trivial']['name']})",
        "linear": f"{held['score']:.3g}" if held else "-",
        "default (adamw)": f"{interval(scores[default], about)}, {default[1]}",
        "against linear": verdict(scores[default], held, about),
        "best": f"{statistics.fmean(scores[best]):.3g} ({best[0]}, {best[1]})",
        "best against linear": verdict(scores[best], held, about),
    }


def best_of(scores: Scores, about: dict[str, Any]) -> tuple[str, str]:
    """The optimizer and decoder with the best mean over seeds."""
    sign = -1 if about["lower_is_better"] else 1
    return max(scores, key=lambda key: sign * statistics.fmean(scores[key]))


def interval(values: Sequence[float], about: dict[str, Any]) -> str:
    """The mean with its 95 % interval over seeds, of so many; within what the metric can be."""
    lowest = -math.inf if about["low"] is None else about["low"]
    highest = math.inf if about["high"] is None else about["high"]
    ((mean,), (low,), (high,), _) = bounded_intervals([values], [lowest], [highest])
    if len(values) >= LEAST and not math.isnan(low):
        return f"{mean:.3g} [{low:.3g}, {high:.3g}], n = {len(values)}"
    alike = " (all alike)" if len(values) >= LEAST else ""
    return f"{mean:.3g}{alike}, n = {len(values)}"


def verdict(values: Sequence[float], held: dict[str, Any] | None, about: dict[str, Any]) -> str:
    """That of the one judge on the differences to the yardstick's score."""
    if held is None:
        return "-"
    differences = np.array(values) - held["score"]
    if len(values) < LEAST:
        return f"{differences.mean():+.3g}, too few seeds"
    share = abs(held["score"]) if about["relative"] else 1.0
    found = judge([differences], [0], about["margin"] * share, about["lower_is_better"])
    return f"{differences.mean():+.3g}, {found.verdicts[0]}"


def _name(part: dict[str, Any]) -> str:
    return str(part["label"] or part["name"])


if __name__ == "__main__":
    table = list(rows(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE))
    print(tabulate(table, headers="keys", tablefmt="github", disable_numparse=True))
