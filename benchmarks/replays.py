"""Whether captured steps are the steps: CUDA graphs against eager training, for many strategies.

    python benchmarks/replays.py [--device cpu]

On a GPU, what `tests/builtin/test_capture.py` shows with the tape on a CPU. Prints for each
strategy the largest difference between the losses of 24 steps under a schedule, relative to them
(of weights it would say little: Adam makes steps of rounding where a gradient is zero), how many
steps were replayed, and the time of a step, eager and replayed. Without dropout, since eager and
replayed steps draw other masks; exit code 1 if one differs.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from time import perf_counter
from typing import Any

import torch

from msbench import Batch, training_batches
from msbench.builtin.capture import as_on_cuda, tape
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.optimizers import local_sgd, torch_optim, wrappers
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.run.seeds import stream

STEPS, CLOSE = 24, 1e-3
fast = partial(torch_optim.adamw, lr=3e-3, weight_decay=0.1)
STRATEGIES: dict[str, dict[str, Any]] = {
    **{
        name: {"optimizer": getattr(torch_optim, name)}
        for name in ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "nadam", "muon")
    },
    "adamw, accumulated, clipped": {"optimizer": fast, "accumulate": 2, "clip": 0.5},
    "sam": {"optimizer": partial(wrappers.SAM, base=fast)},
    "extragradient": {"optimizer": partial(wrappers.Extragradient, base=fast)},
    "lookahead": {"optimizer": partial(wrappers.Lookahead, base=fast, k=3)},
    "ema": {"optimizer": partial(wrappers.EMA, base=fast)},
    "swa": {"optimizer": partial(wrappers.SWA, base=fast, start=0.3)},
    "local-sgd": {"optimizer": partial(local_sgd.local_sgd, base=fast, every=3, workers=2)},
}


def trained(learner: TorchLearner, batches: list[Batch]) -> tuple[list[torch.Tensor], float]:
    """The losses of these steps, and milliseconds of one of the last."""
    losses = []
    learner.mode(training=True)
    start = 0.0
    for number, batch in enumerate(batches):
        if number == len(batches) * 3 // 4:
            learner.synchronize()
            start = perf_counter()
        learner.set_rate(1.0 - 0.9 * number / len(batches), number / len(batches))
        losses.append(learner.train_step(batch).loss)
    learner.synchronize()
    taken = perf_counter() - start
    return losses, 4000 * taken / len(batches)


def compared(
    make: Callable[..., TorchLearner], parts: dict[str, Any], batches: list[Batch], device: str
) -> tuple[float, int, float, float]:
    """(largest difference, steps replayed, milliseconds eager, replayed) of one strategy."""
    expected, eager = trained(make(**parts), batches)
    captured = make(**parts, graph=True)
    with as_on_cuda():
        if device == "cpu":
            captured.captured_by(tape)
        found, replay = trained(captured, batches)
    pairs = zip(expected, found, strict=True)
    error = max(float((a - b).abs() / a) for a, b in pairs)
    return error, captured.prepared().replayed, eager, replay


def main() -> None:
    """Compare all strategies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    device = parser.parse_args().device
    torch.set_num_threads(1)
    task = numbers_fr(below=200, examples=200)
    some = training_batches(task.train, 16, stream(0, "order"))
    batches = list(islice(cycle(islice(some, 2)), STEPS))
    make: Callable[..., TorchLearner] = partial(
        TorchLearner,
        task,
        model=partial(EncoderDecoder, dropout=0.0),
        loss=cross_entropy,
        seed=0,
        device=device,
    )
    wrong = 0
    print(f"{'strategy':30}{'difference':>11}{'replayed':>9}{'eager ms':>10}{'replay ms':>10}")
    for name, parts in STRATEGIES.items():
        try:
            error, replayed, eager, replay = compared(make, parts, batches, device)
        except Exception as failed:
            print(f"{name:30}{type(failed).__name__}: {failed}")
            wrong += 1
            continue
        wrong += error > CLOSE or not replayed
        print(f"{name:30}{error:11.2e}{replayed:9}{eager:10.2f}{replay:10.2f}", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
