"""Who owns what a model counts while it trains, such as the running statistics of BatchNorm.

Training does: the first pass of a step, over each of its examples once, at the weights that the
step begins with. Further passes of the step, at other weights (SAM, extragradient) or on other
labels, leave every buffer as it was. Where an optimizer evaluates other weights than it trains
(averages, slow weights), the running statistics are taken anew with these weights, as Izmailov et
al. (2018) do for SWA, and training goes on with its own.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

import msbench
from msbench import Batch, Split

BATCHES, SIZE = 64, 64
"""How many training batches statistics are taken from at most, and of how many examples."""


class Owned:
    """The buffers of a model, while a step is taken that may need several passes."""

    def __init__(self, model: nn.Module):
        stored = model.state_dict().keys()  # others are tables that training does not change
        self._buffers = [each for name, each in model.named_buffers() if name in stored]
        self._copies: list[Tensor] | None = None
        self._seen: set[int] = set()

    def before_pass(self, index: int) -> None:
        """A pass begins, over the shard of that number."""
        if index not in self._seen:
            self.settle()
        elif self._buffers and self._copies is None:
            self._copies = [each.clone() for each in self._buffers]
        self._seen.add(index)

    def settle(self) -> None:
        """Undo what further passes did to the buffers."""
        if self._copies is not None:
            with torch.no_grad():
                torch._foreach_copy_(self._buffers, self._copies)
            self._copies = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around a step."""
        try:
            yield
        finally:
            self.settle()
            self._seen.clear()


class Statistics:
    """The running statistics of a model's normalization layers, for evaluating other weights."""

    def __init__(self, model: nn.Module):
        self._model = model
        self._layers = [
            each
            for each in model.modules()
            if isinstance(each, _NormBase) and each.running_mean is not None
        ]
        self._aside: list[Tensor] | None = None

    def evaluate(self, switch: Callable[[], None], batches: Callable[[], Iterable[Batch]]) -> None:
        """Let the optimizer put the weights into the model that it evaluates; if they are others,
        take the statistics over these batches."""
        before = [p.detach().clone() for p in self._model.parameters()] if self._layers else []
        switch()
        pairs = zip(before, self._model.parameters(), strict=bool(before))
        if self._layers and not all(torch.equal(old, new) for old, new in pairs):
            if self._aside is None:
                self._aside = [each.clone() for each in self._tensors()]
            retaken(self._model, self._layers, batches())

    def train(self, switch: Callable[[], None]) -> None:
        """Let the optimizer put back the weights that it trains, and put back their statistics."""
        switch()
        if self._aside is not None:
            with torch.no_grad():
                torch._foreach_copy_(self._tensors(), self._aside)
            self._aside = None

    def _tensors(self) -> list[Tensor]:
        return [buffer for layer in self._layers for buffer in layer.buffers(recurse=False)]


@torch.no_grad()
def retaken(model: nn.Module, layers: Iterable[_NormBase], batches: Iterable[Batch]) -> None:
    """Put the mean of every batch's statistics into the layers; everything else is evaluated, so
    that nothing is drawn (torch.optim.swa_utils.update_bn, which this follows, has dropout on)."""
    momenta = {layer: layer.momentum for layer in layers}
    training = {layer: layer.training for layer in momenta}
    for layer in momenta:
        layer.reset_running_stats()
        layer.momentum, layer.training = None, True
    try:
        for batch in batches:
            model(batch)
    finally:
        for layer, momentum in momenta.items():
            layer.momentum, layer.training = momentum, training[layer]


def statistics_batches(split: Split) -> Iterator[Batch]:
    """The same batches for every strategy, each full: some examples, spread over the split."""
    size = min(SIZE, len(split))
    endless = msbench.training_batches(split, size, msbench.stream(0, "statistics"))
    return islice(endless, min(BATCHES, len(split) // size))
