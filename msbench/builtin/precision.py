"""What training steps multiply in: float32, TF32, or bfloat16 with weights in float32."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from msbench.builtin.compiling import backend_for

Precision = Literal["float32", "tf32", "bfloat16"]


@contextmanager
def switched(precision: str, device: torch.device) -> Iterator[None]:
    """torch's switches of this precision inside, then as they were: they are the process's.

    `highest` unless TF32 is asked for, cuDNN's own switch included, which torch leaves on.
    """
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn


def exactly(device: torch.device) -> AbstractContextManager[None]:
    """Around all that evaluates: in float32, whatever weights were trained in, so that a score or
    a validation loss is of the weights and not of how it was computed."""
    return switched("float32", device)


def casting(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Around a forward pass and its loss: what torch casts to bfloat16 and what it leaves.

    Without its cache of cast weights: one that was filled without gradients (by a loss that
    generates first) would leave the weights without any.
    """
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def promote_logits(model: nn.Module) -> None:
    """Make the model's logits float32, so that every loss takes its logarithms in that."""

    def promoted(_: nn.Module, __: Any, logits: Any) -> Any:
        low = isinstance(logits, Tensor) and logits.dtype == torch.bfloat16
        return logits.float() if low else None

    model.register_forward_hook(promoted)


def mode_notes(modes: Mapping[str, Any], device: str) -> list[str]:
    """What this learner does otherwise than these settings of training say, on this device."""
    notes = []
    if modes.get("precision") == "tf32" and device == "cpu":
        notes.append("precision = 'tf32' is float32 on a CPU, which has no such products")
    if modes.get("graph") and device == "cpu":
        notes.append("graph = true: steps run eagerly on a CPU, which has no graphs to replay")
    backend, missing = backend_for(device)
    if modes.get("compile") and missing:
        notes.append(f"compile = true saves little here: {missing}, so torch uses {backend}")
    return notes
