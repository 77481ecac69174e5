"""The factories. Schedule-free optimizers: Defazio et al., 2024, The road less scheduled.

They train at a point between the iterate and its running mean, and are evaluated at the mean, which
takes the place of a schedule: use them with `schedule = { name = "constant" }`. msbench calls their
`train()` and `eval()`. Weight decay, which the package takes at the point where the gradient is,
spares norms and biases.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from schedulefree import AdamWScheduleFree, RAdamScheduleFree, SGDScheduleFree
from torch import Tensor, nn
from torch.optim import Optimizer

Rate = Annotated[float, Field(gt=0, le=100)]
NotNegative = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, lt=1)]
Between = Annotated[float, Field(gt=0, lt=1)]
Steps = Annotated[int, Field(ge=0)]


def adamw(
    model: nn.Module,
    lr: Rate = 1e-2,
    beta1: Between = 0.9,
    beta2: Share = 0.999,
    warmup_steps: Steps = 0,
    weight_decay: NotNegative = 0.0,
) -> Optimizer:
    """beta1: how far the point of the gradient lies from the iterate towards the mean."""
    groups, betas = decayed(model, weight_decay), (beta1, beta2)
    return AdamW(groups, lr=lr, betas=betas, warmup_steps=warmup_steps)


def radam(
    model: nn.Module,
    lr: Rate = 1e-2,
    beta1: Between = 0.9,
    beta2: Share = 0.999,
    weight_decay: NotNegative = 0.0,
) -> Optimizer:
    """beta1: how far the point of the gradient lies from the iterate towards the mean."""
    return RAdam(decayed(model, weight_decay), lr=lr, betas=(beta1, beta2))


def sgd(
    model: nn.Module,
    lr: Rate = 1.0,
    momentum: Between = 0.9,
    warmup_steps: Steps = 0,
    weight_decay: NotNegative = 0.0,
) -> Optimizer:
    """momentum: how far the point of the gradient lies from the iterate towards the mean."""
    groups = decayed(model, weight_decay)
    return SGD(groups, lr=lr, momentum=momentum, warmup_steps=warmup_steps)


class Exact:
    """Training goes on from the very weights it left for evaluation.

    The package computes them back from the mean, which rounds: to validate more often would be to
    train otherwise.
    """

    param_groups: list[dict[str, Any]]
    left: list[Tensor] | None = None

    @torch.no_grad()
    def eval(self) -> None:
        """The mean into the model."""
        if self.left is None:
            self.left = [p.detach().clone() for g in self.param_groups for p in g["params"]]
            super().eval()  # type: ignore[misc]

    @torch.no_grad()
    def train(self) -> None:
        """The weights as they were."""
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
