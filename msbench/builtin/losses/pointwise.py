"""Losses of one target unit (a label, a token) at a time, for every kind of task.

A loss is (model, batch) -> (sum over target units, how many there were). Losses of whole outputs
are in `losses.sequence`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import msbench
from msbench.builtin.types import NotNegative, Share

Loss = Callable[[Any, msbench.Batch], tuple[Tensor, Tensor]]


def cross_entropy(label_smoothing: Share = 0.0) -> Loss:
    """Negative log-likelihood in nats; logits (..., classes), targets (...).

    label_smoothing: the share of the target that is spread over all classes (Szegedy et al., 2016).
    """

    def loss(model: Any, batch: msbench.Batch) -> tuple[Tensor, Tensor]:
        logits, target = model(batch).flatten(0, -2), batch.target.flatten()
        total = functional.cross_entropy(
            logits,
            target,
            ignore_index=msbench.IGNORE,
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        return total, (target != msbench.IGNORE).sum()

    return loss


def mse() -> Loss:
    """Squared distance between the probabilities and the one-hot target, summed over classes.

    That is Brier's score (1950), from 0 to 2 and lowest at the true probabilities. (Hui and
    Belkin, 2021, fit the logits themselves to the one-hot target; decoders that need probabilities
    could not use those.)
    """

    def squared(logits: Tensor, target: Tensor) -> Tensor:
        probabilities = logits.softmax(-1)
        of_target = probabilities.gather(1, target[:, None])[:, 0]
        return probabilities.square().sum(-1) - 2 * of_target + 1  # without a one-hot array

    return _over_units(squared)


def focal(gamma: NotNegative = 2.0) -> Loss:
    """(1 - p) ** gamma times the cross-entropy, where p is the probability of the target.

    Units that the model is sure of count little (Lin et al., 2017). gamma 0 is cross-entropy.
    """

    def focused(logits: Tensor, target: Tensor) -> Tensor:
        losses = functional.cross_entropy(logits, target, reduction="none")
        # 1 - p without cancellation, and above 0, where a power below 1 has an infinite slope.
        unsure = (-torch.expm1(-losses)).clamp(min=torch.finfo(losses.dtype).tiny)
        return unsure**gamma * losses

    return _over_units(focused)


def r_drop(alpha: NotNegative = 1.0) -> Loss:
    """Cross-entropy under two dropout masks, plus the divergence of the two predictions.

    Liang et al., 2021, as in their code: the mean of both cross-entropies + alpha times the mean
    of both Kullback-Leibler divergences. Two forward passes and one gradient; in evaluation mode
    (`model.eval()`) it is the plain cross-entropy of one forward pass.
    """
    plain = cross_entropy()

    def loss(model: Any, batch: msbench.Batch) -> tuple[Tensor, Tensor]:
        if not model.training:
            return plain(model, batch)
        (first, target, known), (second, _, _) = (_units(model, batch) for _ in range(2))
        logs = first.log_softmax(-1), second.log_softmax(-1)
        right = sum(each.gather(1, target[:, None])[:, 0] for each in logs)
        # KL(p, q) + KL(q, p), in one sum
        apart = ((logs[0].exp() - logs[1].exp()) * (logs[0] - logs[1])).sum(-1)
        return _total((alpha * apart - right) / 2, known)

    return loss


def _over_units(measure: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """The loss that sums (units, classes) logits and (units,) class ids -> (units,) numbers."""

    def loss(model: Any, batch: msbench.Batch) -> tuple[Tensor, Tensor]:
        logits, target, known = _units(model, batch)
        return _total(measure(logits, target), known)

    return loss


def _units(model: Any, batch: msbench.Batch) -> tuple[Tensor, Tensor, Tensor]:
    """(places, classes) logits, (places,) class ids, 0 where nothing is to be predicted, and
    (places,) whether something is.

    No place is left out, though it counts nothing: how many there are would be known on the device
    alone, and whoever asks must wait for it.
    """
    logits, target = model(batch).flatten(0, -2), batch.target.flatten()
    known = target != msbench.IGNORE
    return logits, target.where(known, 0), known


def _total(numbers: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the numbers of known places, and how many these are."""
    return numbers.where(known, 0.0).sum(), known.sum()
