"""What an optimizer holds, seen from outside: the weights it trains and the state it keeps."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import msbench
from msbench.builtin.dtensors import own_part
from msbench.builtin.group import as_if
from msbench.builtin.optimizers.capturing import rates_of
from msbench.builtin.passes import add_gradient

Make = Callable[[nn.Module], Optimizer]


def check_optimizer(make: Make) -> str:
    """MsbenchError if the optimizer cannot be made for a very small model or leaves weights out.

    Else what a suite's author should know of it, as a sentence without its subject; often nothing.

    It takes no step here: what a plugin does in one may crash or hang, and only a trial's own
    process may pay for that.
    """
    model = SmallModel()
    try:
        optimizer = make(model)
        check_complete(model, optimizer)
        without = rates_of(optimizer).count(None)
    except (msbench.MsbenchError, ValueError) as error:
        raise msbench.MsbenchError(str(error) or type(error).__name__) from error
    except KeyError as error:
        raise msbench.MsbenchError(
            f"it cannot be made for a small model: its groups, or those of its base, have no "
            f"{error.args[0]!r}"
            if error.args
            else "it cannot be made for a small model: KeyError"
        ) from error
    except (Exception, SystemExit):  # a plugin's bug, perhaps with this model only: a trial tells
        return ""
    if not without:
        return ""
    which = "its groups have" if without == len(optimizer.param_groups) else "a group of it has"
    return f"{which} no learning rate ('lr'), so schedules have no effect there"


def check_processes(make: Make, processes: int, sharded: bool = False) -> None:
    """MsbenchError if the optimizer cannot be made in one of so many processes; sharded: of which
    each has a part of the weights."""
    try:
        with as_if(processes):
            made = make(SmallModel())
        if sharded and getattr(made, "apart", False):
            raise msbench.MsbenchError(
                "its processes have weights of their own, which cannot be split among them"
            )
    except msbench.MsbenchError:
        raise
    except Exception:  # `check_optimizer` and the trial itself say more
        return


def check_complete(model: nn.Module, optimizer: Optimizer) -> None:
    """MsbenchError if the optimizer leaves trained weights out."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    forgotten = [name for name, p in trained if id(p) not in held]
    if forgotten:
        raise msbench.MsbenchError(
            f"the optimizer forgets {len(forgotten)} of {len(trained)} weights, such as "
            f"{forgotten[0]!r}; weights that should stay need requires_grad = False"
        )


def state_bytes(make: Make) -> float:
    """Bytes of state per float32 weight, measured on a small model after 20 steps.

    The steps run a plugin's code, so anything may be raised.
    """
    model = SmallModel(words=256, width=64)
    optimizer = make(model)
    getattr(optimizer, "train", lambda: None)()
    tokens = torch.arange(64).remainder(256)

    def closure(
        index: int = 0, of: int = 1, *, create_graph: bool = False, labels: str = "given"
    ) -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = nn.functional.cross_entropy(model(tokens[index::of]), tokens[index::of] % 2)
            if create_graph:
                add_gradient(loss, list(model.parameters()))
            else:
                loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for step in range(20):
        if hasattr(optimizer, "spent"):
            optimizer.spent = step / 20
        optimizer.step(closure)  # type: ignore[arg-type]
    return held_bytes(model, optimizer) / sum(p.numel() for p in model.parameters())


def is_steady(optimizer: Any) -> bool:
    """Whether each step costs as many matrix products besides its passes: those of torch's own
    optimizers do, others may say so by an attribute `steady`."""
    torchs = f"{type(optimizer).__module__}.".startswith("torch.optim.")
    return bool(getattr(optimizer, "steady", torchs))


def held_bytes(model: nn.Module, optimizer: Optimizer) -> int:
    """Bytes of every tensor that the optimizer holds, apart from weights and gradients."""
    weights = list(model.parameters())
    of_model = {own_part(t).data_ptr() for p in weights for t in (p, p.grad) if t is not None}
    tensors = map(own_part, _tensors(vars(optimizer), {id(p) for p in weights}))
    held = {t.data_ptr(): t for t in tensors}
    return sum(t.numel() * t.element_size() for place, t in held.items() if place not in of_model)


def _tensors(value: Any, seen: set[int]) -> Iterator[Tensor]:
    """Every tensor inside `value`, once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each, seen)
    elif isinstance(value, Optimizer):
        yield from _tensors(vars(value), seen)


class SmallModel(nn.Module):
    """A bit of everything: an embedding, matrices, a norm, biases."""

    def __init__(self, words: int = 8, width: int = 4) -> None:
        super().__init__()
        self.tokens = nn.Embedding(words, width)
        self.hidden, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.head = nn.Linear(width, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.hidden(self.tokens(tokens))))  # type: ignore[no-any-return]
