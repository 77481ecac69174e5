"""Factories by name, made when they are asked for: `factories.lion(model, lr=1e-4, ...)`.

Their options are those of the package's classes that a suite can say. Weight decay spares norms
and biases; whether it is decoupled is the package's choice (`weight_decouple`).
"""

import inspect
import math
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

import torch
from pytorch_optimizer.optimizer import OPTIMIZERS
from torch import Tensor, nn
from torch.optim import Optimizer

import msbench
from msbench_pytorch_optimizer.catalog import CLASSES
from msbench_pytorch_optimizer.forms import AROUND, AVERAGING, HESSIAN, MUONS, REFUSED

LEFT_OUT = {"self", "params", "model", "kwargs", "maximize", "foreach", "fused", "capturable"}
LEFT_OUT |= {"differentiable", "compress_state_dict", "check_numerics", "optimizer"}
"""Parameters that are no options of a method."""

REAL = {"lr", "weight_decay", "momentum", "dampening"}
"""Numbers that are real even where the package's default is 0 or 1."""


def __getattr__(name: str) -> Callable[..., Optimizer]:
    if name in CLASSES:
        return factory(name)
    raise AttributeError(name)


def factory(name: str) -> Callable[..., Optimizer]:
    """`factory(model, **options) -> torch.optim.Optimizer` of the package's class."""
    made_by: Any = adapted(name)
    parameters = options_of(OPTIMIZERS[name])

    def make(model: nn.Module, **options: Any) -> Optimizer:
        if name in REFUSED:
            raise msbench.MsbenchError(f"po-{name} does not work in msbench: {REFUSED[name]}")
        if name == "adammini":
            return made_by(model, **options)  # type: ignore[no-any-return]
        if "weight_decay" not in parameters or name == "lbfgs":
            return made_by([p for p in model.parameters() if p.requires_grad], **options)  # type: ignore[no-any-return]
        groups = (muon_groups if name in MUONS else decayed)(model, options)
        return made_by(groups, **options)  # type: ignore[no-any-return]

    first = inspect.Parameter("model", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    make.__signature__ = inspect.Signature([first, *parameters.values()])  # type: ignore[attr-defined]
    make.__name__ = make.__qualname__ = name
    return make


def options_of(cls: type) -> dict[str, inspect.Parameter]:
    """The parameters of a class that are plain numbers, texts and lists of numbers."""
    found = inspect.signature(cls).parameters
    return {name: _typed(each) for name, each in found.items() if _is_option(each)}


def _is_option(parameter: inspect.Parameter) -> bool:
    value = parameter.default
    if parameter.name in LEFT_OUT or parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    plain = isinstance(value, bool | int | float | str | tuple) and not isinstance(value, Enum)
    return plain or value is inspect.Parameter.empty


def _typed(parameter: inspect.Parameter) -> inspect.Parameter:
    value, kind = parameter.default, inspect.Parameter.KEYWORD_ONLY
    if parameter.name in REAL and type(value) is int:
        value = float(value)
    kinds: dict[type, Any] = {tuple: tuple[float, ...], type: int}
    annotation = kinds.get(type(value), type(value))
    return parameter.replace(kind=kind, default=value, annotation=annotation)


def decayed(model: nn.Module, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Weight decay on matrices, none on norms and biases."""
    trained = [p for p in model.parameters() if p.requires_grad]
    decay = options["weight_decay"]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def muon_groups(model: nn.Module, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Hidden matrices, neither embeddings nor the output layer (`head`); and all others."""
    outside = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    hidden, rest = [], []
    for name, p in model.named_parameters():
        inside = p.ndim == 2 and id(p) not in outside and "head" not in name.split(".")
        if p.requires_grad:
            (hidden if inside else rest).append(p)
    groups = [{"params": hidden, "use_muon": True}, {"params": rest, "use_muon": False}]
    return [group for group in groups if group["params"]]


def adapted(name: str) -> type:
    """The package's class, as msbench's loop has to call it."""
    cls: Any = OPTIMIZERS[name]
    for names, form in ((HESSIAN, Twice), (AROUND, Around), (AVERAGING, Exact)):
        if name in names:
            return type(cls.__name__, (form, cls), {})
    return cls  # type: ignore[no-any-return]


class Twice:
    """Asks for a gradient that can be differentiated, in the steps that do so."""

    param_groups: list[dict[str, Any]]
    update_period: int

    def step(self, closure: Callable[..., Tensor]) -> Any:
        """One step."""
        due = self.param_groups[0].get("step", 0) % self.update_period == 0
        return super().step(partial(closure, create_graph=due))  # type: ignore[misc]


class Around:
    """Has gradients before the first step, without which the package would move no weight."""

    param_groups: list[dict[str, Any]]

    def step(self, closure: Callable[..., Tensor]) -> Any:
        """One step."""
        if all(p.grad is None for group in self.param_groups for p in group["params"]):
            closure()
        return super().step(closure)  # type: ignore[misc]


class Exact:
    """Training continues from exactly the weights that it left for evaluation."""

    param_groups: list[dict[str, Any]]
    state: dict[Tensor, Any]
    left: list[Tensor] | None = None

    @torch.no_grad()
    def eval(self) -> None:
        """Put the average into the model."""
        if self.left is None and self.state:  # before the first step there is no average
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
