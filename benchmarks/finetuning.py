"""Training steps of the suite `finetune` in bfloat16 against float32, each task's own texts.

    python benchmarks/finetuning.py [--device cuda] [--rounds N]
    (needs: pip install -e plugins/msbench-transformers)

MiniLM, 16 texts, AdamW, one thread; STEPS steps a round, rounds are interleaved. A processor
without products of bfloat16 numbers (avx512_bf16, amx_bf16) is slower in bfloat16.
"""

import argparse
from dataclasses import replace
from functools import partial
from itertools import cycle

import numpy as np
import torch
from figures import Figure, card_of, compared, line, save
from rounds import Timed, interleaved, timed

from msbench import Batch, Registry, load_plugins, load_suite
from msbench.data.batches import training_batches
from msbench.data.withheld import without_test
from msbench.plan.trials import expected
from msbench.run.driver import fingerprint_of
from msbench.run.trial import build_task, make_learner
from msbench.spec import Precision, Trial

SUITE = "plugins/msbench-transformers/finetune.toml"
STEPS, DISTINCT = 4, 12


def first_trials(registry: Registry, device: str) -> dict[str, Trial]:
    """By task, a trial of AdamW."""
    suite = replace(load_suite(SUITE), seeds=(0,), device=device)
    trials = expected(suite, registry, (), partial(fingerprint_of, registry, fetch=None))
    found = [t for t in trials if t.optimizer.name == "adamw" and not t.yardstick]
    return {t.task.name: t for t in reversed(found)}


def stepping(trial: Trial, precision: Precision, registry: Registry) -> Timed:
    """STEPS steps on the next batches, after one that is not counted."""
    trial = replace(trial, training=replace(trial.training, precision=precision))
    task = without_test(build_task(trial, registry))
    learner = make_learner(trial, task, registry)
    learner.mode(training=True)
    drawn = training_batches(task.train, trial.training.batch_size, np.random.default_rng(0))
    batches: cycle[Batch] = cycle([next(drawn) for _ in range(DISTINCT)])

    def run() -> None:
        for _ in range(STEPS):
            learner.train_step(next(batches))
        learner.synchronize()

    run()
    return timed(run)


def rows(registry: Registry, device: str, rounds: int) -> list[Figure]:
    """A figure for each task."""
    found = []
    for name, trial in first_trials(registry, device).items():
        each: tuple[Precision, ...] = ("bfloat16", "float32")
        taken = interleaved({p: stepping(trial, p, registry) for p in each}, rounds)
        mine, other = ([STEPS / s for s in taken[precision]] for precision in each)
        found.append(
            compared("training", f"MiniLM on {name}, bfloat16", mine, "float32", other, "steps/s",
                     limit="matrix products, and drawing dropout's masks")
        )  # fmt: skip
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    measured = rows(load_plugins(), asked.device, asked.rounds)
    print(*map(line, measured), sep="\n")
    save("finetuning", measured, card_of(asked.device))
