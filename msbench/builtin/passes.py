"""Backward passes in a step: those that nobody announced, and those that are differentiable."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Variable
from torch.nn.attention import SDPBackend, sdpa_kernel

from msbench.builtin.dtensors import whole


class Unannounced:
    """Counts backward passes within a step that did not go through the closure.

    Such as the product of a Hessian and a vector, or the gradient of a loss that somebody took on
    his own. Seen where all of them end up, `torch.autograd.backward`, `torch.autograd.grad` and
    `torch.func.grad` alike; one inside another (checkpointing) is a part of it.
    """

    def __init__(self) -> None:
        self.passes = Fraction(0)
        """So far, each as the share of a batch that the last shard was."""
        self.share = Fraction(1)
        """Of the whole batch, that which the closure was called for last."""
        self._announced = True

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Around a step: what is inside counts."""
        engine = Variable._execution_engine
        Variable._execution_engine = _Watched(engine, self)  # type: ignore[assignment]
        self._announced = False
        try:
            yield
        finally:
            Variable._execution_engine = engine
            self._announced = True

    @contextmanager
    def announced(self) -> Iterator[None]:
        """What is inside does not count: the closure's own passes, and work off the clock."""
        before, self._announced = self._announced, True
        try:
            yield
        finally:
            self._announced = before

    def run(self, backward: Any, *args: Any, **options: Any) -> Any:
        """A backward pass."""
        if self._announced:
            return backward(*args, **options)
        self.passes += self.share
        with self.announced():
            return backward(*args, **options)


class _Watched:
    """Torch's engine of backward passes, watched."""

    def __init__(self, engine: Any, unannounced: Unannounced):
        self._engine, self._unannounced = engine, unannounced

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run_backward(self, *args: Any, **options: Any) -> Any:
        return self._unannounced.run(self._engine.run_backward, *args, **options)


@contextmanager
def differentiable_twice() -> Iterator[None]:
    """Only kernels inside whose gradients can be differentiated: fused attention, and recurrent
    layers of cuDNN, have none, and are computed by plain operations instead."""
    with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        yield


def add_gradient(loss: Tensor, weights: Sequence[Tensor]) -> None:
    """Add the gradient to the weights' `grad`, differentiable itself.

    As `loss.backward(create_graph=True)`, but no warning of the cycle that it makes of the weights
    and their gradient: the learner breaks it after the step.
    """
    gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is not None:
            weight.grad = gradient if weight.grad is None else weight.grad + gradient


def scale_gradient(weights: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply the weights' `grad` by a number, and what can be differentiated of it as well."""
    for weight in weights:
        if weight.grad is not None:
            weight.grad = weight.grad * factor


def clip(weights: Sequence[Tensor], longest: float) -> None:
    """Shorten the gradient to a norm of `longest`, if it is longer."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    torch.nn.utils.clip_grads_with_norm_(weights, longest, whole(norm))


@torch.no_grad()
def clipping(weights: Sequence[Tensor], longest: float) -> Tensor:
    """What to multiply the gradient by so that its norm is `longest` at most, a constant."""
    gradients = [weight.grad.detach() for weight in weights if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    return (longest / (norm + 1e-6)).clamp(max=1.0)


def cut_loose(weights: Sequence[Tensor]) -> None:
    """Forget how the weights' `grad` came about."""
    for weight in weights:
        if weight.grad is not None:
            weight.grad = weight.grad.detach()
