"""What a whole training step costs under each optimizer, against AdamW, on 4 M parameters.

python benchmarks/overhead.py [ROUNDS]

An encoder-decoder (width 256, 2 + 2 layers), batches of 16 short texts, one thread. In every round
each optimizer takes 5 steps, in an order that rotates; the ratio to AdamW is formed within the
round, and the median over rounds is printed, with the lowest and the highest. Beside it, the
optimizer's own part: such steps with a closure that leaves the gradients as they are. Run it alone.
"""

import statistics
import sys
from functools import partial
from time import perf_counter

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np
import torch
from tabulate import tabulate

from msbench import Choice, Registry, Task, load_plugins
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.data.batches import training_batches

STEPS, SIZE = 5, 16
LIMITS = {"lookahead": 1.10, "ema": 1.10, "sam": 2.15}
AROUND_ADAMW = ("lookahead", "ema", "swa", "sam", "extragradient", "diloco")
OTHERS = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "nadam", "adafactor", "muon")


def learner(registry: Registry, task: Task, name: str) -> TorchLearner:
    """Of the model of 4 M parameters, warmed up."""
    options = {"base": Choice("adamw")} if name in AROUND_ADAMW else {}
    part = registry.resolve("optimizer", Choice(name, options))
    made = TorchLearner(
        task,
        model=partial(EncoderDecoder, width=256, layers=2, dropout=0.0),
        loss=cross_entropy,
        optimizer=registry.build("optimizer", part),
        seed=0,
    )
    made.mode(training=True)
    return made


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    registry, task = load_plugins(), numbers_fr()
    names = ("adamw", *AROUND_ADAMW, *OTHERS)
    learners = [learner(registry, task, name) for name in names]
    drawn = training_batches(task.train, SIZE, np.random.default_rng(0))
    batches = [next(drawn) for _ in range(STEPS)]  # the same for all
    print(f"{learners[0].parameters() / 1e6:.2f} M parameters", flush=True)

    def timed(index: int) -> float:
        start = perf_counter()
        for batch in batches:
            learners[index].train_step(batch)
        return perf_counter() - start

    def alone(index: int) -> float:
        start = perf_counter()
        for _ in batches:
            learners[index].optimizer.step(lambda *shard: torch.zeros(()))
        return perf_counter() - start

    for index in range(len(names)):
        timed(index)
    seconds: list[list[float]] = [[] for _ in names]
    own: list[list[float]] = [[] for _ in names]
    for number in range(rounds):
        for place in range(len(names)):
            index = (place + number) % len(names)
            seconds[index].append(timed(index))
            own[index].append(alone(index))
    rows = []
    for name, mine, part in zip(names, seconds, own, strict=True):
        ratios = [one / base for one, base in zip(mine, seconds[0], strict=True)]
        middle = statistics.median(ratios)
        verdict = ""
        if name in LIMITS:
            verdict = f"{'ok' if middle <= LIMITS[name] else 'OVER'}, at most {LIMITS[name]:.2f}"
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        step = f"{statistics.median(mine) / STEPS * 1e3:.1f} ms"
        alone_ms = f"{statistics.median(part) / STEPS * 1e3:.1f} ms"
        rows.append([name, step, alone_ms, f"{middle:.3f}", spread, verdict])
    headers = ["optimizer", "step", "optimizer alone", "against adamw", "rounds", ""]
    print(tabulate(rows, headers, disable_numparse=True))
