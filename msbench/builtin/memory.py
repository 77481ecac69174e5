"""Memory that tensors take, whatever the allocator does with it."""

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are made inside, and what they come to at the peak.

    What autograd keeps for the backward pass is alive; what a kernel takes for itself while it runs
    is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _storages((args, kwargs))
        out = func(*args, **(kwargs or {}))
        for place, storage in _storages(out).items():
            if place not in given and place not in self._known:
                self._known.add(place)
                self.bytes += storage.nbytes()
                gone = weakref.finalize(storage, self._forget, place, storage.nbytes())
                gone.atexit = False
        self.peak = max(self.peak, self.bytes)
        return out

    def _forget(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.bytes -= size


def stored_bytes(model: nn.Module) -> int:
    """Of a model's weights and buffers, each once."""
    return sum(each.nbytes() for each in _storages(list(model.state_dict().values())).values())


def _storages(values: Any) -> dict[int, torch.UntypedStorage]:
    tensors = [each for each in tree_leaves(values) if isinstance(each, Tensor)]
    return {s._cdata: s for s in (tensor.untyped_storage() for tensor in tensors)}
