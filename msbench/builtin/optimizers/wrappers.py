"""Optimizers around a base: averages of its weights, and gradients at other weights.

`factory(model, base, **options)`; the base is given as a function of the model.
"""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import msbench
from msbench.builtin.dtensors import put
from msbench.builtin.optimizers.capturing import (
    is_capturable,
    move_towards,
    note_replay,
    step_kind,
)
from msbench.builtin.optimizers.inspection import is_steady
from msbench.builtin.optimizers.states import State, load_state, state_of
from msbench.builtin.optimizers.torch_optim import Closure
from msbench.builtin.types import PositiveShare, Share, Steps, UpTo10

Base = Callable[[nn.Module], Optimizer]


class Wrapper(Optimizer):
    """An optimizer around another one, whose groups (and so learning rates) it shares.

    It forwards to the base whether weights are trained or evaluated, the share of the budget that
    is spent and that a step was replayed, and reports the kind of the base's next step and the
    bytes that the base sent.
    """

    _spent = 0.0
    kept: tuple[str, ...] = ()
    """The attributes that change from step to step."""

    def __init__(self, base: Optimizer):
        super().__init__(unshared(base).param_groups, {})
        self.base = base
        self.steady = is_steady(base)

    def train(self) -> None:
        """Forward, if the base averages."""
        getattr(self.base, "train", lambda: None)()

    def eval(self) -> None:
        """Forward, if the base averages."""
        getattr(self.base, "eval", lambda: None)()

    @property
    def spent(self) -> float:
        """Share of the budget that is spent; forwarded, if the base uses it."""
        return self._spent

    @spent.setter
    def spent(self, share: float) -> None:
        self._spent = share
        if hasattr(self.base, "spent"):
            self.base.spent = share

    def step_kind(self) -> Hashable:
        """Of the base."""
        return step_kind(self.base)

    def note_replay(self) -> None:
        """Forward."""
        note_replay(self.base)

    @property
    def sent_bytes(self) -> int:
        """Of the base."""
        return int(getattr(self.base, "sent_bytes", 0))

    def state_dict(self) -> State:
        """That of the base, and what is kept besides."""
        return state_of(self, [self.base], self.kept)

    def load_state_dict(self, state: State) -> None:
        """Go on from a state, with the weights that belong to it."""
        load_state(self, [self.base], state)
        self.param_groups = self.base.param_groups


