"""Which weights are trained, and how fast: optimizers around a base.

`factory(model, base, **options)`. They look only at the names of weights, so that they fit any
model whose layers are numbered: weights before the layers are of depth 0, those of layer n of depth
n + 1, and those after the layers (the head) of the greatest depth.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from msbench import MsbenchError

Base = Callable[[nn.Module], Optimizer]
Size = Annotated[int, Field(ge=1, le=4096)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=4096)]
Share = Annotated[float, Field(ge=0, lt=1)]

NUMBERED = re.compile(r"(?:^|\.)(\d+)\.")


def depths(model: nn.Module) -> dict[str, int]:
    """The depth of every weight by its name; all are of one depth if no layers are numbered.

    An encoder-decoder's layers are numbered twice, and counted by their number.
    """
    names = [name for name, _ in model.named_parameters()]
    numbers = [int(m[1]) if (m := NUMBERED.search(name)) else None for name in names]
    known = [n for n in numbers if n is not None]
    if not known:
        return dict.fromkeys(names, 0)
    first = next(i for i, n in enumerate(numbers) if n is not None)
    top = max(known) + 2
    return {
        name: (0 if i < first else top) if number is None else number + 1
        for i, (name, number) in enumerate(zip(names, numbers, strict=True))
    }


def frozen(model: nn.Module, base: Base) -> Optimizer:
    """Only what comes after the layers is trained, on features that stay as they are.

    The linear probe of pretrained models; a model without numbered layers is trained as a whole.
    """
    of = depths(model)
    top = max(of.values())
    for name, weight in model.named_parameters():
        weight.requires_grad_(of[name] == top)
    return base(model)


def layer_wise(model: nn.Module, base: Base, decay: PositiveShare = 0.8) -> Optimizer:
    """The rate of each layer is `decay` times that of the layer above it.

    Layers near the input hold what is general, and move less (Howard and Ruder, 2018; Clark et al.,
    2020, ELECTRA).
    """
    optimizer, of = base(model), depths(model)
    check_plain(optimizer, "layer-wise")
    top = max(of.values())
    depth_of = {id(p): of[name] for name, p in model.named_parameters()}
    groups = [each for group in optimizer.param_groups for each in _split(group, depth_of)]
    for group in groups:
        group["lr"] *= decay ** (top - depth_of[id(group["params"][0])])
    optimizer.param_groups[:] = groups
    return optimizer


def _split(group: dict[str, Any], depth_of: dict[int, int]) -> list[dict[str, Any]]:
    """The group's weights by their depth, each with all else that the group says."""
    by_depth: dict[int, list[Tensor]] = {}
    for weight in group["params"]:
        by_depth.setdefault(depth_of[id(weight)], []).append(weight)
    return [{**group, "params": weights} for _, weights in sorted(by_depth.items())]


def check_plain(optimizer: Optimizer, name: str) -> None:
    """MsbenchError if the optimizer shares its groups with others inside of it."""
    inside = vars(optimizer).values()
    several = [x for each in inside for x in (each if isinstance(each, list) else [each])]
    if any(isinstance(each, Optimizer) for each in several):
        raise MsbenchError(
            f"{name} needs a base of its own groups, such as adamw, not "
            f"{type(optimizer).__name__}: put the wrapper outside, "
            f'{{ name = "lookahead", base = {{ name = "{name}", base = ... }} }}'
        )


def lora(
    model: nn.Module,
    base: Base,
    rank: Size = 8,
    alpha: Positive = 16.0,
    dropout: Share = 0.0,
    dora: bool = False,
) -> Optimizer:
    """The matrices of the layers stay, and low-rank changes of them are trained, and the head.

    alpha / rank scales the change (Hu et al., 2022). dora: also how long a matrix's columns are
    (Liu et al., 2024). The change begins at zero, so that training begins where others begin.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    if not any(isinstance(each, LoraLayer) for each in model.modules()):
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,  # type: ignore[arg-type]
            lora_dropout=dropout,
            use_dora=dora,
            target_modules=matrices(model),
        )
        of = depths(model)
        head = {name for name, depth in of.items() if depth == max(of.values())}
        inject_adapter_in_model(config, model)
        for name, weight in model.named_parameters():
            weight.requires_grad_("lora_" in name or (name in head and len(set(of.values())) > 1))
    return base(model)


def matrices(model: nn.Module) -> list[str]:
    """The names of linear maps in numbered layers, or of all but the last one if there are none."""
    kinds = (nn.Linear, *_conv1d())
    linear = [name for name, each in model.named_modules() if isinstance(each, kinds)]
    inside = [name for name in linear if NUMBERED.search(f"{name}.")]
    return inside or linear[:-1] or linear


def _conv1d() -> tuple[type, ...]:
    """GPT-2's linear maps, if anything of transformers is loaded."""
    import sys

    module = sys.modules.get("transformers.pytorch_utils")
    return () if module is None else (module.Conv1D,)


def unfreezing(model: nn.Module, base: Base, share: PositiveShare = 0.5) -> Optimizer:
    """First the head alone is trained, then one layer more at a time, from the top down.

    share: of the budget, after which all weights are trained (Howard and Ruder, 2018, ULMFiT).
    """
    return Unfreezing(base(model), model, share)


class Unfreezing(Optimizer):
    """See `unfreezing`. Gradients of weights that wait are dropped, so that no step moves them."""

    steady = True

    def __init__(self, base: Optimizer, model: nn.Module, share: float):
        check_plain(base, "unfreezing")
        super().__init__(base.param_groups, {})
        self.param_groups = base.param_groups
        self.base, self.share, self.spent = base, share, 0.0
        of = depths(model)
        order = sorted(set(of.values()), reverse=True)
        self.turns = [(order.index(of[name]), p) for name, p in model.named_parameters()]
        self.stages = len(order)

    def trained(self) -> int:
        """How many depths are trained now, from the top."""
        if self.stages == 1:
            return 1
        return 1 + min(self.stages - 1, int(self.spent / self.share * (self.stages - 1)))

    def step(self, closure: Callable[..., Tensor]) -> Tensor:  # type: ignore[override]
        """A step of the base on the gradients of weights whose turn has come."""

        def partial(*args: Any) -> Tensor:
            loss = closure(*args)
            stages = self.trained()
            for turn, weight in self.turns:
                if turn >= stages:
                    weight.grad = None
            return loss

        loss: Tensor = self.base.step(partial)  # type: ignore[assignment, arg-type]
        return loss

    def train(self) -> None:
        """Forward, if the base evaluates other weights."""
        getattr(self.base, "train", lambda: None)()

    def eval(self) -> None:
        """Forward, if the base evaluates other weights."""
        getattr(self.base, "eval", lambda: None)()
