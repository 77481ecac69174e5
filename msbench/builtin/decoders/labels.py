"""Decoders that label: texts, pairs of them, and words.

`factory([task,] **options) -> (model, batch) -> predictions`: (B, C) log-probabilities of the
labels of texts, or (B, S) ids of tags. Shapes: B examples, C classes, S source positions. Of
equally likely labels, the first one is predicted.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import msbench
from msbench import Batch, Decoder, MsbenchError, Task
from msbench.builtin.choosing import check_numbers
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.types import FiniteNotNegative, Size

DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.RNNBase,
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
)
"""Modules of torch with a dropout of their own, and the layer that skips the dropouts inside it
unless it is itself in training mode."""

WIDEST = math.log(100)
"""The logarithm of the temperature is searched from minus this to this."""

BATCH = 64
"""Validation examples that are predicted together."""


def argmax() -> Decoder:
    """The label with the highest logit: (B, C) log-probabilities, or (B, S) tag ids."""

    def decode(model: Any, batch: Batch) -> Tensor:
        logits = _precise(model(batch))
        return logits.log_softmax(-1) if logits.ndim == 2 else logits.argmax(-1)

    return decode


def prior_corrected(task: Task, strength: FiniteNotNegative = 1.0) -> Decoder:
    """Logits minus `strength` times the log prior of each label in training, normalized.

    With strength 1, what the model would say if all labels were equally common (Saerens et al.,
    2002; Menon et al., 2021, post-hoc logit adjustment), which macro-F1 asks for more than
    accuracy does; 0 is argmax. A label that training lacks counts as if it occurred once.
    """
    labels = task.train.target[task.train.target >= 0]
    counts = np.bincount(labels, minlength=task.classes).clip(min=1)
    offset = torch.from_numpy(strength * np.log(counts / counts.sum()))

    def decode(model: Any, batch: Batch) -> Tensor:
        logits = _precise(model(batch))
        return (logits - offset.to(logits)).log_softmax(-1)

    return decode


def temperature(task: Task) -> "Temperature":
    """Log-probabilities of logits / T, with the T under which the validation split is likeliest.

    Guo et al., 2017. Labels are those of argmax; only their probabilities change.
    """
    return Temperature(task)


def mc_dropout(passes: Size = 8) -> Decoder:
    """(B, C) logs of the mean probabilities of `passes` forward passes with dropout on.

    Gal and Ghahramani, 2016. Only torch's modules with dropout are switched to training, so norms
    stay as in prediction; a model without dropout gives argmax's log-probabilities exactly.
    """

    def decode(model: Any, batch: Batch) -> Tensor:
        dropouts = (each for each in model.modules() if isinstance(each, DROPOUTS))
        with switched(dropouts, training=True):
            logs = torch.stack([_precise(model(batch)).log_softmax(-1) for _ in range(passes)])
        # Relative to the highest, so that passes that agree give exactly their common value.
        top = logs.amax(0).clamp(min=torch.finfo(logs.dtype).min)
        return top + (logs - top).exp().mean(0).log()

    return decode


def candidate_loss(task: Task, loss: Any = None) -> Decoder:
    """The label of the lowest loss: y = argmin over labels y of L(theta, y), tried one by one.

    loss: a loss, else the plain cross-entropy, for which this is argmax (LeCun et al., 2006: every
    loss is an energy). (B, C) log-probabilities: those of a softmax over minus the losses. The
    model is run once a batch, and the loss gets a stand-in with that example's logits, so it must
    look at logits and targets alone, as those of `losses` do in evaluation mode.
    """
    measure = msbench.supplied(cross_entropy if loss is None else loss, task=task)

    def decode(model: Any, batch: Batch) -> Tensor:
        logits = _precise(model(batch))
        losses = torch.empty_like(logits)
        labels = torch.arange(logits.shape[1], device=logits.device)
        for row in range(len(logits)):
            stand_in, example = _StandIn(logits[row : row + 1]), batch.shard(row, len(logits))
            for label in range(len(labels)):
                candidate = replace(example, target=labels[label : label + 1])
                total, count = measure(stand_in, candidate)
                losses[row, label] = total / count
        return (-losses).log_softmax(-1)

    return decode


class Temperature:
    """The decoder of `temperature`; it must be calibrated before it predicts."""

    def __init__(self, task: Task):
        self.task = task
        self.temperature = math.nan

    @torch.inference_mode()
    def calibrate(self, model: nn.Module) -> None:
        """Fit the temperature: the lowest mean negative log-likelihood of the validation split.

        That has a single minimum, for it is convex in 1 / T.
        """
        from scipy.optimize import minimize_scalar

        device = next(model.parameters()).device
        logits, targets = [], []
        with switched(model.modules(), training=False):
            for arrays in msbench.evaluation_batches(self.task.validation, BATCH):
                batch = arrays.map(lambda array: torch.from_numpy(array).to(device))
                logits.append(model(batch).double())
                targets.append(batch.target)
        all_logits, target = torch.cat(logits), torch.cat(targets)

        def mean_loss(log_temperature: float) -> float:
            return float(functional.cross_entropy(all_logits / math.exp(log_temperature), target))

        check_numbers(torch.tensor(mean_loss(0.0)).isfinite())
        fit = minimize_scalar(
            mean_loss, bounds=(-WIDEST, WIDEST), method="bounded", options={"xatol": 1e-7}
        )
        self.temperature = math.exp(min(0.0, fit.x, key=mean_loss))

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        """(B, C) log-probabilities; MsbenchError if nothing was calibrated."""
        if math.isnan(self.temperature):
            raise MsbenchError(
                "the decoder 'temperature' has none yet: call calibrate(model) before it predicts"
            )
        return (_precise(model(batch)) / self.temperature).log_softmax(-1)


@contextmanager
def switched(modules: Iterable[nn.Module], training: bool) -> Iterator[None]:
    """These modules, not those inside them, in this mode; then each in the mode it was in."""
    before = [(module, module.training) for module in modules]
    try:
        for module, _ in before:
            module.training = training
        yield
    finally:
        for module, mode in before:
            module.training = mode


class _StandIn:
    """A model that was run already."""

    training = False

    def __init__(self, logits: Tensor):
        self.logits = logits

    def __call__(self, batch: Batch) -> Tensor:
        return self.logits


def _precise(logits: Tensor) -> Tensor:
    """In single precision at least; MsbenchError if one is NaN."""
    check_numbers(~logits.isnan())
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
