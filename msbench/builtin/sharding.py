"""Weights, gradients and the optimizer's state split among the processes of a trial, for models
that are too large to be trained on one device: torch's FSDP2 (`fully_shard`; Zhao et al., 2023).

A process has the weights of one layer at a time while it trains. For evaluation it has all of
them, as plain tensors: that takes a quarter of what training with AdamW would.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.fsdp._fully_shard._fsdp_collectives import (
    DefaultAllGather,
    DefaultReduceScatter,
)
from torch.distributed.tensor import DTensor, Replicate, Shard

from msbench.builtin.group import Group


class Sharded:
    """A model that is split: every layer of its `nn.ModuleList`s by itself, and the rest."""

    def __init__(self, model: nn.Module, group: Group, device: torch.device):
        self._model, self._group, self._counts = model, group, False
        self._mesh = mesh = init_device_mesh(device.type, (group.size,))
        layers = list(_layers(model))
        for module in [*layers, model]:
            fully_shard(module, mesh=mesh)
        for unit in self._units():
            # The sum over all processes, which is divided once by the number of target units.
            unit.set_gradient_divide_factor(1.0)
            unit.set_force_sum_reduction_for_comms(True)
            unit.set_custom_all_gather(_counting(DefaultAllGather, self._count))
            unit.set_custom_reduce_scatter(_counting(DefaultReduceScatter, self._count))
        self.split()

    def prepare(self, optimizer: Any) -> None:
        """Let an optimizer do without fused kernels, of which most know no split weights."""
        for settings in optimizer.param_groups:
            if settings.get("fused"):
                settings["fused"] = False

    def split(self) -> None:
        """Keep this process's part alone, to train it."""
        for unit in self._units():
            unit.reshard()
            unit.set_reshard_after_forward(unit is not self._model, recurse=False)
        self._counts = True

    def gather(self) -> None:
        """Have all weights, as plain tensors, until `split`. Every process has to."""
        self._counts = False
        for unit in self._units():
            unit.set_reshard_after_forward(False, recurse=False)
            unit.unshard()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """In evaluation: inside, passes can be made, and what they send is no part of training."""
        self.split()
        self._counts = False
        try:
            yield
        finally:
            self.gather()

    def as_part(
        self, own: Tensor, along: int | None, shape: Sequence[int], stride: Sequence[int]
    ) -> Tensor:
        """A tensor that is split along a dimension (None = that each process has a copy of), made
        from what this process has of it."""
        placed = Replicate() if along is None else Shard(along)
        made: Tensor = DTensor.from_local(
            own,
            self._mesh,
            [placed],
            run_check=False,
            shape=torch.Size(shape),
            stride=tuple(stride),
        )
        return made

    def state(self) -> dict[str, Tensor]:
        """Weights and buffers that are kept, by name; torch's own would split them again."""
        passing = {
            f"{name}.{each}".lstrip(".")
            for name, module in self._model.named_modules()
            for each in module._non_persistent_buffers_set
        }
        buffers = {n: b for n, b in self._model.named_buffers() if n not in passing}
        return {**dict(self._model.named_parameters()), **buffers}

    def _units(self) -> Iterator[Any]:
        return (each for each in self._model.modules() if isinstance(each, FSDPModule))

    def _count(self, message: Tensor) -> None:
        if self._counts:
            self._group.count(message)


def _counting(comm: Any, count: Callable[[Tensor], None]) -> Any:
    """A way to send, which also counts what it is given to send."""

    class Counting(comm):  # type: ignore[misc]
        def __call__(
            self, output_tensor: Tensor, input_tensor: Tensor, *rest: Any, **more: Any
        ) -> Any:
            count(input_tensor)
            return super().__call__(output_tensor, input_tensor, *rest, **more)

    return Counting()


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """Those that stand in a list and have weights, but not the parts of such a layer."""
    for child in model.children():
        if isinstance(child, nn.ModuleList):
            yield from (each for each in child if any(True for _ in each.parameters()))
        else:
            yield from _layers(child)
