"""The loss on labels that are drawn from the model's own distribution."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import msbench
from msbench import IGNORE, Batch

Loss = Callable[[Any, Batch], tuple[Tensor, Tensor]]


def on_sampled_labels(loss: Loss) -> Loss:
    """The loss with labels drawn from the model's logits in place of the targets.

    The square of its gradient estimates the diagonal of the Gauss-Newton matrix (Martens, 2020; in
    Sophia-G: Liu et al., 2023). A forward pass that the loss makes over the whole batch is the one
    that labels were drawn from, under the same dropout masks. Inputs stay as they are, and a place
    without a target gets none. A loss of other references than targets is as it was.
    """

    def sampled(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(batch)
        drawn = replace(batch, target=labels_from(logits, batch.target))
        return loss(_Recalled(model, drawn, logits), drawn)

    return sampled


def labels_from(logits: Tensor, target: Tensor) -> Tensor:
    """(..., classes) logits -> (...) labels from their softmax, IGNORE where the target is."""
    if logits.shape[:-1] != target.shape:
        raise msbench.MsbenchError(
            f"labels can only be sampled where each target has its logits, not for targets of "
            f"shape {tuple(target.shape)} and logits of shape {tuple(logits.shape)}"
        )
    shares = logits.detach().float().softmax(-1)
    # The first of exponential clocks to ring; unlike `multinomial`, no check waits for the device.
    labels = (shares / torch.empty_like(shares).exponential_()).argmax(-1)
    return labels.masked_fill_(target == IGNORE, IGNORE)


class _Recalled:
    """To a loss it is the model, which for the batch has its logits already, once."""

    def __init__(self, model: Any, batch: Batch, logits: Tensor):
        self._model, self._batch, self._logits = model, batch, [logits]

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, batch: Batch) -> Any:
        own = self._batch
        same = batch.source is own.source and batch.input is own.input
        return self._logits.pop() if same and self._logits else self._model(batch)
