"""Does training on a reward raise that reward over the cross-entropy start, and is it the reward?

    python studies/self_critical.py [SPLIT]

An encoder-decoder (width 64, no dropout) learns numbers-fr by cross-entropy. From those weights,
training goes on with each of ARMS on the same batches, with a new AdamW without weight decay.
Prints the reward (mean chrF of each greedy output / 100) at that point and the change after it,
paired over seeds, with 95 % intervals, on SPLIT: test (the default) or validation.

The settings below were chosen on validation with seeds 100 to 103, after a first evaluation on the
test split (seeds 0 to 4, 80 and 100 passes, temperature 1) in which self-critical training had
changed nothing: +0.0004 [-0.0111, +0.0119].
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np
from tabulate import tabulate

from msbench import Batch, Split, Task, stream
from msbench.builtin.generation import greedy
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.losses.sequence import minimum_risk, self_critical
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.schedules.factors import linear
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.compare.stats import mean_interval
from msbench.data.batches import evaluation_batches, training_batches
from msbench.run.train import train
from msbench.spec import Training

SEEDS, START, MORE, SIZE = range(5, 10), 100, 150, 32

ARMS: dict[str, tuple[Callable[..., Any], float]] = {
    "self-critical, chrF": (partial(self_critical, temperature=0.7), 1e-3),
    "self-critical, constant": (partial(self_critical, temperature=0.7, reward="constant"), 1e-3),
    "minimum-risk, chrF": (minimum_risk, 1e-3),
    "cross-entropy": (cross_entropy, 1e-3),
}
"""Loss and learning rate of the second phase."""


def study(task: Task, split: Split, seed: int) -> dict[str, tuple[float, float]]:
    """(reward of greedy output on the split, seconds of training) at the start and per arm."""
    learner = TorchLearner(
        task,
        model=partial(EncoderDecoder, dropout=0.0),
        loss=cross_entropy,
        optimizer=partial(adamw, lr=4e-3),
        seed=seed,
    )
    outcomes = {"start": train_on(learner, START, split, "order")}
    weights = {name: each.clone() for name, each in learner.model.state_dict().items()}
    for name, (loss, lr) in ARMS.items():
        learner.model.load_state_dict(weights)
        learner.begin(loss, partial(adamw, lr=lr, weight_decay=0.0))
        learner.reseed("second phase")
        outcomes[name] = train_on(learner, MORE, split, "second order")
    return outcomes


def train_on(learner: TorchLearner, passes: int, split: Split, order: str) -> tuple[float, float]:
    """Train with a rate that falls linearly to zero; returns reward and seconds."""
    batches: Iterator[Batch] = training_batches(
        learner.task.train, SIZE, stream(learner.seed, order)
    )
    run = train(learner, batches, [], Training(passes=passes, validations=1), linear())
    return reward(learner, split), run.seconds


def reward(learner: TorchLearner, split: Split) -> float:
    """Mean chrF of the greedy outputs, from 0 to 1."""
    total = 0.0
    for batch in evaluation_batches(split, 100):
        output = learner.predict(batch, greedy())
        total += sum(learner.task.score(output, batch.references).examples["chrf"]) / 100
    return total / len(split)


def shown(interval: tuple[float, float, float]) -> str:
    """Mean [low, high]."""
    return "{:+.4f} [{:+.4f}, {:+.4f}]".format(*interval)


if __name__ == "__main__":
    task = numbers_fr(below=10_000, examples=6000)
    split = task.splits[sys.argv[1] if len(sys.argv) > 1 else "test"]
    outcomes = []
    for seed in SEEDS:
        outcomes.append(study(task, split, seed))
        print(f"seed {seed}:", *(f"{each:.4f}" for each, _ in outcomes[-1].values()), flush=True)
    start = [each["start"][0] for each in outcomes]
    print("reward after cross-entropy:", shown(mean_interval(start)))
    rows = []
    for name in ARMS:
        change = [each[name][0] - each["start"][0] for each in outcomes]
        seconds = np.mean([each[name][1] for each in outcomes])
        rows.append([name, shown(mean_interval(change)), f"{seconds:.1f} s"])
    print(tabulate(rows, headers=["then", "change of reward", "training"], disable_numparse=True))
