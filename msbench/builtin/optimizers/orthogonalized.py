"""Steps of hidden matrices from their momentum made orthogonal, and what followed Muon.

Newton-Schulz iterations are computed in the weights' own dtype.
"""

import math

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msbench.builtin.optimizers.decay import Decay
from msbench.builtin.optimizers.rule import Group, Rule, scale_, walk
from msbench.builtin.optimizers.torch_optim import beside_adamw, hidden_matrices
from msbench.builtin.types import (
    NewtonSchulzSteps,
    OpenShare,
    Positive,
    PositiveShare,
    Rate,
    WeightDecay,
)

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration of Jordan et al., 2024: singular values end between 0.7 and 1.2."""


def normuon(
    model: nn.Module,
    lr: Rate = 2e-3,
    momentum: OpenShare = 0.95,
    beta2: OpenShare = 0.95,
    steps: NewtonSchulzSteps = 5,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """Muon whose rows are scaled by a mean of their squares; AdamW for all other weights."""

    def make(hidden: list[Tensor]) -> Optimizer:
        groups = [{"params": hidden, "weight_decay": weight_decay}]
        return NorMuon(groups, lr=lr, betas=(momentum, beta2), steps=steps)

    return beside_adamw(model, make, lr, weight_decay, decay)


def adamuon(
    model: nn.Module,
    lr: Rate = 2e-3,
    beta: OpenShare = 0.95,
    eps: PositiveShare = 1e-8,
    steps: NewtonSchulzSteps = 5,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """Muon whose weights are scaled by a mean of squares each; AdamW for all other weights."""

    def make(hidden: list[Tensor]) -> Optimizer:
        groups = [{"params": hidden, "weight_decay": weight_decay}]
        return AdaMuon(groups, lr=lr, beta=beta, eps=eps, steps=steps)

    return beside_adamw(model, make, lr, weight_decay, decay)


def scion(
    model: nn.Module,
    lr: Rate = 5e-4,
    momentum: OpenShare = 0.9,
    radius: Positive = 50.0,
    outer_radius: Positive = 3000.0,
    constrained: bool = True,
    steps: NewtonSchulzSteps = 5,
) -> Optimizer:
    """Scion. momentum: the share of the old in the mean of gradients.

    radius: of hidden matrices and vectors; outer_radius: of embeddings and the output layer.
    constrained: weights stay within their radius, which takes the place of weight decay.
    """
    hidden = hidden_matrices(model)
    inside = {id(p) for p in hidden}
    trained = [p for p in model.parameters() if p.requires_grad]
    vectors = [p for p in trained if p.ndim < 2]
    outer = [p for p in trained if p.ndim >= 2 and id(p) not in inside]
    groups = [
        {"params": hidden, "radius": radius, "form": "spectral"},
        {"params": outer, "radius": outer_radius, "form": "sign"},
        {"params": vectors, "radius": radius, "form": "rms"},
    ]
    decay = 1.0 if constrained else 0.0
    own = [{**group, "weight_decay": decay} for group in groups if group["params"]]
    return Scion(own, lr=lr, momentum=momentum, steps=steps)


class NorMuon(Rule):
    """Li et al., 2025, NorMuon: making Muon more efficient and scalable, algorithm 1."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Orthogonal momentum over the root of each row's mean of squares."""
        keep, beta2 = group["betas"]
        momentum = self.kept(weights, "momentum")
        torch._foreach_lerp_(momentum, gradients, 1 - keep)
        ways = [orthogonalized(each, group["steps"]) for each in momentum]
        for p, way in zip(weights, ways, strict=True):
            squares = way.square().mean(dim=1, keepdim=True)
            seen = self.state[p].setdefault("rows", torch.zeros_like(squares))
            seen.lerp_(squares, 1 - beta2)
            way.div_(seen.sqrt() + 1e-8)
        walk(group, weights, as_long_as_adams(ways))


class AdaMuon(Rule):
    """Si et al., 2025, AdaMuon: adaptive Muon optimizer, algorithm 1."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """The sign of momentum made orthogonal, over the root of the mean of its squares."""
        momentum, squares = self.kept(weights, "momentum"), self.kept(weights, "squares")
        torch._foreach_mul_(momentum, group["beta"])
        torch._foreach_add_(momentum, gradients)
        ways = [orthogonalized(each.sign(), group["steps"]) for each in momentum]
        torch._foreach_mul_(squares, group["beta"])
        torch._foreach_addcmul_(squares, ways, ways, 1 - group["beta"])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_div_(ways, roots)
        walk(group, weights, as_long_as_adams(ways))


class Scion(Rule):
    """Pethick et al., 2025, Training deep learning models with norm-constrained LMOs."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Towards the point of a norm's ball that is the farthest along the mean of gradients."""
        mean = self.kept(weights, "mean")
        torch._foreach_lerp_(mean, gradients, 1 - group["momentum"])
        ways = [FORMS[group["form"]](each, group["steps"]) for each in mean]
        scale_(ways, group["radius"])
        walk(group, weights, ways)


def orthogonalized(matrix: Tensor, steps: int) -> Tensor:
    """The matrix with singular values near 1 (Jordan et al., 2024, Muon)."""
    a, b, c = COEFFICIENTS
    x: Tensor = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / torch.linalg.matrix_norm(x).clamp(min=1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T.contiguous() if matrix.shape[0] > matrix.shape[1] else x


def as_long_as_adams(ways: list[Tensor]) -> list[Tensor]:
    """Root mean square 0.2, as steps of AdamW have about (Liu et al., 2025)."""
    for way in ways:
        length = torch.linalg.vector_norm(way).clamp(min=1e-8)
        way.mul_(0.2 * math.sqrt(way.numel()) / length)
    return ways


def spectral(mean: Tensor, steps: int) -> Tensor:
    """Of the operator norm from root mean square to root mean square."""
    rows, columns = mean.shape
    return orthogonalized(mean, steps) * math.sqrt(rows / columns)


def signs(mean: Tensor, steps: int) -> Tensor:
    """Of the largest entry, over the number of inputs."""
    return mean.sign() / mean.shape[1]


def rms(mean: Tensor, steps: int) -> Tensor:
    """Of the root mean square."""
    return mean / mean.square().mean().sqrt().clamp(min=1e-8)


FORMS = {"spectral": spectral, "sign": signs, "rms": rms}
