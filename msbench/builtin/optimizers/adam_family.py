"""Relatives of AdamW: `factory(model, **options) -> torch.optim.Optimizer`.

Weight decay is decoupled and spares norms and biases, as everywhere; that of LAMB is part of what
it scales, as in its paper.
"""

import math

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msbench.builtin.dtensors import put, whole
from msbench.builtin.optimizers.decay import Decay, decayed
from msbench.builtin.optimizers.rule import Group, Rule, scale_, walk
from msbench.builtin.types import FiniteNotNegative, OpenShare, PositiveShare, Rate, WeightDecay


def lion(
    model: nn.Module,
    lr: Rate = 3e-4,
    beta1: OpenShare = 0.9,
    beta2: OpenShare = 0.99,
    weight_decay: WeightDecay = 0.1,
    decay: Decay = "matrices",
) -> Optimizer:
    """Lion: every weight moves by the rate, so rates are lower and decay higher than AdamW's."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return Lion(groups, lr=lr, betas=(beta1, beta2))


def cautious_adamw(
    model: nn.Module,
    lr: Rate = 1e-3,
    beta1: OpenShare = 0.9,
    beta2: OpenShare = 0.999,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """AdamW that leaves out what points against the gradient, and makes the rest longer for it."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return CautiousAdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps)


def ademamix(
    model: nn.Module,
    lr: Rate = 1e-3,
    beta1: OpenShare = 0.9,
    beta2: OpenShare = 0.999,
    beta3: OpenShare = 0.9999,
    mix: FiniteNotNegative = 8.0,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """AdEMAMix. mix: the weight of the slow mean of gradients, whose decay is beta3. Both rise to
    these values over the whole budget."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    betas = beta1, beta2
    return AdEMAMix(groups, lr=lr, betas=betas, beta3=max(beta1, beta3), mix=mix, eps=eps)


def mars(
    model: nn.Module,
    lr: Rate = 3e-3,
    beta1: OpenShare = 0.95,
    beta2: OpenShare = 0.99,
    gamma: FiniteNotNegative = 0.025,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """MARS-AdamW. gamma: how much of the change of the gradient since the last step is added.

    The approximate form, which takes that gradient as it was, of another batch; the exact one
    would take a second pass.
    """
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return MARS(groups, lr=lr, betas=(beta1, beta2), gamma=gamma, eps=eps)


def lamb(
    model: nn.Module,
    lr: Rate = 1e-2,
    beta1: OpenShare = 0.9,
    beta2: OpenShare = 0.999,
    eps: PositiveShare = 1e-6,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """LAMB: `lr` is how far a weight tensor moves as a share of its length."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return LAMB(groups, lr=lr, betas=(beta1, beta2), eps=eps)


class Lion(Rule):
    """Chen et al., 2023, Symbolic discovery of optimization algorithms, algorithm 2."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """The sign of momentum that counts the new gradient more than what is kept."""
        beta1, beta2 = group["betas"]
        momentum = self.kept(weights, "momentum")
        ways = list(torch._foreach_lerp(momentum, gradients, 1 - beta1))
        torch._foreach_sign_(ways)
        walk(group, weights, ways)
        torch._foreach_lerp_(momentum, gradients, 1 - beta2)


class CautiousAdamW(Rule):
    """Liang et al., 2024, Cautious optimizers, algorithm 1, with the mean of the mask from 1e-3."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """AdamW's step where it agrees in sign with the gradient."""
        ways, roots = self.moments(group, weights, gradients)
        torch._foreach_div_(ways, roots)
        for way, gradient in zip(ways, gradients, strict=True):
            agrees = (way * gradient > 0).to(way.dtype)
            way.mul_(agrees / (whole(agrees.sum()) / agrees.numel()).clamp(min=1e-3))
        walk(group, weights, ways)


class AdEMAMix(Rule):
    """Pagliardini et al., 2024, The AdEMAMix optimizer: better, faster, older, algorithm 1.

    mix (its alpha) and beta3 follow the share of the budget that is spent, t / T of the paper.
    """

    @property
    def spent(self) -> Tensor:
        """The share of the budget that is spent, on the device."""
        if not hasattr(self, "_spent"):
            self._spent = torch.zeros_like(self.count)
        return self._spent

    @spent.setter
    def spent(self, share: float) -> None:
        self.spent.fill_(share)

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Along a fast and a slow mean of gradients, over the root of their squares."""
        ways, roots = self.moments(group, weights, gradients)
        slow = self.kept(weights, "slow")
        keep = self._slow_decay(group["betas"][0], group["beta3"])
        scale_(slow, keep)
        scale_(fresh := list(torch._foreach_mul(gradients, 1.0)), 1 - keep)
        torch._foreach_add_(slow, fresh)
        scale_(mixed := list(torch._foreach_mul(slow, 1.0)), group["mix"] * self.spent)
        torch._foreach_add_(ways, mixed)
        torch._foreach_div_(ways, roots)
        walk(group, weights, ways)

    def _slow_decay(self, start: float, end: float) -> Tensor:
        """From beta1 to beta3, its half-life rising about linearly."""
        low, high, share = math.log(start), math.log(end), self.spent
        return torch.exp(low * high / ((1 - share) * high + share * low))


class MARS(Rule):
    """Yuan et al., 2024, MARS: unleashing the power of variance reduction, algorithm 2."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """AdamW along gradients that are corrected by their change, none longer than 1."""
        beta1, _ = group["betas"]
        last = self.kept(weights, "last")
        changes = list(torch._foreach_sub(gradients, last))
        # There is no change before the second step.
        scale_(changes, group["gamma"] * beta1 / (1 - beta1) * (self.count > 1))
        torch._foreach_add_(changes, gradients)
        lengths = [whole(each) for each in torch._foreach_norm(changes)]
        torch._foreach_clamp_min_(lengths, 1.0)
        torch._foreach_div_(changes, lengths)
        put(last, gradients)
        ways, roots = self.moments(group, weights, changes)
        torch._foreach_div_(ways, roots)
        walk(group, weights, ways)


class LAMB(Rule):
    """You et al., 2020, Large batch optimization for deep learning, algorithm 2."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Adam's step, decay included, made as long as the weight tensor; 1 where one is zero."""
        ways, roots = self.moments(group, weights, gradients)
        torch._foreach_div_(ways, roots)
        torch._foreach_add_(ways, weights, alpha=group["weight_decay"])
        for way, weight in zip(ways, weights, strict=True):
            length, own = torch.linalg.vector_norm(way), torch.linalg.vector_norm(weight)
            both = (length > 0) & (own > 0)
            way.mul_(torch.where(both, own / length, torch.ones_like(own)))
        scale_(ways, -group["lr"])
        torch._foreach_add_(weights, ways)
