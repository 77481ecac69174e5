"""The factories. Schedule-free optimizers: Defazio et al., 2024, The road less scheduled.

They take gradients at a point between the iterate and its running mean, and are evaluated at the
mean, which replaces a schedule: use them with `schedule = { name = "constant" }`. msbench calls
their `train()` and `eval()`. Weight decay spares norms and biases; the package applies it at the
point where the gradient is taken.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from schedulefree import AdamWScheduleFree, RAdamScheduleFree, SGDScheduleFree
from torch import Tensor, nn
from torch.optim import Optimizer

Rate = Annotated[float, Field(gt=0, le=100)]
WeightDecay = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, lt=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]


def adamw(
    model: nn.Module,
    lr: Rate = 1e-2,
    beta1: OpenShare = 0.9,
    beta2: Share = 0.999,
    warmup_steps: Count = 0,
    weight_decay: WeightDecay = 0.0,
) -> Optimizer:
    """beta1: how far from the iterate towards the mean the gradient is taken."""
    groups, betas = decayed(model, weight_decay), (beta1, beta2)
    return AdamW(groups, lr=lr, betas=betas, warmup_steps=warmup_steps)


def radam(
    model: nn.Module,
    lr: Rate = 1e-2,
    beta1: OpenShare = 0.9,
    beta2: Share = 0.999,
    weight_decay: WeightDecay = 0.0,
) -> Optimizer:
    """beta1: how far from the iterate towards the mean the gradient is taken."""
    return RAdam(decayed(model, weight_decay), lr=lr, betas=(beta1, beta2))


def sgd(
    model: nn.Module,
    lr: Rate = 1.0,
    momentum: OpenShare = 0.9,
    warmup_steps: Count = 0,
    weight_decay: WeightDecay = 0.0,
) -> Optimizer:
    """momentum: how far from the iterate towards the mean the gradient is taken."""
    groups = decayed(model, weight_decay)
    return SGD(groups, lr=lr, momentum=momentum, warmup_steps=warmup_steps)


class Exact:
    """Training continues from exactly the weights that it left for evaluation.

    The package recomputes them from the mean, with rounding errors, so that validating more often
    would change training.
    """

    param_groups: list[dict[str, Any]]
    left: list[Tensor] | None = None

    @torch.no_grad()
    def eval(self) -> None:
        """Put the mean into the model."""
        if self.left is None:
            self.left = [p.detach().clone() for g in self.param_groups for p in g["params"]]
            super().eval()  # type: ignore[misc]

    @torch.no_grad()
    def train(self) -> None:
        """Put the trained weights back."""
        super().train()  # type: ignore[misc]
        if self.left is not None:
            weights = [p for g in self.param_groups for p in g["params"]]
            torch._foreach_copy_(weights, self.left)
            self.left = None


class AdamW(Exact, AdamWScheduleFree):  # type: ignore[misc]
    """The package's, exact."""


class RAdam(Exact, RAdamScheduleFree):  # type: ignore[misc]
    """The package's, exact."""


class SGD(Exact, SGDScheduleFree):  # type: ignore[misc]
    """The package's, exact."""


def decayed(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weight decay on matrices, none on norms and biases."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
