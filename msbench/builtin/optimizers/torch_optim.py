"""Optimizers of torch: `factory(model, **options) -> torch.optim.Optimizer`.

Fused where torch offers it, else foreach. Weight decay is decoupled everywhere (Loshchilov and
Hutter, 2019): weights shrink by lr * weight_decay, whatever the gradient's step is. Norms and
biases are spared, unless `decay = "all"`.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adafactor, Adagrad, Adam, AdamW, Muon, NAdam, Optimizer, RMSprop
from torch.torch_version import TorchVersion

from msbench.builtin.optimizers.capturing import is_capturable, note_replay, step_kinds
from msbench.builtin.optimizers.decay import Decay, decayed, decoupled
from msbench.builtin.optimizers.inspection import is_steady
from msbench.builtin.optimizers.states import State, load_state, state_of
from msbench.builtin.types import (
    DecayExponent,
    Iterations,
    NewtonSchulzSteps,
    OpenShare,
    PositiveShare,
    Rate,
    Share,
    Steps,
    WeightDecay,
)

Closure = Callable[..., Tensor]


def sgd(
    model: nn.Module, lr: Rate = 0.1, weight_decay: WeightDecay = 0.0, decay: Decay = "matrices"
) -> Optimizer:
    """Plain stochastic gradient descent."""
    return decoupled(SGD(decayed(model.parameters(), weight_decay, decay), lr=lr, fused=True))


def momentum(
    model: nn.Module,
    lr: Rate = 0.1,
    momentum: Share = 0.9,
    weight_decay: WeightDecay = 0.0,
    decay: Decay = "matrices",
) -> Optimizer:
    """SGD with Polyak's heavy ball."""
    groups = decayed(model.parameters(), weight_decay, decay)
    return decoupled(SGD(groups, lr=lr, momentum=momentum, fused=True))


def nesterov(
    model: nn.Module,
    lr: Rate = 0.1,
    momentum: OpenShare = 0.9,
    weight_decay: WeightDecay = 0.0,
    decay: Decay = "matrices",
) -> Optimizer:
    """SGD with Nesterov's momentum, in the form of Sutskever et al. (2013)."""
    groups = decayed(model.parameters(), weight_decay, decay)
    return decoupled(SGD(groups, lr=lr, momentum=momentum, nesterov=True, fused=True))


def rmsprop(
    model: nn.Module,
    lr: Rate = 1e-3,
    alpha: Share = 0.99,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.0,
    decay: Decay = "matrices",
) -> Optimizer:
    """Steps scaled per weight by a decaying mean of squared gradients."""
    groups = decayed(model.parameters(), weight_decay, decay)
    return decoupled(RMSprop(groups, lr=lr, alpha=alpha, eps=eps, foreach=True))


def adagrad(
    model: nn.Module,
    lr: Rate = 1e-2,
    eps: PositiveShare = 1e-10,
    weight_decay: WeightDecay = 0.0,
    decay: Decay = "matrices",
) -> Optimizer:
    """Steps scaled per weight by the sum of all squared gradients."""
    groups = decayed(model.parameters(), weight_decay, decay)
    on_cuda = any(p.is_cuda for p in model.parameters())
    fused = not on_cuda or TorchVersion(torch.__version__) >= "2.13"  # before, on CPUs alone
    return decoupled(Adagrad(groups, lr=lr, eps=eps, fused=fused, foreach=not fused))


def adam(
    model: nn.Module,
    lr: Rate = 1e-3,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.0,
    decay: Decay = "matrices",
) -> Optimizer:
    """Adam, without decay unless it is asked for."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    betas = beta1, beta2
    return Adam(groups, lr=lr, betas=betas, eps=eps, decoupled_weight_decay=True, fused=True)


def adamw(
    model: nn.Module,
    lr: Rate = 1e-3,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """AdamW, fused."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return AdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def nadam(
    model: nn.Module,
    lr: Rate = 2e-3,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    eps: PositiveShare = 1e-8,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """Adam with Nesterov's momentum."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    betas = beta1, beta2
    return NAdam(groups, lr=lr, betas=betas, eps=eps, decoupled_weight_decay=True, foreach=True)


def adafactor(
    model: nn.Module,
    lr: Rate = 1e-2,
    beta2_decay: DecayExponent = -0.8,
    weight_decay: WeightDecay = 0.0,
    decay: Decay = "matrices",
) -> Optimizer:
    """Adam's second moments as row and column sums: memory of the root of a matrix's size."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return Adafactor(groups, lr=lr, beta2_decay=beta2_decay, foreach=True)


