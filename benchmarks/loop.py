"""The training loop against a bare hand-written PyTorch loop: same model, batches, fused AdamW.

    python benchmarks/loop.py [--device cuda] [--rounds N]

2 layers, width 64, batch 32, 32 tokens, one thread. Both run in one process, round by round, in an
order that is drawn anew; the ratio is formed within the round. Prints the mean ratio of speeds with
its 95 % interval, and the same for the bare loop against itself, which shows the noise. Wanted: an
interval that includes 1.00 or lies above 0.99. Run it alone on the machine.
"""

import argparse
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from figures import Figure, card_of, compared, line, save
from rounds import Timed, interleaved, timed

from msbench import Batch, Split, Task, derive, evaluation_batches
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.schedules.factors import linear
from msbench.run.train import train
from msbench.spec import Training

STEPS = 10


def make_task() -> Task:
    """Random tokens; what is timed does not depend on them."""
    draw = np.random.default_rng(0)
    source = draw.integers(4, 1000, (1024, 32))
    labels = draw.integers(0, 5, 1024)
    split = Split(source, labels, labels.tolist())
    return Task("classify", split, split, split, lambda p, r: None, "accuracy", 1000, 5)


def ours(task: Task, batches: list[Batch], device: str) -> Timed:
    """STEPS steps of the loop that every trial runs."""
    learner = TorchLearner(
        task,
        model=Encoder,
        loss=cross_entropy,
        optimizer=lambda model: adamw(model),
        seed=0,
        device=device,
    )
    schedule, training = linear(), Training(passes=STEPS, validations=1)
    return lambda: train(learner, cycle(batches), batches[:1], training, schedule).seconds


def bare(task: Task, batches: list[Batch], device: str) -> Timed:
    """STEPS steps as one would write them by hand."""
    torch.manual_seed(derive(0, "init"))
    model = Encoder(task).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    rates = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=10**9)

    def run() -> None:
        for batch in islice(cycle(batches), STEPS):
            tensors = batch.map(lambda ids: torch.from_numpy(ids).to(device, non_blocking=True))
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model(tensors), tensors.target)
            loss.backward()
            optimizer.step()
            rates.step()
        if device != "cpu":
            torch.cuda.synchronize()

    model.train()
    return timed(run)


def against_bare(name: str, loop: Any, device: str, rounds: int) -> Figure:
    """A loop's steps per second beside those of the bare one."""
    task = make_task()
    batches = evaluation_batches(task.train, 32)
    pair = {"mine": loop(task, batches, device), "theirs": bare(task, batches, device)}
    seconds = interleaved(pair, rounds)
    mine, theirs = ([STEPS / each for each in seconds[key]] for key in pair)
    limit, goal = "what each operation costs to start", "1.00, or at least 0.99"
    return compared("training", name, mine, "bare loop", theirs, "steps/s", goal=goal, limit=limit)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    named = {"the loop of a trial, width 64, batch 32": ours, "a bare loop against itself": bare}
    rows = [against_bare(n, each, asked.device, asked.rounds) for n, each in named.items()]
    print(*map(line, rows), sep="\n")
    save("loop", rows, card_of(asked.device))
