"""How near a bag of embeddings comes to TF-IDF and logistic regression on BBC news, from scratch.

    python studies/bags.py [--seeds 3] > results/reference/bags.md

One row a configuration: tokens that are read, n-grams, dropout, passes of 32 articles by AdamW, and
accuracy on validation and test (mean over seeds, then each). The yardstick `linear` has 0.981 on
the 206 test articles (studies/yardsticks.py), of which one is 0.005.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from time import process_time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from tabulate import tabulate

from msbench import Task, evaluation_batches, stream, training_batches
from msbench.builtin.decoders.labels import argmax
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.bag import Bag
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.schedules.factors import linear
from msbench.builtin.tasks.news import bbc_news
from msbench.run.decode import decode
from msbench.run.train import train
from msbench.spec import Training


@dataclass(frozen=True)
class Setting:
    """What is tried."""

    tokens: int = 512
    vocabulary: int = 8000
    ngrams: int = 1
    dropout: float = 0.1
    passes: int = 300
    lr: float = 1e-2


SETTINGS = [
    Setting(tokens=64, vocabulary=4000),
    Setting(),
    Setting(ngrams=2),
    Setting(dropout=0.5),
    Setting(ngrams=2, dropout=0.5),
    Setting(tokens=128, ngrams=2, dropout=0.5),
]


def accuracies(setting: Setting, task: Task, seeds: int) -> Iterator[tuple[float, float]]:
    """(validation, test) of every seed."""
    budget = Training(passes=setting.passes, batch_size=32, validations=1)
    for seed in range(seeds):
        learner = TorchLearner(
            task,
            model=partial(Bag, ngrams=setting.ngrams, dropout=setting.dropout, buckets=20_000),
            loss=cross_entropy,
            optimizer=partial(adamw, lr=setting.lr),
            seed=seed,
        )
        batches = training_batches(task.train, 32, stream(seed, "order"))
        held = evaluation_batches(task.validation, 64)
        train(learner, batches, held, budget, linear(warmup=0.1))
        yield tuple(  # type: ignore[misc]
            decode(learner, argmax(), task, split, evaluation_batches(split, 64)).scores.metrics[
                "accuracy"
            ]
            for split in (task.validation, task.test)
        )


def row(setting: Setting, seeds: int) -> dict[str, str]:
    """The table's row of a setting."""
    task = bbc_news(max_length=setting.tokens, vocabulary=setting.vocabulary)
    start = process_time()
    found = np.array(list(accuracies(setting, task, seeds)))
    each = " ".join(f"{value:.3f}" for value in found[:, 1])
    return {
        **{name: str(value) for name, value in vars(setting).items()},
        "validation": f"{found[:, 0].mean():.3f}",
        "test": f"{found[:, 1].mean():.3f} ({each})",
        "CPU s a seed": f"{(process_time() - start) / seeds:.0f}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    rows = []
    for setting in SETTINGS:
        rows.append(row(setting, seeds))
        print(rows[-1], file=sys.stderr, flush=True)
    print(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True))
