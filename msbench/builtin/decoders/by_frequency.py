"""The likelihood of the rare, the medium or the frequent tokens of texts."""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from msbench import Batch, Decoder, Task
from msbench.builtin.choosing import check_numbers
from msbench.builtin.scoring import token_losses

GROUPS = ("frequent", "medium", "rare")


def likelihood_by_frequency(
    task: Task, of: Literal["frequent", "medium", "rare"] = "rare"
) -> Decoder:
    """(B,) log-probability, in nats, of those tokens of each text that are as rare as that.

    Each group is a third of what training predicts: the most frequent tokens, the rarest ones and
    those in between. Where SGD falls behind Adam, it does on the rare ones (Kunstner et al., 2024).
    Bits per byte of the three groups add up to those of `likelihood`.
    """
    chosen = torch.from_numpy(groups(task) == GROUPS.index(of))

    def decode(model: Any, batch: Batch) -> Tensor:
        losses = token_losses(model(batch).float(), batch.target).double()
        logs = -(losses * chosen.to(losses.device)[batch.target.clamp(min=0)]).sum(1)
        check_numbers(~logs.isnan())
        return logs

    return decode


def groups(task: Task) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(V,) place in GROUPS of each token: thirds of all targets in training, the most frequent
    tokens first. A token that training lacks is rare."""
    target = task.train.target
    counts = np.bincount(target[target >= 0], minlength=task.vocabulary)
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    found = np.empty(len(counts), np.int64)
    found[order] = np.minimum(len(GROUPS) * before // max(1, counts.sum()), len(GROUPS) - 1)
    return found
