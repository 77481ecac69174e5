"""What batches cost: padding, shapes, their share of training, and preparing a task again.

    python benchmarks/batches.py [TASK ...]

Padding is the share of cells that hold none of the text, over 200 training batches of 32, and
shapes is how many there are among these; both again with lengths rounded up to 8, as steps that are
captured once per shape have them. Full is the share of batches whose sources have no padding,
and need no mask. The share of training is the time to draw a batch over the time of a whole step of
the task's fastest built-in model (AdamW, default sizes, one thread), over whole pools from the
first draw on, because a pool's first batch pays for all of it. Run it twice: the first time may
have to prepare the data.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from time import perf_counter

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np
from rounds import timed

from msbench import Batch, Choice, DataError, Registry, Task, derive, load_plugins, training_batches
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.data.batches import POOL

SIZE, STEPS, POOLS = 32, 200, 2
FASTEST = {"classify": "bag", "tag": "lstm", "seq2seq": "encoder-decoder", "lm": "causal-lm"}


def draw(task: Task, seed: int, round_to: int = 1) -> Iterator[Batch]:
    return training_batches(task.train, SIZE, np.random.default_rng(seed), round_to)


def shapes(drawn: list[Batch]) -> int:
    """How many there are, whether a batch is full or not."""
    return len({batch.shapes[:-1] for batch in drawn})


def padding(task: Task, drawn: list[Batch]) -> float:
    """Share of cells that are padding."""
    arrays = [a for b in drawn for a in (b.source if task.kind != "lm" else None, b.input)]
    cells = sum(a.size for a in arrays if a is not None)
    return 1 - sum(b.tokens for b in drawn) / cells


def share(registry: Registry, task: Task) -> float:
    """Time to draw batches over the time to draw them and learn from them."""
    model = registry.build("model", registry.resolve("model", Choice(FASTEST[task.kind])))
    learner = TorchLearner(
        task, model=model, loss=cross_entropy, optimizer=adamw, seed=derive(0, "batches")
    )
    learner.mode(training=True)
    warm, batches = draw(task, 1), draw(task, 0)
    for _ in range(3):
        learner.train_step(next(warm))
    drawing = 0.0
    start = perf_counter()
    for _ in range(POOLS * POOL):
        before = perf_counter()
        batch = next(batches)
        drawing += perf_counter() - before
        learner.train_step(batch)
    return drawing / (perf_counter() - start)


if __name__ == "__main__":
    registry = load_plugins()
    composed = ("files", "mixture")
    names = [entry.name for entry in registry.of("task") if entry.name not in composed]
    print(
        f"{'task':16} {'prepared in':>11} {'full':>6} {'padding':>8} {'shapes':>7} "
        f"{'rounded to 8:':>14} {'padding':>8} {'shapes':>7} {'batches, share of training':>27}"
    )
    for name in sys.argv[1:] or names:
        make = registry.build("task", registry.resolve("task", Choice(name)))
        try:
            task = make()
        except DataError as error:
            print(f"{name:16} {error}")
            continue
        exact, rounded = (list(islice(draw(task, 0, to), STEPS)) for to in (1, 8))
        full = sum(batch.full for batch in exact) / STEPS
        seconds, used = timed(make)(), share(registry, task)
        print(
            f"{name:16} {seconds:9.2f} s {full:6.0%} {padding(task, exact):8.1%} {shapes(exact):7} "
            f"{'':14} {padding(task, rounded):8.1%} {shapes(rounded):7} {used:27.2%}",
            flush=True,
        )
