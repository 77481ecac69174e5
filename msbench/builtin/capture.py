"""Work that is done once and then replayed on the same tensors: one function, two twins.

What is frozen is everything that the host decides: which operations, on which storages, with which
numbers. `cuda_graph` freezes it because a CUDA graph is made of kernels and addresses; `tape` is
its twin without a GPU, which freezes exactly as much and tells what a graph would get wrong.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Replay = Callable[[], None]
Record = Callable[[Callable[[], Any]], tuple[Any, Replay]]
"""Records some work -> (what it returned, what does it again into the same tensors). The work is
only done for certain when the replay has been called for the first time."""

READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
"""Marks of operations whose result the host must wait for."""

HIDDEN_READS = {"aten::_pack_padded_sequence"}
"""Operations that read numbers on the host without saying so by a mark."""


class Call(NamedTuple):
    """One operation as it was done."""

    function: Any
    args: Any
    kwargs: Any
    out: Any

    @property
    def name(self) -> str:
        """As torch calls it, without its overload."""
        return str(self.function.overloadpacket._qualified_op_name)

    @property
    def numbers(self) -> list[Any]:
        """What of it is frozen besides tensors: numbers, flags, shapes."""
        leaves = _leaves((self.args, tuple(self.kwargs.values())))
        return [tuple(each.shape) if isinstance(each, Tensor) else each for each in leaves]

    @property
    def reads(self) -> bool:
        """Whether the host has to wait for its result."""
        if self.name == "aten::index":
            return any(
                isinstance(each, Tensor) and each.dtype in (torch.bool, torch.uint8)
                for each in _leaves(self.args[1])
            )
        return not READS.isdisjoint(self.function.tags) or self.name in HIDDEN_READS

    def again(self) -> None:
        """Do it on the same storages; what was made anew then is written where it was."""
        new = _leaves(self.function(*self.args, **self.kwargs))
        for old, value in zip(_leaves(self.out), new, strict=True):
            if isinstance(old, Tensor) and not _shared(old, value):
                old.copy_(value)


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers every operation inside, with its tensors as they are then."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.namespace == "profiler":  # marks for whoever watches; no operations
            return out
        # Aliases: `p.data = other` must not lead a replay elsewhere, as it would not lead a graph.
        named = {name: _aliased(value) for name, value in (kwargs or {}).items()}
        self.calls.append(Call(func, _aliased(args), named, _aliased(out)))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        """Do all of it again."""
        for call in self.calls:
            call.again()


def tape(work: Callable[[], Any]) -> tuple[Any, Replay]:
    """The twin on any device; recording does the work, so the first replay does nothing."""
    recorded = Tape()
    with recorded:
        result = work()
    replays = iter([lambda: None])
    return result, lambda: next(replays, recorded.replay)()


class CudaGraphs:
    """Records as CUDA graphs, which share their memory.

    They may: none leaves anything in it that another one reads, but for its result, which is kept.
    What is random draws anew in every replay, since torch tells graphs where its generator is.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, work: Callable[[], Any]) -> tuple[Any, Replay]:
        """A graph of the work, which must have been done once before on this stream."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self.stream):
            result = work()
        return result, graph.replay

    @contextmanager
    def on_stream(self) -> Iterator[None]:
        """Whatever trains is on one stream: graphs cannot be recorded on torch's default one."""
        outer = torch.cuda.current_stream()
        self.stream.wait_stream(outer)
        with torch.cuda.stream(self.stream):
            yield
        outer.wait_stream(self.stream)


@contextmanager
def as_on_cuda() -> Iterator[None]:
    """Let torch's optimizers do on any device what they do when they are captured on a GPU."""
    name = "_get_capturable_supported_devices"
    loaded = [each for key, each in sys.modules.items() if key.startswith("torch.optim.")]
    modules = [each for each in loaded if hasattr(each, name)]
    before = [getattr(module, name) for module in modules]
    for module in modules:
        setattr(module, name, lambda supports_xla=True: ["cpu", "cuda"])
    try:
        yield
    finally:
        for module, function in zip(modules, before, strict=True):
            setattr(module, name, function)


def difference(first: Sequence[Call], second: Sequence[Call]) -> str:
    """How two recordings of equal work differ in what is frozen; empty if they do not."""
    for one, other in zip(first, second, strict=False):
        if one.name != other.name:
            return f"one step does {one.name} where another does {other.name}"
        if one.numbers != other.numbers:
            return f"the host gives {one.name} other numbers in every step"
    missing = len(first) != len(second)
    return f"one step does {len(first)} operations, another {len(second)}" if missing else ""


def _leaves(value: Any) -> list[Any]:
    """What is in nested lists and tuples, which is all that operations are given."""
    if isinstance(value, list | tuple):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value]


def _aliased(value: Any) -> Any:
    """The same with every tensor as one of its own on the same storage."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, list | tuple):
        return [_aliased(each) for each in value]
    return value


def _shared(one: Tensor, other: Tensor) -> bool:
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)
