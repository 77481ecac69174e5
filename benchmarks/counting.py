"""What counting operations costs: training that is counted against training that is not.

    python benchmarks/counting.py [ROUNDS]

The three tasks of the suite `quick`, whole trials of AdamW without decoding, in rounds whose order
alternates. The ratio is formed within a round, of processor time, which other programs disturb
less than seconds. Two ratios: of the training clock (at most 1.02 is wanted), and of everything,
with the passes that are counted when training is over.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import process_time
from typing import Any

from msbench.run.device import limit_threads

limit_threads(1)

from rounds import interleaved, ratios
from tabulate import tabulate

from msbench import Registry, load_plugins
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.run.phases import trial_batches
from msbench.run.trial import build_task, make_learner
from msbench.spec import Trial

WANTED = 1.02


def trials(registry: Registry) -> dict[str, Trial]:
    """AdamW's first trial of each task."""

    def fingerprint(part: Any) -> str:
        return str(registry.build("task", part)().fingerprint())

    planned = plan(load_suite("quick"), registry, (), fingerprint)
    return {t.task.name: t for t in planned if t.optimizer.name == "adamw" and t.seed == 0}


def training(trial: Trial, registry: Registry, counted: bool, whole: bool) -> Callable[[], float]:
    """Processor seconds of the trial's steps, counted or not; with the end, if `whole`."""
    task = build_task(trial, registry)

    def run() -> float:
        learner, batches = make_learner(trial, task, registry), trial_batches(trial, task)
        aside = 0.0

        @contextmanager
        def stopped() -> Iterator[None]:
            nonlocal aside
            begun = process_time()
            yield
            aside += process_time() - begun

        learner.mode(training=True)
        start = process_time()
        for _ in range(trial.stages()[0].passes):
            learner.train_step(next(batches), stopped if counted else None)
        seconds = process_time() - start - aside
        if counted and whole:
            learner.flops()
            seconds = process_time() - start
        return seconds

    return run


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    registry, rows = load_plugins(), []
    for name, trial in trials(registry).items():
        pace = {
            "not": training(trial, registry, counted=False, whole=False),
            "clock": training(trial, registry, counted=True, whole=False),
            "whole": training(trial, registry, counted=True, whole=True),
        }
        seconds = interleaved(pace, rounds)
        clock, whole = (ratios(seconds[each], seconds["not"]) for each in ("clock", "whole"))
        verdict = "" if median(clock) <= WANTED else f"above {WANTED}"
        shown = (f"{median(each):.3f} ({each[0]:.3f} to {each[-1]:.3f})" for each in (clock, whole))
        rows.append([name, f"{median(seconds['not']):.2f} s", *shown, verdict])
        print(tabulate(rows[-1:], disable_numparse=True, tablefmt="plain"), flush=True)
    headers = ["task", "not counted", "training clock", "with the counted passes", ""]
    print(tabulate(rows, headers, disable_numparse=True))
