"""The short search behind the learning rates of suites/quick.toml.

    python benchmarks/quick_rates.py [FOLDER]

Every optimizer gets the same number of rates, the same passes and the same two seeds (which the
suite itself does not use). A rate's score on a task is its validation loss over the best that this
optimizer reached there; the rate with the lowest mean over the tasks is the suite's.
"""

import statistics
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from msbench import Record
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.loading import load_plugins
from msbench.records.store import append, prepare_folder, read
from msbench.run.device import limit_threads
from msbench.run.job import run_job
from msbench.run.processes import processes
from msbench.spec import Choice

SEEDS = (101, 102)
RATES = {
    "sgd": (0.03, 0.1, 0.3, 1.0, 3.0),
    "momentum": (0.01, 0.03, 0.1, 0.3, 1.0),
    "adamw": (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
}
"""Lookahead and SAM step with their base, so they search its rates."""


def main() -> None:
    """Search, resumable, and print a table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results/quick-rates")
    limit_threads(1)
    suite, registry = load_suite("quick"), load_plugins()
    choices = [each for optimizer in suite.optimizers for each in with_rates(optimizer)]
    suite = replace(suite, optimizers=tuple(choices), seeds=SEEDS)

    def fingerprint(part):
        return registry.build("task", part)().fingerprint()

    prepare_folder(folder)
    done = read(folder).records
    todo = plan(suite, registry, done, fingerprint)
    preload = ["msbench.builtin.tasks.news", "msbench.builtin.learner", "torch._dynamo"]
    launched = processes()(todo, run_job, preload=preload)
    records = (each for each in launched if isinstance(each, Record))
    for number, record in enumerate(records, start=1):
        append(folder, record)
        print(f"\r{number} of {len(todo)}", end="", file=sys.stderr, flush=True)
    report(read(folder).records)


def with_rates(choice: Choice) -> list[Choice]:
    """The optimizer with each of its rates; a wrapper's are those of its base."""
    base = choice.options.get("base")
    if base is not None:
        return [
            replace(choice, options={**choice.options, "base": each}) for each in with_rates(base)
        ]
    rates = RATES[choice.name]
    return [replace(choice, options={**choice.options, "lr": rate}) for rate in rates]


def report(records) -> None:
    """Mean validation loss per task and rate; the best rate over the tasks."""
    losses = defaultdict(list)
    for record in records:
        optimizer = record.job["optimizer"]
        options = optimizer["options"]
        rate = options["base"]["options"]["lr"] if "base" in options else options["lr"]
        curve = record.results["training"]["curve"]
        loss = curve[-1]["validation_loss"] if record.status == "ok" else None
        losses[optimizer["name"], rate, record.job["task"]["name"]].append(
            float("inf") if loss is None else loss
        )
    mean = {key: statistics.fmean(values) for key, values in losses.items()}
    tasks = sorted({task for _, _, task in mean})
    print(
        f"\n{'optimizer':10} {'rate':>7} " + " ".join(f"{task:>12}" for task in tasks) + "   score"
    )
    for name in dict.fromkeys(name for name, _, _ in mean):
        rates = sorted({rate for other, rate, _ in mean if other == name})
        best = {t: min(mean[name, rate, t] for rate in rates) for t in tasks}
        score = {r: statistics.fmean(mean[name, r, t] / best[t] for t in tasks) for r in rates}
        for rate in rates:
            cells = " ".join(f"{mean[name, rate, task]:12.3f}" for task in tasks)
            mark = "  <- best" if score[rate] == min(score.values()) else ""
            print(f"{name:10} {rate:7g} {cells}   {score[rate]:.3f}{mark}")


if __name__ == "__main__":
    main()
