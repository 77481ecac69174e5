"""Steps of the suite `finetune` against float32, and against the attention of its checkpoint.

    python benchmarks/finetuning.py [--device cuda] [--rounds N]
    (needs: pip install -e plugins/msbench-transformers)

MiniLM, 16 of each task's own texts, AdamW, one thread; STEPS steps a round, rounds are interleaved.
The suite trains in bfloat16, with which a processor without such products (avx512_bf16, amx_bf16)
is slower, and with attention without dropout and by plain products; its checkpoint has dropout
there, and torch's fused kernel is the default.
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
from msbench.spec import Trial

SUITE = "plugins/msbench-transformers/finetune.toml"
STEPS, DISTINCT = 4, 12


def first_trials(registry: Registry, device: str) -> dict[str, Trial]:
    """By task, a trial of AdamW."""
    suite = replace(load_suite(SUITE), seeds=(0,), device=device)
    trials = expected(suite, registry, (), partial(fingerprint_of, registry, fetch=None))
    found = [t for t in trials if t.optimizer.name == "adamw" and not t.yardstick]
    return {t.task.name: t for t in reversed(found)}


def others(trial: Trial) -> dict[str, Trial]:
    """What the suite's trial is compared with."""
    model = replace(trial.model, options={**trial.model.options, "config": {}})
    return {
        "float32": replace(trial, training=replace(trial.training, precision="float32")),
        "the checkpoint's attention": replace(trial, model=model),
    }


def stepping(trial: Trial, registry: Registry) -> Timed:
    """STEPS steps on the next batches, after as many that are not counted."""
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
    """Two figures for each task."""
    found = []
    limit = "matrix products, and drawing dropout's masks"
    for task, trial in first_trials(registry, device).items():
        peers = others(trial)
        steps = {
            name: stepping(each, registry) for name, each in [("suite", trial), *peers.items()]
        }
        seconds = interleaved(steps, rounds)
        rates = {name: [STEPS / each for each in taken] for name, taken in seconds.items()}
        for peer in peers:
            what = f"MiniLM in bfloat16 on {task}, beside {peer}"
            both = rates["suite"], peer, rates[peer]
            found.append(compared("training", what, *both, "steps/s", limit=limit))
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
