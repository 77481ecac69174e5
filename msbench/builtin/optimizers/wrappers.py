"""Optimizers around a base: averages of its weights, and gradients taken elsewhere.

`factory(model, base, **options)`; the base arrives as a function of the model.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import msbench
from msbench.builtin.optimizers.torch_optim import Closure
from msbench.builtin.types import PositiveShare, Share, Steps, UpTo10

Base = Callable[[nn.Module], Optimizer]


class Wrapper(Optimizer):
    """An optimizer around another one, whose groups (and so learning rates) it shares.

    What it does not change itself, it hands on: whether weights are trained or evaluated, the share
    of the budget that is spent, the bytes that were sent.
    """

    def __init__(self, base: Optimizer):
        super().__init__(alone(base).param_groups, {})
        self.base = base

    def train(self) -> None:
        """Hand on, if the base averages."""
        if hasattr(self.base, "train"):
            self.base.train()

    def eval(self) -> None:
        """Hand on, if the base averages."""
        if hasattr(self.base, "eval"):
            self.base.eval()

    @property
    def spent(self) -> float:
        """Share of the budget that is spent, if the base wants to know."""
        return float(getattr(self.base, "spent", 0.0))

    @spent.setter
    def spent(self, share: float) -> None:
        if hasattr(self.base, "spent"):
            self.base.spent = share

    @property
    def sent_bytes(self) -> int:
        """Of the base."""
        return int(getattr(self.base, "sent_bytes", 0))


class Averaging(Wrapper):
    """Evaluates on other weights (`average`) than it trains."""

    def __init__(self, base: Optimizer):
        super().__init__(base)
        self.average = [p.detach().clone() for p in parameters(base)]
        self.trained: list[Tensor] | None = None  # set aside while the average is evaluated

    @torch.no_grad()
    def eval(self) -> None:
        """Put the average into the model."""
        super().eval()
        if self.trained is None:
            self.trained = [p.clone() for p in parameters(self.base)]
            torch._foreach_copy_(parameters(self.base), self.average)

    @torch.no_grad()
    def train(self) -> None:
        """Put the trained weights back."""
        if self.trained is not None:
            torch._foreach_copy_(parameters(self.base), self.trained)
            self.trained = None
        super().train()


class Lookahead(Averaging):
    """Lookahead (Zhang et al., 2019): every k steps, slow weights move `alpha` of the way.

    The base goes on from there. Evaluation is on the slow weights, as in the paper.
    """

    def __init__(
        self,
        model: nn.Module,
        base: Base,
        k: Steps = 5,
        alpha: PositiveShare = 0.5,
    ):
        super().__init__(base(model))
        self.k, self.alpha, self.steps = k, alpha, 0

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step of the base; a step of the slow weights after every k of them."""
        loss = self.base.step(closure)  # type: ignore[arg-type]
        self.steps += 1
        if self.steps % self.k == 0:
            fast = parameters(self.base)
            torch._foreach_lerp_(self.average, fast, self.alpha)
            torch._foreach_copy_(fast, self.average)
        return loss  # type: ignore[return-value]


class EMA(Averaging):
    """An exponential moving average of the weights (Polyak and Juditsky, 1992; Morales-Brotons et
    al., 2024), evaluated instead of the last ones.

    After t steps the decay is min(decay, (1 + t) / (10 + t)), so that a short run is not an average
    of its start.
    """

    def __init__(self, model: nn.Module, base: Base, decay: Share = 0.99):
        super().__init__(base(model))
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step of the base; the average follows."""
        loss = self.base.step(closure)  # type: ignore[arg-type]
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, parameters(self.base), 1 - decay)
        return loss  # type: ignore[return-value]


class SWA(Averaging):
    """Stochastic weight averaging (Izmailov et al., 2018): the plain mean of the weights, taken
    after every `every` steps of the last part of the budget, from the share `start` on."""

    spent = 0.0

    def __init__(self, model: nn.Module, base: Base, start: Share = 0.75, every: Steps = 1):
        super().__init__(base(model))
        self.start, self.every, self.steps, self.averaged = start, every, 0, 0

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step of the base; its weights enter the mean if it is time."""
        if hasattr(self.base, "spent"):
            self.base.spent = self.spent
        loss = self.base.step(closure)  # type: ignore[arg-type]
        self.steps += 1
        if self.spent >= self.start and self.steps % self.every == 0:
            self.averaged += 1
            torch._foreach_lerp_(self.average, parameters(self.base), 1 / self.averaged)
        return loss  # type: ignore[return-value]

    def eval(self) -> None:
        """The mean, once there is one."""
        super().eval() if self.averaged else Wrapper.eval(self)


class SAM(Wrapper):
    """Sharpness-aware minimization (Foret et al., 2021): two passes a step.

    The first gradient leads `rho` (Euclidean length over all weights) uphill, the second, taken
    there, is what the base steps along from where it was.
    """

    def __init__(self, model: nn.Module, base: Base, rho: UpTo10 = 0.05):
        super().__init__(base(model))
        self.rho = rho

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step of the base along the gradient at the worst point nearby."""

        def sharp() -> Tensor:
            loss = closure()
            weights = [p for p in parameters(self.base) if p.grad is not None]
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


class Extragradient(Wrapper):
    """Extragradient (Korpelevich, 1976; with Adam: Gidel et al., 2019): two passes a step.

    The base takes a step ahead; the gradient there is what it steps along from where it was. What a
    base keeps beside the model would not come back with it, so wrappers go around this one.
    """

    def __init__(self, model: nn.Module, base: Base):
        super().__init__(base(model))
        if hasattr(self.base, "eval"):
            name = type(self.base).__name__
            raise msbench.MsbenchError(
                f"extragradient takes its base back a step, which {name} does not allow; "
                f"put {name} around extragradient instead"
            )

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """A step of the base, undone for a second one with the gradient at its end."""
        weights = parameters(self.base)
        before = [p.detach().clone() for p in weights]
        loss = self.base.step(closure)  # type: ignore[arg-type]
        back = False

        def ahead() -> Tensor:
            nonlocal back
            if back:  # a second gradient would no longer be one of there
                raise msbench.MsbenchError(
                    f"extragradient needs a base that takes one gradient a step, "
                    f"and {type(self.base).__name__} takes several"
                )
            back = True
            there = closure()
            with torch.no_grad():
                torch._foreach_copy_(weights, before)
            return there

        self.base.step(ahead)  # type: ignore[arg-type]
        return loss  # type: ignore[return-value]


def alone(base: Optimizer) -> Optimizer:
    """The base itself; MsbenchError if workers take turns in its weights: they go outside."""
    weights = parameters(base)
    if len({id(p) for p in weights}) < len(weights):
        raise msbench.MsbenchError(
            "local-sgd and diloco cannot be a base: each of their workers has weights of its own; "
            "put them around the other optimizer instead"
        )
    return base


def parameters(optimizer: Optimizer) -> list[Tensor]:
    """All weights that an optimizer has."""
    return [p for group in optimizer.param_groups for p in group["params"]]
