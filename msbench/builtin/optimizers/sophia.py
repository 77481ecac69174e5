"""Sophia-G: momentum over an estimate of the curvature, clipped."""

from collections.abc import Hashable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msbench.builtin.optimizers.decay import Decay, decayed
from msbench.builtin.optimizers.rule import Closure, Group, Rule, walk
from msbench.builtin.types import OpenShare, Positive, PositiveShare, Rate, Steps, WeightDecay


def sophia_g(
    model: nn.Module,
    lr: Rate = 1e-3,
    beta1: OpenShare = 0.96,
    beta2: OpenShare = 0.99,
    gamma: Positive = 1.0,
    every: Steps = 10,
    eps: PositiveShare = 1e-12,
    weight_decay: WeightDecay = 0.1,
    decay: Decay = "matrices",
) -> Optimizer:
    """Sophia-G. gamma: what the curvature is multiplied by, the number of target units of a batch
    included, which the paper has apart. Every `every` steps there is a pass more."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return SophiaG(groups, every, lr=lr, betas=(beta1, beta2), gamma=gamma, eps=eps)


class SophiaG(Rule):
    """Liu et al., 2023, Sophia: a scalable stochastic second-order optimizer, algorithm 3.

    The curvature is the mean of squared gradients of the loss on labels that the model itself
    draws (Gauss-Newton-Bartlett).
    """

    def __init__(self, groups: list[Group], every: int, **options: object):
        super().__init__(groups, **options)
        self.every, self.shared["taken"] = every, 0

    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """A step, in every `every`-th of them with a look at the curvature first."""
        if self.shared["taken"] % self.every == 0:
            closure(labels="sampled")
            self._look()
        self.shared["taken"] += 1
        loss = closure()
        self.advance()
        return loss

    def step_kind(self) -> Hashable:
        """Whether it looks at the curvature."""
        return bool(self.shared["taken"] % self.every == 0)

    def note_replay(self) -> None:
        """Count the step."""
        self.shared["taken"] += 1

    @torch.no_grad()
    def _look(self) -> None:
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                curvature = self.kept(weights, "curvature")
                beta2, gradients = group["betas"][1], [p.grad for p in weights]
                torch._foreach_mul_(curvature, beta2)
                torch._foreach_addcmul_(curvature, gradients, gradients, 1 - beta2)

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Momentum over curvature, no weight farther than the rate."""
        momentum, curvature = self.kept(weights, "momentum"), self.kept(weights, "curvature")
        torch._foreach_lerp_(momentum, gradients, 1 - group["betas"][0])
        below = list(torch._foreach_mul(curvature, group["gamma"]))
        torch._foreach_clamp_min_(below, group["eps"])
        ways = list(torch._foreach_div(momentum, below))
        torch._foreach_clamp_min_(ways, -1.0)
        torch._foreach_clamp_max_(ways, 1.0)
        walk(group, weights, ways)
