"""Floating point operations of training, counted exactly and off the clock.

Operations are those that torch's counter has formulas for: matrix products, convolutions and
attention, but nothing elementwise. A test holds the numbers to those of a slow twin, torch's own
`FlopCounterMode` around every step.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from msbench import Batch, Split
from msbench.builtin.optimizers.inspection import is_steady
from msbench.builtin.polynomial import Polynomial

Shape = Sequence[int]
Aside = Callable[[], AbstractContextManager[None]]
"""Makes a context in which no clock runs."""

aten = torch.ops.aten


def attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Of fused attention: as many as of plain products."""
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def attention_backward(_: Shape, *rest: Any, **__: Any) -> int:
    """Twice as many: scores that a kernel computes again, to save memory, are not progress."""
    return 2 * attention(*rest)


def recurrence(input: Shape, into: Shape, hidden: Shape, *_: Any, **__: Any) -> int:
    """Of one fused layer in one direction; both weights, (gates, width), at every place."""
    return 2 * input[0] * input[1] * (math.prod(into) + math.prod(hidden))


def recurrence_backward(*rest: Any, **__: Any) -> int:
    """Twice as many."""
    return 2 * recurrence(*rest)


FUSED = {
    aten._scaled_dot_product_flash_attention_for_cpu: attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward,
    aten._scaled_dot_product_flash_attention_backward: attention_backward,
    aten._scaled_dot_product_efficient_attention_backward: attention_backward,
    aten._scaled_dot_product_cudnn_attention_backward: attention_backward,
    aten.mkldnn_rnn_layer: recurrence,
    aten.mkldnn_rnn_layer_backward: recurrence_backward,
}
"""Kernels that torch's counter lacks, or counts otherwise than the products they replace: a model
costs the same on every device."""

