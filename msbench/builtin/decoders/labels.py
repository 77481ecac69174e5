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
from msbench.builtin.generation import check_numbers, not_numbers
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
"""Modules of torch that drop something themselves, and the layer that skips its dropouts, whatever
their mode, unless it is itself in training."""


WIDEST = math.log(100)
"""The logarithm of a temperature is sought from minus this to this."""


BATCH = 64
"""Examples of the validation split that are predicted together."""


def argmax() -> Decoder:
    """The label with the highest logit: (B, C) log-probabilities, or (B, S) tag ids."""

    def decode(model: Any, batch: Batch) -> Tensor:
        logits = _precise(model(batch))
        return logits.log_softmax(-1) if logits.ndim == 2 else logits.argmax(-1)

    return decode


def prior_corrected(task: Task, strength: FiniteNotNegative = 1.0) -> Decoder:
    """Logits less `strength` times the log prior of each label in training, made to add up to 1.

    With strength 1, what the model would say if all labels were equally common (Saerens et al.,
    2002; Menon et al., 2021, post-hoc logit adjustment), which macro-F1 asks for more than
    accuracy does; 0 is argmax. A label that training lacks counts as one that it has once.
    """
    known = task.train.target[task.train.target >= 0]
    counts = np.bincount(known, minlength=task.classes).clip(min=1)
    offset = torch.from_numpy(strength * np.log(counts / counts.sum()))

    def decode(model: Any, batch: Batch) -> Tensor:
        logits = _precise(model(batch))
        return (logits - offset.to(logits)).log_softmax(-1)

    return decode


def temperature(task: Task) -> "Temperature":
    """Log-probabilities of logits / T, with the T that validation is likeliest under.

    Guo et al., 2017. Labels are argmax's; what changes is how sure it is of them.
    """
    return Temperature(task)


def mc_dropout(passes: Size = 8) -> Decoder:
    """(B, C) logs of the mean probabilities of `passes` forward passes with dropout on.

    Gal and Ghahramani, 2016. Only torch's modules with dropout are switched, so that norms stay as
    they predict; a model that drops nothing gives argmax's log-probabilities exactly.
    """

    def decode(model: Any, batch: Batch) -> Tensor:
        dropouts = (each for each in model.modules() if isinstance(each, DROPOUTS))
        with switched(dropouts, training=True):
            logs = torch.stack([_precise(model(batch)).log_softmax(-1) for _ in range(passes)])
        # Around the highest: passes that agree give exactly what each of them does.
        top = logs.amax(0).clamp(min=torch.finfo(logs.dtype).min)
        return top + (logs - top).exp().mean(0).log()

    return decode


def candidate_loss(task: Task, loss: Any = None) -> Decoder:
    """The label of the lowest loss: y = argmin over labels y of L(theta, y), tried one by one.

    loss: a loss, else the plain cross-entropy, for which this is argmax (LeCun et al., 2006: every
    loss is an energy). (B, C) log-probabilities: those of a softmax over minus the losses. The
    model is run once a batch, and a loss gets a stand-in with that example's logits: it must be one
    that looks at logits and targets alone, as those of `losses` do when nothing is trained.
    """
    measure = msbench.supplied(cross_entropy if loss is None else loss, task=task)

    def decode(model: Any, batch: Batch) -> Tensor:
        logits = _precise(model(batch))
        losses = torch.empty_like(logits)
        labels = torch.arange(logits.shape[1], device=logits.device)
        for row in range(len(logits)):
            stand_in, one = _Answered(logits[row : row + 1]), batch.shard(row, len(logits))
            for label in range(len(labels)):
                candidate = replace(one, target=labels[label : label + 1])
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

        That has one valley only, for it is convex in 1 / T.
        """
        from scipy.optimize import minimize_scalar

        device = next(model.parameters()).device
        logits, targets = [], []
        with switched(model.modules(), training=False):
            for arrays in msbench.evaluation_batches(self.task.validation, BATCH):
                batch = arrays.map(lambda array: torch.from_numpy(array).to(device))
                logits.append(model(batch).double())
                targets.append(batch.target)
        every, right = torch.cat(logits), torch.cat(targets)

        def lost(logarithm: float) -> float:
            return float(functional.cross_entropy(every / math.exp(logarithm), right))

        check_numbers(torch.tensor(lost(0.0)))
        found = minimize_scalar(
            lost, bounds=(-WIDEST, WIDEST), method="bounded", options={"xatol": 1e-7}
        )
        self.temperature = math.exp(min(0.0, found.x, key=lost))

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        """(B, C) log-probabilities; MsbenchError if nothing was calibrated."""
        if math.isnan(self.temperature):
            raise MsbenchError(
                "the decoder 'temperature' has none yet: call calibrate(model) before it predicts"
            )
        return (_precise(model(batch)) / self.temperature).log_softmax(-1)


@contextmanager
def switched(modules: Iterable[nn.Module], training: bool) -> Iterator[None]:
    """The modules, without those inside them, in this mode; then each as it was."""
    before = [(module, module.training) for module in modules]
    try:
        for module, _ in before:
            module.training = training
        yield
    finally:
        for module, mode in before:
            module.training = mode


class _Answered:
    """A model that was run already."""

    training = False

    def __init__(self, logits: Tensor):
        self.logits = logits

    def __call__(self, batch: Batch) -> Tensor:
        return self.logits


def _precise(logits: Tensor) -> Tensor:
    """In single precision at the least; MsbenchError if they are no numbers."""
    if bool(logits.isnan().any()):
        raise not_numbers()
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