class Averaging(Wrapper):
    """Evaluates on other weights (`average`) than it trains."""

    kept: tuple[str, ...] = ("average", "trained", "steps", "_count")

    def __init__(self, base: Optimizer):
        super().__init__(base)
        self.average = [p.detach().clone() for p in parameters(base)]
        self.trained: list[Tensor] | None = None  # set aside while the average is evaluated
        self.steps = 0
        self._count: Tensor | None = None

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step of the base; the average follows."""
        loss = self.base.step(closure)  # type: ignore[arg-type]
        self.steps += 1
        self.follow(parameters(self.base))
        return loss  # type: ignore[return-value]

    def follow(self, weights: list[Tensor]) -> None:
        """Move the average after a step that led to these weights."""
        raise NotImplementedError

    def note_replay(self) -> None:
        """Count the step."""
        super().note_replay()
        self.steps += 1

    def counted(self, number: int) -> Tensor:
        """A count whose next value is `number`, on the device, where replays go on with it."""
        if self._count is None:
            device = self.average[0].device
            self._count = torch.tensor(number - 1, dtype=torch.float64, device=device)
        return self._count.add_(1)

    @torch.no_grad()
    def eval(self) -> None:
        """Put the average into the model."""
        super().eval()
        if self.trained is None:
            self.trained = [p.clone() for p in parameters(self.base)]
            put(parameters(self.base), self.average)

    @torch.no_grad()
    def train(self) -> None:
        """Put the trained weights back."""
        if self.trained is not None:
            put(parameters(self.base), self.trained)
            self.trained = None
        super().train()


class Lookahead(Averaging):
    """Lookahead (Zhang et al., 2019): every k steps, slow weights move `alpha` of the way.

    The base goes on from there. Evaluation is on the slow weights, as in the paper.
    """

    def __init__(self, model: nn.Module, base: Base, k: Steps = 5, alpha: PositiveShare = 0.5):
        super().__init__(base(model))
        self.k, self.alpha = k, alpha

    def follow(self, weights: list[Tensor]) -> None:
        """A step of the slow weights after every k steps; the fast ones go on from there."""
        if self.steps % self.k == 0:
            torch._foreach_lerp_(self.average, weights, self.alpha)
            put(weights, self.average)

    def step_kind(self) -> Hashable:
        """Whether slow weights move."""
        return (self.steps + 1) % self.k == 0, super().step_kind()


class EMA(Averaging):
    """An exponential moving average of the weights (Polyak and Juditsky, 1992; Morales-Brotons et
    al., 2024), evaluated instead of the last ones.

    After t steps the decay is min(decay, (1 + t) / (10 + t)), so that a short run is not an average
    of its start.
    """

    def __init__(self, model: nn.Module, base: Base, decay: Share = 0.99):
        super().__init__(base(model))
        self.decay = decay

    def follow(self, weights: list[Tensor]) -> None:
        """The moving average."""
        if is_capturable(self):
            count = self.counted(self.steps)
            average = ((1 + count) / (10 + count)).clamp_(max=self.decay)
            move_towards(self.average, weights, 1 - average)
            return
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, weights, 1 - decay)


class SWA(Averaging):
    """Stochastic weight averaging (Izmailov et al., 2018): the plain mean of the weights, taken
    after every `every` steps of the last part of the budget, from the share `start` on."""

    kept = (*Averaging.kept, "averaged")

    def __init__(self, model: nn.Module, base: Base, start: Share = 0.75, every: Steps = 1):
        super().__init__(base(model))
        self.start, self.every, self.averaged = start, every, 0

    def follow(self, weights: list[Tensor]) -> None:
        """The mean, if it is time."""
        if not self._is_due(self.steps):
            return
        self.averaged += 1
        if is_capturable(self):
            move_towards(self.average, weights, 1 / self.counted(self.averaged))
        else:
            torch._foreach_lerp_(self.average, weights, 1 / self.averaged)

    def step_kind(self) -> Hashable:
        """Whether the mean is taken."""
        return self._is_due(self.steps + 1), super().step_kind()

    def note_replay(self) -> None:
        """Count what is averaged, too."""
        super().note_replay()
        self.averaged += self._is_due(self.steps)

    def _is_due(self, steps: int) -> bool:
        return self.spent >= self.start and steps % self.every == 0

    def eval(self) -> None:
        """The mean, once there is one."""
        super().eval() if self.averaged else Wrapper.eval(self)


class SAM(Wrapper):
    """Sharpness-aware minimization (Foret et al., 2021): two passes a step.

    The first gradient leads `rho` (Euclidean length over all weights) uphill; the base then steps,
    from where it was, along the gradient there. same_mask: both passes draw the same dropout masks
    (and whatever else is random), so that they see the same loss; otherwise each draws its own.
    """

    def __init__(self, model: nn.Module, base: Base, rho: UpTo10 = 0.05, same_mask: bool = False):
        super().__init__(base(model))
        self.rho, self.same_mask = rho, same_mask

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step of the base along the gradient at the worst point nearby."""

        def uphill_closure(*shard: int, **asked: Any) -> Tensor:
            with self._replayed():
                loss = closure(*shard)
            weights = [p for p in parameters(self.base) if p.grad is not None]
            before = [p.detach().clone() for p in weights]
            with torch.no_grad():
                gradients: list[Any] = [p.grad for p in weights]
                norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
                torch._foreach_mul_(gradients, self.rho / (norm + 1e-12))  # not needed any more
                torch._foreach_add_(weights, gradients)
            del gradients
            closure(*shard, **asked)
            with torch.no_grad():
                put(weights, before)
            return loss

        return self.base.step(uphill_closure)  # type: ignore[arg-type, return-value]

    def _replayed(self) -> AbstractContextManager[None]:
        """What is drawn inside is drawn again afterwards, with `same_mask`."""
        if not self.same_mask:
            return nullcontext()
        devices = {p.device.index for p in parameters(self.base) if p.device.type == "cuda"}
        return torch.random.fork_rng(sorted(devices))


class Extragradient(Wrapper):
    """Extragradient (Korpelevich, 1976; with Adam: Gidel et al., 2019): two passes a step.

    The base takes a step ahead and then steps, from where it was, along the gradient found there.
    Weights that a base keeps outside the model would not return with it, so averaging wrappers go
    around this one.
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
        """A step of the base, undone for a second one along the gradient at its end."""
        weights = parameters(self.base)
        before = [p.detach().clone() for p in weights]
        loss = self.base.step(closure)  # type: ignore[arg-type]
        returned = False

        def ahead(*shard: int, **asked: Any) -> Tensor:
            nonlocal returned
            if returned:  # a second gradient would no longer be taken a step ahead
                raise msbench.MsbenchError(
                    f"extragradient needs a base that takes one gradient a step, "
                    f"and {type(self.base).__name__} takes several"
                )
            returned = True
            loss_ahead = closure(*shard, **asked)
            with torch.no_grad():
                put(weights, before)
            return loss_ahead

        self.base.step(ahead)  # type: ignore[arg-type]
        return loss  # type: ignore[return-value]


def unshared(base: Optimizer) -> Optimizer:
    """The base itself; MsbenchError if several workers take turns in its weights."""
    weights = parameters(base)
    if len({id(p) for p in weights}) < len(weights) or getattr(base, "apart", False):
        raise msbench.MsbenchError(
            "local-sgd and diloco cannot be a base: each of their workers has weights of its own; "
            "put them around the other optimizer instead"
        )
    return base


def parameters(optimizer: Optimizer) -> list[Tensor]:
    """All weights that an optimizer has."""
    return [p for group in optimizer.param_groups for p in group["params"]]
