"""Weight decay that is decoupled from the gradient's step (Loshchilov and Hutter, 2019)."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

Decay = Literal["matrices", "all"]


def decayed(
    weights: Iterable[Tensor], weight_decay: float, decay: Decay = "matrices", *, own: bool = False
) -> list[dict[str, Any]]:
    """Groups of the trained weights: decay on matrices, none on norms and biases.

    own: the optimizer decouples by itself; otherwise `decoupled` does it.
    """
    trained = [p for p in weights if p.requires_grad]
    key = "weight_decay" if own else "decoupled_decay"
    shrunk = [p for p in trained if p.ndim >= 2 or decay == "all"]
    spared = [p for p in trained if p.ndim < 2 and decay != "all"]
    groups = [{"params": shrunk, key: weight_decay}, {"params": spared, key: 0.0}]
    return [group for group in groups if group["params"]]


def decoupled(optimizer: Optimizer) -> Optimizer:
    """Weights of a group shrink by its lr * `decoupled_decay` before every step, as in AdamW.

    The gradient is taken first, at the unshrunk weights, so the shrinking extends the closure.
    """
    if any(group["decoupled_decay"] for group in optimizer.param_groups):
        optimizer.register_step_pre_hook(_shrink_after_gradient)
    return optimizer


def _shrink_after_gradient(optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
    closure = args[1] if len(args) > 1 else kwargs.get("closure")
    if closure is None:  # a wrapper has taken the gradient already
        _shrink(optimizer)
        return None

    def extended() -> Tensor:
        loss: Tensor = closure()
        _shrink(optimizer)
        return loss

    return (optimizer, extended), {}


@torch.no_grad()
def _shrink(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        shrunk = [p for p in group["params"] if p.grad is not None]
        if shrunk and group["decoupled_decay"]:
            torch._foreach_mul_(shrunk, 1 - group["lr"] * group["decoupled_decay"])
