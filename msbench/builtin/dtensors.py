"""Tensors that may be split among processes, torch's DTensors, without what makes them: importing
that takes a while."""

from collections.abc import Sequence

import torch
from torch import Tensor


def own_part(tensor: Tensor) -> Tensor:
    """What this process has of it."""
    part: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part


def whole(tensor: Tensor) -> Tensor:
    """All of it; where it is split, every process has to ask."""
    found: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return found


def put(places: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copy values into tensors that are split as they are."""
    torch._foreach_copy_([own_part(each) for each in places], [own_part(each) for each in values])
