"""A compiled loss: forward pass and loss of a training step as fewer, fused kernels."""

import importlib.util
import shutil
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from msbench import Batch

Loss = Callable[[Any, Batch], tuple[Tensor, Tensor]]

COMPILERS = ("g++", "clang++", "c++")
"""One of them makes kernels for a CPU."""

MOST = 64
"""Shapes that code is compiled for at most; torch would run others eagerly without a word."""


def backend_for(device: str) -> tuple[str, str]:
    """(torch's backend that works here, what is missing for a better one)."""
    if device.startswith("cuda"):
        missing = "" if importlib.util.find_spec("triton") else "no triton"
    else:
        missing = "" if any(map(shutil.which, COMPILERS)) else f"none of {', '.join(COMPILERS)}"
    return ("aot_eager", missing) if missing else ("inductor", "")


class Compiled:
    """A loss with the model's forward pass, compiled when they meet a batch of new shapes.

    Lengths are marked as ones that change, so that one piece of code serves batches of all of them
    and other shapes only look it up. Losses that generate are left as they are: theirs is no fixed
    work, and `backend` is then empty.
    """

    def __init__(self, loss: Loss, device: torch.device):
        steady = getattr(loss, "steady", True)
        self.backend = backend_for(device.type)[0] if steady else ""
        self.seconds = 0.0
        self._loss = torch.compile(loss, backend=self.backend) if steady else loss
        self._known: set[Any] = set()

    def __call__(self, model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """As the loss itself."""
        return self._loss(model, batch)

    def knows(self, batch: Batch) -> bool:
        """Whether code for batches of these shapes has been made."""
        return not self.backend or batch.shapes in self._known

    def warm_up(self, batch: Batch, gradient: Callable[[Batch, Loss], Tensor]) -> None:
        """Make the code that a gradient of this batch needs, in this process alone."""
        start = perf_counter()
        for array in (batch.source, batch.input, batch.target, batch.words):
            for dimension in range(1, 0 if array is None else array.ndim):
                torch._dynamo.maybe_mark_dynamic(array, dimension)
        settings = {"recompile_limit": MOST, "accumulated_recompile_limit": 4 * MOST}
        from torch._inductor import config  # late: it takes long, and few trials compile

        one = config.patch(compile_threads=1)
        with torch._dynamo.config.patch(settings), one, torch.enable_grad():
            gradient(batch, self)
        self._known.add(batch.shapes)
        self.seconds += perf_counter() - start
