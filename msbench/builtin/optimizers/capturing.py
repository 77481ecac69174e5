"""What a captured step asks of an optimizer: its kind, and that nothing changes on the host alone.

A replay does again what the host decided when the step was recorded. So learning rates are tensors
on the device, a step of another kind is recorded by itself, and counters of the host are told.
"""

from collections.abc import Hashable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def make_capturable(optimizer: Optimizer) -> None:
    """Put learning rates on the device, and tell torch's optimizers to keep their counts there."""
    for group, rate in zip(optimizer.param_groups, rates_of(optimizer), strict=True):
        group["capturable"] = True
        if rate is not None:
            group["lr"] = torch.tensor(rate, device=group["params"][0].device)


def rates_of(optimizer: Optimizer) -> list[float | None]:
    """The learning rate of each group; None where it has none, so that no schedule has an effect
    on it."""
    rates = (group.get("lr") for group in optimizer.param_groups)
    return [None if rate is None else float(rate) for rate in rates]


def set_lr(group: dict[str, Any], rate: float) -> None:
    """Set a group's learning rate, in its place on the device if it has one there."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def is_capturable(optimizer: Optimizer) -> bool:
    """Whether its numbers that change must be tensors."""
    return any(group.get("capturable", False) for group in optimizer.param_groups)


def step_kind(optimizer: Any) -> Hashable:
    """What the next step's work depends on besides shapes; the same for all, unless it says so."""
    return getattr(optimizer, "step_kind", lambda: None)()


def step_kinds(optimizers: Iterable[Any]) -> Hashable:
    """Of several that step together."""
    return tuple(map(step_kind, optimizers))


def note_replay(optimizer: Any) -> None:
    """Tell it that its next step was replayed, so that it counts it."""
    getattr(optimizer, "note_replay", lambda: None)()


def move_towards(places: list[Tensor], goals: list[Tensor], share: Tensor) -> None:
    """Move tensors a share (on the device) of their way."""
    ways = torch._foreach_sub(goals, places)
    torch._foreach_mul_(ways, share.to(places[0].dtype))
    torch._foreach_add_(places, ways)