def muon(
    model: nn.Module,
    lr: Rate = 2e-3,
    momentum: Share = 0.95,
    steps: NewtonSchulzSteps = 5,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """Muon for hidden matrices, AdamW for all other weights.

    The momentum of a matrix is orthogonalized by Newton-Schulz iterations (`steps` of them). Its
    steps are as long as AdamW's would be (Liu et al., 2025), so that one rate works for both.
    """
    return beside_adamw(
        model,
        lambda hidden: Orthogonal(
            hidden,
            lr=lr,
            momentum=momentum,
            ns_steps=steps,
            weight_decay=weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        lr,
        weight_decay,
        decay,
    )


def lbfgs(
    model: nn.Module,
    lr: Rate = 1.0,
    iterations: Iterations = 4,
    history: Steps = 10,
) -> Optimizer:
    """L-BFGS with a strong Wolfe line search, on one batch a step.

    A step makes up to `iterations` updates and takes one or more passes for each. The curvature of
    the last `history` updates is kept, although they come from other batches: L-BFGS is made for
    full-batch training, and is included to show that.
    """
    return WolfeLBFGS(
        [p for p in model.parameters() if p.requires_grad],
        lr=lr,
        max_iter=iterations,
        history_size=history,
        line_search_fn="strong_wolfe",
    )


class WolfeLBFGS(LBFGS):
    """torch's, whose line search would divide by a rate of 0."""

    steady = True

    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step; at rate 0 only the gradient."""
        if not self.param_groups[0]["lr"]:
            return closure()
        return super().step(closure)  # type: ignore[no-untyped-call, no-any-return]


class Orthogonal(Muon):
    """torch's Muon, whose learning rate may also be a tensor: then no step reads it on the host."""

    steady = True

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:  # type: ignore[override]
        """One step; with a rate on the device, that of torch's Muon along scaled updates."""
        if not is_capturable(self):
            return super().step(closure)  # type: ignore[no-untyped-call, no-any-return]
        loss = None if closure is None else closure()
        for group in self.param_groups:
            self._step_on_device(group)
        return loss

    def _step_on_device(self, group: dict[str, Any]) -> None:
        """torch's own step at rate 1 on copies tells the way, and the rate how much of it."""
        rate, decay = group["lr"], group["weight_decay"]
        weights = [p for p in group["params"] if p.grad is not None]
        before = [p.clone() for p in weights]
        torch._foreach_zero_(weights)
        group |= {"lr": 1.0, "weight_decay": 0.0}
        others, self.param_groups = self.param_groups, [group]
        try:
            super().step()  # type: ignore[no-untyped-call]
        finally:
            self.param_groups = others
            group |= {"lr": rate, "weight_decay": decay}
        torch._foreach_mul_(weights, rate)
        torch._foreach_mul_(before, 1 - rate * decay)
        torch._foreach_add_(weights, before)


class Together(Optimizer):
    """Several optimizers, each with some of the weights, stepping along one gradient."""

    def __init__(self, parts: Sequence[Optimizer]):
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = list(parts)
        self.steady = all(map(is_steady, parts))

    def step_kind(self) -> Hashable:
        """The kinds of all of them."""
        return step_kinds(self.parts)

    def note_replay(self) -> None:
        """Forward to all of them."""
        for part in self.parts:
            note_replay(part)

    def state_dict(self) -> State:
        """Of all of them."""
        return state_of(self, self.parts, ())

    def load_state_dict(self, state: State) -> None:
        """To all of them."""
        load_state(self, self.parts, state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One gradient, then a step of each."""
        loss = closure()
        for part in self.parts:
            part.step()
        return loss


def beside_adamw(
    model: nn.Module,
    make: Callable[[list[Tensor]], Optimizer],
    lr: float,
    weight_decay: float,
    decay: Decay,
) -> Optimizer:
    """What `make` makes for hidden matrices, together with AdamW for all other weights."""
    hidden = hidden_matrices(model)
    inside = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in inside]
    parts: list[Optimizer] = [
        AdamW(decayed(rest, weight_decay, decay, own=True), lr=lr, fused=True)
    ]
    return Together([*parts, make(hidden)] if hidden else parts)


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """Matrices within the network: neither embeddings nor the output layer (`head`)."""
    outside = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return [
        p
        for name, p in model.named_parameters()
        if p.requires_grad
        and p.ndim == 2
        and id(p) not in outside
        and "head" not in name.split(".")
    ]
