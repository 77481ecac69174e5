"""The training loop against a bare hand-written PyTorch loop: same model, batches, fused AdamW.

    python benchmarks/loop.py [--device cuda] [--rounds N]

2 layers, width 64, batch 32, 32 tokens, one thread. Both run in one process, round by round, in an
order that alternates; the ratio is formed within the round. Prints the median ratio with its 95 %
interval, and the same for the bare loop against itself, which shows the noise. Wanted: an interval
that includes 1.00 or lies below 1.01. Run it alone on the machine.
"""

import argparse
from collections.abc import Callable
from itertools import cycle, islice

import numpy as np
import torch
from rounds import Timed, interleaved, ratio_interval, timed

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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    task = make_task()
    batches = evaluation_batches(task.train, 32)
    loops: dict[str, Callable[[Task, list[Batch], str], Timed]] = {"msbench": ours, "bare": bare}
    for name, loop in loops.items():
        pair = {
            "first": loop(task, batches, asked.device),
            "second": bare(task, batches, asked.device),
        }
        seconds = interleaved(pair, asked.rounds)
        middle, low, high = ratio_interval(seconds["first"], seconds["second"])
        verdict = "" if name == "bare" else "reached" if low <= 1 or high < 1.01 else "missed"
        print(f"{name} loop / bare loop: {middle:.3f} (95 % {low:.3f} to {high:.3f}) {verdict}")