FORMULAS = FlopCounterMode(display=False, custom_mapping=FUSED).flop_registry


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations inside; may be entered again.

    It lets every operation pass as it is, and does without what makes `FlopCounterMode` slow: the
    names of the modules that operations belong to.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: float = 0
        self._depth = 0

    def __enter__(self) -> "Operations":
        self._depth += 1
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._depth -= 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # there, composite operations arrive whole
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if (formula := FORMULAS.get(func.overloadpacket)) is not None:
            self.total += formula(*args, **kwargs, out_val=out)
        return out

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count what is inside."""
        if not self._depth:
            yield
            return
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()


def is_steady_pass(model: nn.Module, loss: Any) -> bool:
    """Whether the work of a pass depends on shapes alone, as far as model and loss say."""
    return all(getattr(each, "steady", True) for each in (loss, *model.modules()))


@dataclass
class Tallied:
    """Passes over batches of the same shapes."""

    first: Batch
    last: Batch
    passes: int = 0


class Work:
    """The operations of one phase of training.

    Passes of a steady model and loss are tallied by the shapes of their batches, and counted when
    training is over: one for each shape, or as many as tell those of all shapes as a polynomial of
    lengths. A pass of any other, such as a loss that generates outputs, is made twice, the first
    time to be counted, with the clock stopped. What the optimizer does besides is counted as it
    happens: in the first step if it is steady, else in all of them.

    Batches are those of the host, so that what is remembered of them takes no memory of a device.
    gradient: places such a batch; its forward and backward pass. processes: that each do what the
    optimizer does besides; passes are told as those of all of them.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Any,
        optimizer: Any,
        gradient: Callable[[Batch], Tensor],
        processes: int = 1,
    ):
        self._model, self._gradient = model, gradient
        self._steady = is_steady_pass(model, loss)
        self._steady_optimizer = is_steady(optimizer)
        self._tally: dict[Any, Tallied] = {}
        self._passes: float = 0
        self._own, self._steps, self._processes = Operations(), 0, processes

    @contextmanager
    def of_step(self, aside: Aside | None) -> Iterator[None]:
        """Around a step of the optimizer; counted if there is a clock to stop."""
        counts = aside is not None
        self._steps += counts
        if counts and (self._steps == 1 or not self._steady_optimizer):
            with self._own:
                yield
        else:
            yield

    @contextmanager
    def of_pass(self, batches: Sequence[Batch], aside: Aside | None) -> Iterator[None]:
        """Around a pass within a step; the gradients are cleared."""
        with self._own.paused():
            if aside is not None and self._steady:
                for batch in batches:
                    self._tallied(batch)
            elif aside is not None:
                with aside():
                    self._passes += sum(map(self._count, batches))
            yield

    def uncounted(self) -> AbstractContextManager[None]:
        """Within a step: what is inside belongs to no step."""
        return self._own.paused()

    @property
    def own_total(self) -> float:
        """What the optimizer did besides passes, as far as it was counted."""
        return self._own.total

    def count_again(self, parts: Iterable[Batch], own: float) -> None:
        """A step was replayed: passes over these batches, and what the optimizer did besides."""
        self._steps += 1
        self._own.total += 0 if self._steady_optimizer else own
        for batch in parts:
            self._tallied(batch)

    def counts(self) -> dict[str, Any]:
        """What was counted so far, as plain data and arrays."""
        return {
            "passes": self._passes,
            "own": self._own.total,
            "steps": self._steps,
            "tally": [[t.passes, _plain(t.first), _plain(t.last)] for t in self._tally.values()],
        }

    def go_on(self, counts: Mapping[str, Any], split: Split) -> None:
        """Count on from what `counts` gave. split: where batches are from."""
        self._passes, self._steps = counts["passes"], counts["steps"]
        self._own.total = counts["own"]
        for passes, first, last in counts["tally"]:
            tallied = Tallied(Batch(**first, split=split), Batch(**last, split=split), passes)
            self._tally[tallied.first.shapes] = tallied

    def flops(self) -> float:
        """Of all counted steps; not a number if torch cannot count them, or if two batches of the
        most frequent shapes differ although model and loss are said to be steady."""
        steps = self._steps if self._steady_optimizer else 1
        total = self._passes + self._own.total * steps * self._processes
        if not self._tally:
            return total
        most = max(self._tally.values(), key=_passes)
        if self._count(most.last) != self._count(most.first):
            return math.nan
        alike: dict[Any, list[Tallied]] = {}
        for tallied in self._tally.values():
            alike.setdefault(_sizes(tallied.first), []).append(tallied)
        return total + sum(map(self._of_alike, alike.values()))

    def _of_alike(self, tallied: Sequence[Tallied]) -> float:
        """Of batches of one size. As many are counted as tell all others, and of these the most
        frequent and the longest; if a polynomial is wrong for one of the two, all are."""
        found, total, rest = Polynomial(), 0.0, []
        for each in tallied:
            if found.at(_lengths(each.first)) is not None:
                rest.append(each)
            elif math.isfinite(one := self._count(each.first)):
                found.add(_lengths(each.first), int(one))
                total += each.passes * one
            else:
                return math.nan
        told = {id(each): float(found.at(_lengths(each.first)) or 0) for each in rest}
        held = [max(rest, key=key) for key in (_passes, _longest) if rest]
        right = all(self._count(each.first) == told[id(each)] for each in held)
        ones = (told[id(each)] if right else self._count(each.first) for each in rest)
        return total + sum(each.passes * one for each, one in zip(rest, ones, strict=True))

    def _tallied(self, batch: Batch) -> None:
        tallied = self._tally.setdefault(batch.shapes, Tallied(batch, batch))
        tallied.passes, tallied.last = tallied.passes + 1, batch

    def _count(self, batch: Batch) -> float:
        """Of one pass, which leaves no trace; not a number if it fails."""
        counter = Operations()
        try:
            with untouched(self._model, self._model.buffers()), torch.enable_grad(), counter:
                self._model.train()
                self._gradient(batch)
        except Exception:  # training is worth more than this figure
            return math.nan
        return counter.total


def _passes(tallied: Tallied) -> int:
    return tallied.passes


def _longest(tallied: Tallied) -> int:
    return sum(_lengths(tallied.first))


def _sizes(batch: Batch) -> Any:
    """The number of examples of each array, and whether the batch is full: another kernel may be
    used then."""
    *arrays, full = batch.shapes
    return (*(shape and shape[0] for shape in arrays), full)


def _lengths(batch: Batch) -> list[int]:
    return [length for shape in batch.shapes[:-1] if shape for length in shape[1:]]


def _plain(batch: Batch) -> dict[str, Any]:
    """A batch without its split."""
    return {each.name: getattr(batch, each.name) for each in fields(batch) if each.name != "split"}


@contextmanager
def untouched(model: nn.Module, tensors: Iterable[Tensor]) -> Iterator[None]:
    """Then these tensors, the gradients, the mode and all generators are as before."""
    kept = list(tensors)
    copies = [tensor.detach().clone() for tensor in kept]
    weights, training = list(model.parameters()), model.training
    gradients = [p.grad for p in weights]
    devices = sorted({p.device.index for p in weights if p.device.type == "cuda"})
    pythons, numpys = random.getstate(), np.random.get_state()
    for p in weights:
        p.grad = None
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)
        model.train(training)
        for p, gradient in zip(weights, gradients, strict=True):
            p.grad = gradient
        with torch.no_grad():
            torch._foreach_copy_(kept, copies) if kept else None
