"""Optimizers in double precision, line by line as in their papers: what others are compared with.

Slow, and for nothing else. `params`: groups as torch's optimizers take them.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Paper(Optimizer):
    """One gradient, then the paper's update of each weight (`move`) from its own state."""

    def __init__(self, params: Iterable[Any], **defaults: Any):
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """One step."""
        loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, p.grad, group, self.state[p])
        return loss

    def move(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """The update of one weight p along its gradient g."""
        raise NotImplementedError


class Lion(Paper):
    """Chen et al., 2023, Symbolic discovery of optimization algorithms, algorithm 2."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def move(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """c = b1 m + (1 - b1) g; p -= lr (sign(c) + wd p); m = b2 m + (1 - b2) g."""
        m = state.setdefault("m", torch.zeros_like(p))
        b1, b2 = group["betas"]
        way = (b1 * m + (1 - b1) * g).sign()
        p.sub_(group["lr"] * (way + group["weight_decay"] * p))
        state["m"] = b2 * m + (1 - b2) * g


class Signum(Paper):
    """Bernstein et al., 2018, signSGD: compressed optimisation for non-convex problems."""

    def __init__(self, params: Iterable[Any], lr: float = 1e-4, momentum: float = 0.9):
        super().__init__(params, lr=lr, momentum=momentum)

    def move(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """m = b m + (1 - b) g; p -= lr sign(m)."""
        b = group["momentum"]
        state["m"] = b * state.get("m", torch.zeros_like(p)) + (1 - b) * g
        p.sub_(group["lr"] * state["m"].sign())


class AdaBelief(Paper):
    """Zhuang et al., 2020, AdaBelief optimizer, algorithm 2, with decoupled decay."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def move(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """s is the mean of (g - m)^2, eps included; both means are corrected for their start."""
        b1, b2 = group["betas"]
        t = state["t"] = state.get("t", 0) + 1
        m = state["m"] = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g
        s = b2 * state.get("s", torch.zeros_like(p)) + (1 - b2) * (g - m) ** 2 + group["eps"]
        state["s"] = s
        p.mul_(1 - group["lr"] * group["weight_decay"])
        corrected = (s / (1 - b2**t)).sqrt() + group["eps"]
        p.sub_(group["lr"] * (m / (1 - b1**t)) / corrected)


class ScheduleFree(Paper):
    """Defazio et al., 2024, The road less scheduled: z steps, x is its mean, y is between them.

    The gradient is taken at y, which is what the model holds in training; x is evaluated.
    """

    training = True

    def move(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """z -= lr u; x moves to z by its share of the weights so far; y = (1 - b) z + b x."""
        z, x = state.get("z", p.clone()), state.get("x", p.clone())
        state["t"] = state.get("t", 0) + 1
        z = z - group["lr"] * (self.way(g, group, state) + group["weight_decay"] * p)
        state["largest"] = max(state.get("largest", 0.0), group["lr"])
        weight = state["largest"] ** 2
        state["sum"] = state.get("sum", 0.0) + weight
        share = weight / state["sum"] if state["sum"] else 0.0
        state["z"], state["x"] = z, (1 - share) * x + share * z
        p.copy_((1 - self.between(group)) * z + self.between(group) * state["x"])

    def way(self, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
        """What z moves along."""
        return g

    def between(self, group: dict[str, Any]) -> float:
        """How far y is from z towards x."""
        raise NotImplementedError

    @torch.no_grad()
    def eval(self) -> None:
        """Put x into the model."""
        self._put("x")

    @torch.no_grad()
    def train(self) -> None:
        """Put y into the model."""
        self._put("y")

    def _put(self, which: str) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if "x" in state:
                    b = self.between(group)
                    y = (1 - b) * state["z"] + b * state["x"]
                    p.copy_(state["x"] if which == "x" else y)


class ScheduleFreeSGD(ScheduleFree):
    """Defazio et al., 2024, The road less scheduled, its SGD."""

    def __init__(
        self, params: Iterable[Any], lr: float = 1.0, momentum: float = 0.9, weight_decay: float = 0
    ):
        Paper.__init__(self, params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def between(self, group: dict[str, Any]) -> float:
        """The paper's beta."""
        return float(group["momentum"])


class ScheduleFreeAdamW(ScheduleFree):
    """Defazio et al., 2024, The road less scheduled, its AdamW.

    z moves along g / sqrt(v), the mean of squares corrected for its start.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.0025,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        Paper.__init__(self, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def way(self, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
        """g over the root of the corrected mean of its squares."""
        b2 = group["betas"][1]
        state["v"] = b2 * state.get("v", torch.zeros_like(g)) + (1 - b2) * g**2
        way: Tensor = g / ((state["v"] / (1 - b2 ** state["t"])).sqrt() + group["eps"])
        return way

    def between(self, group: dict[str, Any]) -> float:
        """The paper's beta1."""
        return float(group["betas"][0])
