"""Losses: (model, batch) -> (sum over target units, how many there were)."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional

import msbench

Loss = Callable[[Any, msbench.Batch], tuple[Tensor, Tensor]]


def cross_entropy() -> Loss:
    """Negative log-likelihood in nats; logits (..., classes), targets (...)."""

    def loss(model: Any, batch: msbench.Batch) -> tuple[Tensor, Tensor]:
        logits, target = model(batch).flatten(0, -2), batch.target.flatten()
        total = functional.cross_entropy(
            logits, target, ignore_index=msbench.IGNORE, reduction="sum"
        )
        return total, (target != msbench.IGNORE).sum()

    return loss
