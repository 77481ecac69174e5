"""The state of optimizers that are made of others: it goes with the weights, and comes back."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from torch.optim import Optimizer

State = dict[str, Any]


def state_of(outer: Optimizer, inner: Sequence[Optimizer], kept: Sequence[str]) -> State:
    """The states of the optimizers inside, and these attributes of the one around them."""
    return {
        "inner": [each.state_dict() for each in inner],
        "kept": {name: getattr(outer, name) for name in kept},
    }


def load_state(outer: Optimizer, inner: Sequence[Optimizer], state: State) -> None:
    """Give all of them what `state_of` told of others like them, as copies."""
    for each, own in zip(inner, state["inner"], strict=True):
        each.load_state_dict(own)
    for name, value in deepcopy(state["kept"]).items():
        setattr(outer, name, value)
