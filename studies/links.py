"""What a slow link costs strategies on two processes, and what they send.

    python studies/links.py [--passes 300] [--lr 4e-3] > results/reference/links.json

The strategies of the suite `distributed`, one seed each, all with one learning rate, over the
loopback interface and over links that are slowed on purpose (MSBENCH_LINK). `messages` is how often
all of them waited for each other in training, `expected` how many seconds the link should have
taken of them, `seconds` those of training.
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from functools import partial

from msbench import load_plugins, load_suite
from msbench.builtin.group import LINK
from msbench.plan.trials import plan
from msbench.records.record import Record
from msbench.run.device import limit_threads
from msbench.run.driver import fingerprint_of, preload_modules
from msbench.run.job import run_job
from msbench.run.processes import processes
from msbench.spec import Choice, Job, Suite, Trial

LINKS = {"loopback": (0.0, float("inf")), "100 Mbit/s, 20 ms": (0.02, 12.5e6)}
"""Seconds that a message takes longer, and bytes a second."""


def rated(choice: Choice, rate: float) -> Choice:
    """The optimizer with this learning rate."""
    return choice.having({"base.lr" if "base" in choice.options else "lr": rate})


def strategies(passes: int, rate: float) -> Suite:
    """The suite without its search."""
    suite = load_suite("distributed")
    training = {name: replace(each, passes=passes) for name, each in suite.training.items()}
    optimizers = tuple(rated(each, rate) for each in suite.optimizers)
    return replace(
        suite, training=training, optimizers=optimizers, tuning=None, seeds=(0,), yardsticks=()
    )


def row(link: str, record: Record) -> dict[str, object]:
    """What is told of a trial."""
    results, (delay, bandwidth) = record.trial_results, LINKS[link]
    trial = Trial.of(record.job)
    steps, sent = results["training"]["steps"], results["compute"]["sent_bytes"]
    messages = steps // trial.optimizer.options.get("every", 1)
    return {
        "link": link,
        "optimizer": trial.optimizer.name,
        "score": next(iter(results["decoding"][0]["metrics"].values())),
        "validation_loss": results["training"]["curve"][-1]["validation_loss"],
        "sent_bytes": sent,
        "messages": messages,
        "expected": messages * delay + sent / trial.processes / bandwidth,
        "steps": steps,
        "seconds": results["training"]["seconds"],
    }


def over(link: str, job: Job) -> Record:
    """Do a job over a link."""
    os.environ[LINK] = "{} {}".format(*LINKS[link])
    return run_job(job)


def main() -> None:
    """Run all, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=300)
    parser.add_argument("--lr", type=float, default=4e-3)
    asked = parser.parse_args()
    limit_threads(1)
    registry = load_plugins()
    suite = strategies(asked.passes, asked.lr)
    trials = plan(suite, registry, (), lambda part: fingerprint_of(registry, part, fetch=None))
    entries = [registry.find(k, c.name) for k, each in suite.choices().items() for c in each]
    rows = []
    for link in LINKS:
        run, preload = partial(over, link), preload_modules(registry, entries)
        for each in processes(1)(trials, run, limit=3600, preload=preload):
            if isinstance(each, Record):
                print(
                    link, each.job["optimizer"]["name"], each.status, each.reason, file=sys.stderr
                )
                rows.append(row(link, each))
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
