"""What the default model learns in each suite's budget, beside a predictor that learns nothing.

    python studies/learned.py [FOLDER]

Reads the records under results/reference (or FOLDER) and results/reference/trivial.json. One row a
suite and task: the trivial score, adamw with the better of its models and decoders (mean and
standard deviation over seeds), how many standard errors over seeds lie between, and the best.
"""

import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from msbench import Record, load_suite, read
from msbench.plan.suite import shipped_suites

REFERENCE = Path(__file__).parent.parent / "results/reference"

Scores = dict[tuple[str, str], list[float]]
"""(optimizer, decoder) -> score of every seed."""


def rows(folder: Path) -> Iterator[dict[str, str]]:
    """One table row per suite and task that has records and a trivial predictor."""
    trivial = json.loads((REFERENCE / "trivial.json").read_text())["suites"]
    for name in sorted(shipped_suites()):
        if (folder / name).is_dir() and name in trivial:
            records = read(folder / name).records
            for choice in load_suite(name).tasks:
                task = choice.label or choice.name
                known = trivial[name].get(task)
                if known:
                    scores, lower = scores_of(records, task, known["data"])
                    if scores:
                        yield row(name, task, known, scores, lower)


def scores_of(records: Sequence[Record], task: str, data: str) -> tuple[Scores, bool]:
    """Scores in the task's own metric, and whether lower is better.

    Only of trials on the data that the trivial predictor was scored on.
    """
    scores: Scores = {}
    lower = False
    for record in records:
        part = record.job.get("task", {})
        same = record.job.get("data") == data and task in (part.get("label"), part.get("name"))
        if record.status == "ok" and same:
            about = record.results["task"]
            metric = about["metric"]
            lower = metric in about["lower_is_better"]
            model = record.job["model"]["label"]
            strategy = " ".join(filter(None, (model, _name(record.job["optimizer"]))))
            for decoded in record.results["decoding"]:
                if metric in decoded["metrics"]:
                    key = strategy, _name(decoded["decoder"])
                    scores.setdefault(key, []).append(decoded["metrics"][metric])
    return scores, lower


def row(
    suite: str, task: str, known: dict[str, Any], scores: Scores, lower: bool
) -> dict[str, str]:
    """The trivial score, the default's and the best."""
    sign = -1 if lower else 1
    means = {key: sign * statistics.fmean(values) for key, values in scores.items()}
    default = max((key for key in means if key[0].split()[-1] == "adamw"), key=lambda k: means[k])
    best = max(means, key=lambda key: means[key])
    values = scores[default]
    mean = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    error = spread / len(values) ** 0.5 or math.nan
    gain = sign * (mean - known["trivial"]["score"]) / error
    return {
        "suite": suite,
        "task": task,
        "metric": known["metric"],
        "trivial": f"{known['trivial']['score']:.3g} ({known['trivial']['name']})",
        "default (adamw)": f"{mean:.3g} ± {spread:.2g}, n = {len(values)}, {default[1]}",
        "gain in SE": f"{gain:.1f}",
        "best": f"{sign * means[best]:.3g} ({best[0]}, {best[1]})",
    }


def _name(part: dict[str, Any]) -> str:
    return str(part["label"] or part["name"])


if __name__ == "__main__":
    table = list(rows(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE))
    print(tabulate(table, headers="keys", tablefmt="github", disable_numparse=True))
