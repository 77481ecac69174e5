"""Optimizers: `factory(model, [base,] **options) -> torch.optim.Optimizer`.

torch's own wherever it has them; a base arrives as a function of the model.
"""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

Base = Callable[[nn.Module], Optimizer]
Closure = Callable[[], Tensor]


Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


def sgd(model: nn.Module, lr: Positive = 0.1, weight_decay: NotNegative = 0.0) -> Optimizer:
    """Plain stochastic gradient descent."""
    return SGD(decayed(model, weight_decay), lr=lr)


def momentum(
    model: nn.Module, lr: Positive = 0.1, momentum: Share = 0.9, weight_decay: NotNegative = 0.0
) -> Optimizer:
    """SGD with Polyak's heavy ball."""
    return SGD(decayed(model, weight_decay), lr=lr, momentum=momentum)


def adamw(
    model: nn.Module,
    lr: Positive = 1e-3,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    eps: Positive = 1e-8,
    weight_decay: NotNegative = 0.01,
) -> Optimizer:
    """AdamW, fused."""
    groups = decayed(model, weight_decay)
    return AdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def decayed(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weight decay on matrices, none on norms and biases."""
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim >= 2]
    vectors = [p for p in trained if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class Wrapper(Optimizer):
    """An optimizer around another one, whose groups (and so learning rates) it shares."""

    def __init__(self, base: Optimizer):
        super().__init__(base.param_groups, {})
        self.base = base

    def train(self) -> None:
        """Hand on, if the base averages."""
        if hasattr(self.base, "train"):
            self.base.train()

    def eval(self) -> None:
        """Hand on, if the base averages."""
        if hasattr(self.base, "eval"):
            self.base.eval()


class Lookahead(Wrapper):
    """Lookahead (Zhang et al., 2019): every k steps, slow weights move `alpha` of the way.

    The base goes on from there. Evaluation is on the slow weights, as in the paper.
    """

    def __init__(
        self,
        model: nn.Module,
        base: Base,
        k: Annotated[int, Field(ge=1)] = 5,
        alpha: Annotated[float, Field(gt=0, le=1)] = 0.5,
    ):
        super().__init__(base(model))
        self.k, self.alpha, self.steps = k, alpha, 0
        self.slow = [p.detach().clone() for p in _parameters(self.base)]
        self.fast: list[Tensor] | None = None  # set aside while the slow weights are evaluated

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step of the base; a step of the slow weights after every k of them."""
        loss = self.base.step(closure)  # type: ignore[arg-type]
        self.steps += 1
        if self.steps % self.k == 0:
            fast = _parameters(self.base)
            torch._foreach_lerp_(self.slow, fast, self.alpha)
            torch._foreach_copy_(fast, self.slow)
        return loss  # type: ignore[return-value]

    @torch.no_grad()
    def eval(self) -> None:
        """Put the slow weights into the model."""
        super().eval()
        if self.fast is None:
            self.fast = [p.clone() for p in _parameters(self.base)]
            torch._foreach_copy_(_parameters(self.base), self.slow)

    @torch.no_grad()
    def train(self) -> None:
        """Put the fast weights back."""
        if self.fast is not None:
            torch._foreach_copy_(_parameters(self.base), self.fast)
            self.fast = None
        super().train()


class SAM(Wrapper):
    """Sharpness-aware minimization (Foret et al., 2021): two passes a step.

    The first gradient leads `rho` (Euclidean length over all weights) uphill, the second, taken
    there, is what the base steps along from where it was.
    """

    def __init__(self, model: nn.Module, base: Base, rho: NotNegative = 0.05):
        super().__init__(base(model))
        self.rho = rho

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step of the base along the gradient at the worst point nearby."""

        def sharp() -> Tensor:
            loss = closure()
            weights = [p for p in _parameters(self.base) if p.grad is not None]
            before = [p.detach().clone() for p in weights]
            with torch.no_grad():
                gradients: list[Any] = [p.grad for p in weights]
                norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
                uphill = torch._foreach_mul(gradients, self.rho / (norm + 1e-12))
                torch._foreach_add_(weights, uphill)
            closure()
            with torch.no_grad():
                torch._foreach_copy_(weights, before)
            return loss

        return self.base.step(sharp)  # type: ignore[arg-type, return-value]


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
