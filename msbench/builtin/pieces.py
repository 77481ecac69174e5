"""The pieces of a training step, each to be timed alone, and the device's own limit.

A `TorchLearner` has both as methods: `msbench bench` and `msbench microbench` ask for them.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from msbench import BEGIN, Batch
from msbench.builtin.precision import casting, exactly, switched

SIZES = {"cpu": 1024, "cuda": 8192}
"""Of the square matrices whose product is timed: so large that nothing but arithmetic counts."""

SECONDS, LEAST = 0.3, 3
"""For how long that is repeated, and how often at least."""

TOKENS = 8
"""Written by `cached steps`."""


class Steps(Protocol):
    """What of a learner is needed."""

    device: torch.device
    precision: str
    model: nn.Module
    loss: Callable[[Any, Batch], tuple[Tensor, Tensor]]
    optimizer: Any


def pieces(learner: Steps, batch: Batch) -> dict[str, Callable[[], Any]]:
    """What does one piece of the work on a batch: `data`, `forward`, `gradient`, `optimizer`,
    `model` and, of a model that generates, `cached steps`.

    The optimizer steps with the gradients as they are; weights are changed.
    """
    precise = partial(casting, learner.precision, learner.device)

    def place() -> Batch:
        return batch.map(lambda ids: torch.from_numpy(ids).to(learner.device))

    placed = place()

    def forward() -> Tensor:
        with torch.enable_grad(), precise():
            total, count = learner.loss(learner.model, placed)
        return total / count

    def gradient() -> Tensor:
        learner.optimizer.zero_grad(set_to_none=True)
        loss = forward()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    def optimizer() -> None:
        learner.optimizer.step(lambda *shard, **asked: loss)

    @torch.inference_mode()
    def model() -> Tensor:
        with exactly(learner.device):
            return learner.model(placed)  # type: ignore[no-any-return]

    loss = gradient().detach()
    found = {"data": place, "forward": forward, "gradient": gradient}
    found |= {"optimizer": optimizer, "model": model}
    return found | _cached_steps(learner, placed)


def _cached_steps(learner: Steps, placed: Batch) -> dict[str, Callable[[], Any]]:
    """The first few tokens of every output; from the start, since steps change their state."""
    model: Any = learner.model
    if not hasattr(model, "start"):
        return {}
    tokens = torch.full((len(placed.rows),), BEGIN, device=learner.device)
    count = min(TOKENS, getattr(model, "max_length", TOKENS))

    @torch.inference_mode()
    def steps() -> None:
        with exactly(learner.device):
            state = model.start(placed)
            for _ in range(count):
                _, state = model.step(state, tokens)

    return {"cached steps": steps}


def matrix_peak(learner: Steps) -> float:
    """Floating point operations per second of products of large matrices, the best of several.

    In the precision that the products of its training steps have.
    """
    device = learner.device
    own = next(learner.model.parameters()).dtype
    dtype = torch.bfloat16 if learner.precision == "bfloat16" else own
    size = SIZES[device.type]
    a, b = torch.randn(2, size, size, dtype=torch.float32, device=device).to(dtype)
    best, start, times = 0.0, perf_counter(), 0
    while times < LEAST or perf_counter() - start < SECONDS:
        before = perf_counter()
        with switched(learner.precision, device):
            torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * size**3 / (perf_counter() - before))
        times += 1
    return best
