"""Optimizers that find their rate: its scale is an estimate of the distance to the solution.

`lr` is a factor on it, 1 as intended, and what a schedule multiplies.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msbench.builtin.dtensors import whole
from msbench.builtin.optimizers.decay import Decay, decayed
from msbench.builtin.optimizers.rule import Group, Rule, scaled, shrink, walk
from msbench.builtin.types import OpenShare, PositiveShare, Rate, WeightDecay


def prodigy(
    model: nn.Module,
    lr: Rate = 1.0,
    beta1: OpenShare = 0.9,
    beta2: OpenShare = 0.999,
    d0: PositiveShare = 1e-6,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """Prodigy. d0: the first estimate, which only has to be too small."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return Prodigy(groups, d0, lr=lr, betas=(beta1, beta2), eps=eps)


def dadapt_adam(
    model: nn.Module,
    lr: Rate = 1.0,
    beta1: OpenShare = 0.9,
    beta2: OpenShare = 0.999,
    d0: PositiveShare = 1e-6,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """D-Adaptation of Adam. d0: the first estimate, which only has to be too small."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return DAdaptAdam(groups, d0, lr=lr, betas=(beta1, beta2), eps=eps)


class DistanceRule(Rule):
    """One estimate `distance` for all weights, renewed after each step: a quotient of two sums over
    all weights, which `move` adds to as it goes."""

    def __init__(self, groups: Iterable[Group], d0: float, **options: Any):
        super().__init__(groups, **options)
        self.shared["distance"] = torch.full_like(self.count, d0)
        self.shared["correlation"] = torch.zeros_like(self.count)
        self.length = torch.zeros_like(self.count)

    @property
    def distance(self) -> Tensor:
        """The estimate."""
        return self.shared["distance"]  # type: ignore[no-any-return]

    @property
    def correlation(self) -> Tensor:
        """The sum above, which is kept from step to step; the one below is that of lengths."""
        return self.shared["correlation"]  # type: ignore[no-any-return]

    @torch.no_grad()
    def advance(self) -> None:
        """A step at the last estimate, then the next one, which is never smaller."""
        self.correlation.mul_(self.shared["betas"][1] ** 0.5)
        self.length.zero_()
        super().advance()
        found = self.correlation / self.length.clamp(min=torch.finfo(torch.float64).tiny)
        torch.maximum(self.distance, found, out=self.distance)

    def remember(
        self, group: Group, weights: list[Tensor], gradients: list[Tensor], share: Tensor
    ) -> list[Tensor]:
        """The weighted sums of gradients, as they were before this one was added."""
        sums = self.kept(weights, "sum")
        before = list(torch._foreach_mul(sums, 1.0))
        torch._foreach_mul_(sums, group["betas"][1] ** 0.5)
        torch._foreach_add_(sums, scaled(gradients, share))
        for each in sums:
            self.length.add_(whole(each.abs().sum()))
        return before


class Prodigy(DistanceRule):
    """Mishchenko and Defazio, 2023, Prodigy: an expeditiously adaptive parameter-free learner,
    algorithm 4."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Adam along gradients times the estimate, and what is found of the distance."""
        beta1, beta2 = group["betas"]
        for p in weights:
            self.state[p].setdefault("start", p.detach().clone())
        distance = self.distance
        share = (1 - beta2**0.5) * group["lr"] * distance.square()
        for p, gradient in zip(weights, gradients, strict=True):
            self.correlation.add_(share * whole(((self.state[p]["start"] - p) * gradient).sum()))
        self.remember(group, weights, gradients, share)
        long = scaled(gradients, distance)
        first, second = self.kept(weights, "first"), self.kept(weights, "second")
        torch._foreach_lerp_(first, long, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, long, long, 1 - beta2)
        roots = torch._foreach_sqrt(second)
        for root in roots:
            root.add_(distance * group["eps"])
        ways = list(torch._foreach_div(first, roots))
        walk(group, weights, ways, group["lr"] * distance)


class DAdaptAdam(DistanceRule):
    """Defazio and Mishchenko, 2023, Learning-rate-free learning by D-Adaptation, algorithm 5."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Adam without bias correction, and what is found of the distance."""
        beta1, beta2 = group["betas"]
        rate = group["lr"] * self.distance
        first, second = self.kept(weights, "first"), self.kept(weights, "second")
        # The product is in the scaling of the step before, as s was gathered without this gradient.
        before = torch._foreach_sqrt(second)
        torch._foreach_add_(before, group["eps"])
        sums = self.remember(group, weights, gradients, (1 - beta2**0.5) * rate)
        for gradient, each, root in zip(gradients, sums, before, strict=True):
            self.correlation.add_(rate * whole((gradient * each / root).sum()))
        torch._foreach_mul_(first, beta1)
        torch._foreach_add_(first, scaled(gradients, (1 - beta1) * rate))
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        roots = torch._foreach_sqrt(second)
        torch._foreach_add_(roots, group["eps"])
        shrink(group, weights, rate)
        torch._foreach_sub_(weights, torch._foreach_div(first, roots))
