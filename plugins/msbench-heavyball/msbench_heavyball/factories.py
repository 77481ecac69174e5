"""Factories by class, made when they are asked for: `factories.SOAP(model, lr=1e-3, ...)`.

Their options are those of the package's classes that a suite can say, and `compiled`: heavyball
compiles its steps by itself, for seconds each, which is only done if asked for. Weight decay spares
norms and biases.
"""

import inspect
import math
from collections.abc import Callable
from enum import Enum
from typing import Any

import heavyball
import torch
from heavyball import utils
from torch import Tensor, nn
from torch.optim import Optimizer

import msbench
from msbench_heavyball import REFUSED
from msbench_heavyball.catalog import CLASSES

COMPILED = "default"
"""How torch compiles, if asked to."""

UNGROUPED = {"PSGDLRA"}
"""Count their weights in a list, and know no groups: weight decay is on all of them."""

LEFT_OUT = {"self", "params", "kwargs", "orig_shapes", "compile_step", "storage_dtype"}
"""Parameters that are no options of a method."""


def __getattr__(name: str) -> Callable[..., Optimizer]:
    if any(name == each for each, _ in CLASSES.values()):
        return factory(name)
    raise AttributeError(name)


def factory(name: str) -> Callable[..., Optimizer]:
    """`factory(model, **options) -> torch.optim.Optimizer` of the package's class."""
    cls: Any = adapted(name)
    parameters = options_of(getattr(heavyball, name))

    def make(model: nn.Module, *, compiled: bool = False, **options: Any) -> Optimizer:
        if name in REFUSED:
            raise msbench.MsbenchError(f"{name} does not work in msbench: {REFUSED[name]}")
        utils.compile_mode = COMPILED if compiled else None
        trained = [p for p in model.parameters() if p.requires_grad]
        if "weight_decay" not in parameters or name in UNGROUPED:
            return cls(trained, **options)  # type: ignore[no-any-return]
        decay = options.pop("weight_decay")
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        return cls([group for group in groups if group["params"]], **options)  # type: ignore[no-any-return]

    kind = inspect.Parameter.KEYWORD_ONLY
    first = inspect.Parameter("model", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    last = inspect.Parameter("compiled", kind, default=False, annotation=bool)
    make.__signature__ = inspect.Signature([first, *parameters.values(), last])  # type: ignore[attr-defined]
    make.__name__ = make.__qualname__ = name
    return make


def options_of(cls: type) -> dict[str, inspect.Parameter]:
    """The parameters of a class that are plain numbers, texts and lists of numbers."""
    found = inspect.signature(cls).parameters
    return {name: _typed(each) for name, each in found.items() if _is_option(each)}


def _is_option(parameter: inspect.Parameter) -> bool:
    value = parameter.default
    if parameter.name in LEFT_OUT or isinstance(value, Enum):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, bool | int | float | str | tuple)


def _typed(parameter: inspect.Parameter) -> inspect.Parameter:
    value, kind = parameter.default, inspect.Parameter.KEYWORD_ONLY
    if parameter.name in ("lr", "weight_decay"):
        value = float(value)
    annotation: Any = tuple[float, ...] if isinstance(value, tuple) else type(value)
    return parameter.replace(kind=kind, default=value, annotation=annotation)


def adapted(name: str) -> type:
    """The package's class; those that evaluate other weights than they train, exactly."""
    cls: Any = getattr(heavyball, name)
    exact = hasattr(cls, "eval") and name not in REFUSED
    return type(cls.__name__, (Exact, cls), {}) if exact else cls


class Exact:
    """Training continues from exactly the weights that it left for evaluation."""

    param_groups: list[dict[str, Any]]
    left: list[Tensor] | None = None

    @torch.no_grad()
    def eval(self) -> None:
        """Put the average into the model."""
        if self.left is None:
            self.left = [p.detach().clone() for g in self.param_groups for p in g["params"]]
            super().train(False)  # type: ignore[misc]

    @torch.no_grad()
    def train(self) -> None:
        """Put the trained weights back."""
        super().train(True)  # type: ignore[misc]
        if self.left is not None:
            weights = [p for g in self.param_groups for p in g["params"]]
            torch._foreach_copy_(weights, self.left)
            self.left = None
