"""An optimizer at work on a very small model in double precision, watched from outside."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench.builtin.optimizers.inspection import SmallModel
from msbench.checks.findings import Wrong

Make = Callable[[nn.Module], Any]

WORDS, WIDTH, ROWS = 12, 8, 24
"""Of the model, and of every batch."""

STEPS = 20


class Walk:
    """Steps of an optimizer, made anew, from the same start as in every other walk.

    The loss of a step depends on its number alone: two walks differ only by their optimizers.
    """

    def __init__(self, make: Make, model: nn.Module | None = None, steps: int = STEPS):
        torch.manual_seed(0)
        self.model = small_model() if model is None else model
        self.optimizer = make(self.model)
        self.rates = [group.get("lr") for group in self.optimizer.param_groups]
        self.steps, self.taken = steps, 0
        self.passes = 0.0
        """Backward passes through the model, whoever made them, in batches."""
        self.asked = 0.0
        """Those of them that the closure made."""
        self.reached = [torch.zeros_like(p, dtype=torch.bool) for p in self.model.parameters()]
        """Which numbers had a gradient so far."""
        self.model.register_forward_hook(self._watch)
        self.switch("train")

    def switch(self, mode: str) -> None:
        """`train` or `eval`, if the optimizer has it."""
        getattr(self.optimizer, mode, lambda: None)()

    def set_rate(self, factor: float) -> None:
        """As a schedule does."""
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            if isinstance(rate, Tensor):
                group["lr"] = rate.clone() * factor
            elif rate is not None:
                group["lr"] = float(rate) * factor

    def go(self, steps: int = 1) -> "Walk":
        """So many steps."""
        for _ in range(steps):
            if hasattr(self.optimizer, "spent"):
                self.optimizer.spent = self.taken / self.steps
            self.optimizer.step(self.closure)
            self.taken += 1
        return self

    def closure(
        self, index: int = 0, of: int = 1, create_graph: bool = False, labels: str = "given"
    ) -> Tensor:
        """What the learner gives to `step`."""
        tokens, targets = batch_of(self.taken)
        tokens, targets = tokens[index::of], targets[index::of]
        self.optimizer.zero_grad()
        with torch.enable_grad():
            logits = self.model(tokens)
            if labels == "sampled":
                targets = logits.detach().softmax(-1).multinomial(1)[:, 0]
            loss = functional.cross_entropy(logits, targets)
            loss.backward(create_graph=create_graph)  # type: ignore[no-untyped-call]
        self.asked += 1 / of
        for reached, p in zip(self.reached, self.model.parameters(), strict=True):
            if p.grad is not None:
                reached |= p.grad.detach() != 0
        return loss.detach()

    def _watch(self, model: nn.Module, inputs: Any, logits: Tensor) -> None:
        """Whoever runs the model: a gradient that comes back through its logits is a pass."""
        if logits.requires_grad:
            count = partial(self._count, len(logits) / ROWS)
            logits.register_hook(count)  # type: ignore[no-untyped-call]

    def _count(self, share: float, gradient: Tensor) -> None:
        self.passes += share

    def weights(self) -> list[Tensor]:
        """A copy of the weights as they are."""
        return [p.detach().clone() for p in self.model.parameters()]

    def evaluated(self) -> list[Tensor]:
        """A copy of the weights that would be evaluated; training then goes on."""
        self.switch("eval")
        weights = self.weights()
        self.switch("train")
        return weights


def small_model() -> nn.Module:
    """An embedding, two matrices, a norm and biases, in double precision."""
    return SmallModel(WORDS, WIDTH).double()


def batch_of(step: int) -> tuple[Tensor, Tensor]:
    """Tokens, and their targets: whether a token is odd, with some noise."""
    draw = torch.Generator().manual_seed(step)
    tokens = torch.randint(WORDS, (ROWS,), generator=draw)
    noise = torch.rand(ROWS, generator=draw) < 0.1
    return tokens, (tokens + noise) % 2


def differ(one: Iterable[Tensor], other: Iterable[Tensor]) -> bool:
    """Whether any bit differs; NaN differs from everything."""
    return any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))


def distance(one: Iterable[Tensor], other: Iterable[Tensor]) -> float:
    """The length of the difference."""
    parts = [(a.double() - b.double()).norm() for a, b in zip(one, other, strict=True)]
    return float(torch.stack(parts).norm())


def check_finite(weights: Iterable[Tensor], when: str) -> None:
    """Wrong if a weight is no number."""
    if not all(bool(each.isfinite().all()) for each in weights):
        raise Wrong(f"{when} some weights are not finite")
