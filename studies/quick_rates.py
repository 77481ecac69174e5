"""The short search behind the learning rates of suites/quick.toml.

    python studies/quick_rates.py [FOLDER]

Every optimizer gets the same number of rates, the same passes and the same two seeds (which the
suite itself does not use). A rate's score on a task is its validation loss over the best that this
optimizer reached there; the rate with the lowest mean over the tasks is the suite's. Resumable.
"""

import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from msbench import Choice, Record, load_plugins, load_suite, read, run_suite
from msbench.cli.progress import show_progress
from msbench.run.device import limit_threads
from msbench.spec import Throughput

SEEDS = (101, 102)
RATES = {
    "sgd": (0.03, 0.1, 0.3, 1.0, 3.0),
    "momentum": (0.01, 0.03, 0.1, 0.3, 1.0),
    "adamw": (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
}
"""Lookahead and SAM step with their base, so they search its rates."""


def with_rates(choice: Choice) -> list[Choice]:
    """The optimizer with each of its rates; a wrapper gets those of its base."""
    base = choice.options.get("base")
    name, values = ("lr", RATES[choice.name]) if base is None else ("base", with_rates(base))
    return [replace(choice, options={**choice.options, name: value}) for value in values]


def scores(records: Sequence[Record]) -> list[dict[str, object]]:
    """A row per optimizer and rate: mean validation loss per task, score, and which is best."""
    losses: dict[tuple[str, float, str], list[float]] = defaultdict(list)
    for record in records:
        optimizer = record.job["optimizer"]
        rate = optimizer["options"].get("base", optimizer)["options"]["lr"]
        key = optimizer["name"], rate, record.job["task"]["name"]
        losses[key].append(record.validation_loss)
    mean = {key: statistics.fmean(values) for key, values in losses.items()}
    tasks = sorted({task for _, _, task in mean})
    rows: list[dict[str, object]] = []
    for name in dict.fromkeys(name for name, _, _ in mean):
        rates = sorted({rate for other, rate, _ in mean if other == name})
        best = {t: min(mean[name, rate, t] for rate in rates) for t in tasks}
        score = {r: statistics.fmean(mean[name, r, t] / best[t] for t in tasks) for r in rates}
        rows += [
            {
                "optimizer": name,
                "rate": f"{rate:g}",
                **{task: f"{mean[name, rate, task]:.3f}" for task in tasks},
                "score": f"{score[rate]:.3f}",
                "": "<- best" if score[rate] == min(score.values()) else "",
            }
            for rate in rates
        ]
    return rows


if __name__ == "__main__":
    limit_threads(1)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results/quick-rates")
    suite = load_suite("quick")
    optimizers = tuple(each for choice in suite.optimizers for each in with_rates(choice))
    suite = replace(suite, optimizers=optimizers, seeds=SEEDS, throughput=Throughput(rounds=0))
    with show_progress() as display:
        for event in run_suite(suite, load_plugins(), folder):
            display.show(event)
    print(tabulate(scores(read(folder).records), headers="keys", disable_numparse=True))
