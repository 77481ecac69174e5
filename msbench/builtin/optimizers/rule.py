"""Optimizers that are a formula, written once for eager and for captured steps."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Closure = Callable[..., Tensor]
Group = dict[str, Any]


class Rule(Optimizer):
    """A formula: `move` says where the weights of a group go, given their gradients.

    What changes from step to step is a tensor on the device, the count of steps too, so that the
    same code is right when a step is captured and replayed.
    """

    steady = True

    def __init__(self, groups: Iterable[Group], **options: Any):
        super().__init__(groups, options)
        device = self.shared["params"][0].device
        self.shared["count"] = torch.zeros((), dtype=torch.float64, device=device)

    @property
    def shared(self) -> Group:
        """The first group, which also has what belongs to all weights: so `state_dict` has it."""
        return self.param_groups[0]

    @property
    def count(self) -> Tensor:
        """Steps taken, on the device."""
        return self.shared["count"]  # type: ignore[no-any-return]

    def step(self, closure: Closure | None = None) -> Tensor | None:  # type: ignore[override]
        """One gradient, unless it was taken already, and one move of every group."""
        loss = None if closure is None else closure()
        self.advance()
        return loss

    @torch.no_grad()
    def advance(self) -> None:
        """Move along the gradients that are there; weights without one stay."""
        self.count.add_(1)
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                self.move(group, weights, [p.grad for p in weights])

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Change the weights of a group; gradients stay as they are."""
        raise NotImplementedError

    def kept(self, weights: list[Tensor], name: str) -> list[Tensor]:
        """The state of this name, of each weight's shape; at first zero."""
        for p in weights:
            if name not in self.state[p]:
                self.state[p][name] = torch.zeros_like(p, memory_format=torch.preserve_format)
        return [self.state[p][name] for p in weights]

    def correction(self, beta: float) -> Tensor:
        """What a moving average that began at zero is multiplied by (Kingma and Ba, 2015)."""
        return 1 / (1 - torch.pow(beta, self.count))

    def moments(
        self, group: Group, weights: list[Tensor], gradients: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Adam's: the mean of gradients, and the root of the mean of their squares plus eps."""
        beta1, beta2 = group["betas"]
        first, second = self.kept(weights, "first"), self.kept(weights, "second")
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        roots = scaled(second, self.correction(beta2))
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, group["eps"])
        return scaled(first, self.correction(beta1)), roots


def walk(
    group: Group, weights: list[Tensor], ways: list[Tensor], rate: float | Tensor | None = None
) -> None:
    """Shrink weights and step along `ways`, which are used up. rate: instead of the group's."""
    rate = group["lr"] if rate is None else rate
    shrink(group, weights, rate)
    scale_(ways, -rate)
    torch._foreach_add_(weights, ways)


def shrink(group: Group, weights: list[Tensor], rate: float | Tensor) -> None:
    """Decoupled weight decay (Loshchilov and Hutter, 2019)."""
    if group["weight_decay"]:
        scale_(weights, 1 - rate * group["weight_decay"])


def scaled(tensors: list[Tensor], factor: float | Tensor) -> list[Tensor]:
    """New tensors, times a factor that may be on the device."""
    return list(torch._foreach_mul(tensors, _like(tensors, factor)))


def scale_(tensors: list[Tensor], factor: float | Tensor) -> None:
    """The same in place."""
    torch._foreach_mul_(tensors, _like(tensors, factor))


def _like(tensors: list[Tensor], factor: float | Tensor) -> float | Tensor:
    return factor.to(tensors[0].dtype) if isinstance(factor, Tensor) else factor
