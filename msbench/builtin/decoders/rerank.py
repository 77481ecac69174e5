"""Decoders that write several outputs and choose among them by a score or by agreement.

An output is a list of token ids without BEGIN and END.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

import msbench
from msbench import Batch, Decoder, Task
from msbench.builtin.decoders.beam import beam
from msbench.builtin.decoders.pairwise_metrics import TABLES
from msbench.builtin.decoders.second_model import SecondModel
from msbench.builtin.generation import sample
from msbench.builtin.losses.pointwise import Loss, cross_entropy
from msbench.builtin.scoring import answered, owners, scores_of, taken
from msbench.builtin.types import MixingWeight, Size, UpTo10

Output = list[int]

Score = Callable[[Any, Batch, Sequence[Output]], Sequence[float]]
"""(model, batch, one output for each of its examples) -> scores, higher is better."""


def rerank(
    task: Task,
    decoder: Any = None,
    count: Size = 8,
    by: Literal["score", "loss", "model"] = "score",
    length_penalty: UpTo10 = 1.0,
    loss: Any = None,
    model: Any = None,
    passes: Size = 500,
    weight: MixingWeight = 0.5,
) -> Decoder:
    """The best of several outputs, y = argmin L(theta, y) among them.

    decoder: what writes them, `beam` (its n best; the default, as wide as `count`) or `sample`.
    by: `score`, log-probability / length ** length_penalty; `loss`, the least mean loss of the
    output as if it were the reference (cross-entropy by default, which is nearly the score with a
    length_penalty of 1; not a loss that looks at rewards); `model`, the score mixed with that of a
    second model, which counts with `weight` and is trained on the same data for `passes` before
    the clock starts (Ranzato et al., 2016; Yee et al., 2019, rerank by other models).
    """
    writer = _writer(decoder, task, lambda: beam(count))
    if by != "model" and model is not None:
        raise msbench.MsbenchError(f"rerank by {by} has no use for a second model")
    if by != "loss" and loss is not None:
        raise msbench.MsbenchError(f"rerank by {by} has no use for a loss")
    score = by_length(length_penalty, task)
    if by == "score":
        return Rerank(writer, count, score)
    if by == "loss":
        measure = cross_entropy() if loss is None else msbench.supplied(loss, task=task)
        return Rerank(writer, count, _by_loss(measure))
    if model is None:
        raise msbench.MsbenchError(
            'rerank by model needs a second one, such as model = {name = "encoder-decoder"}'
        )
    second = SecondModel(task, model, passes)
    return Rerank(writer, count, _mixed(second, score, weight), second)


@dataclass(frozen=True)
class Rerank:
    """See `rerank`."""

    writer: Any
    count: int
    score: Score
    second: SecondModel | None = None

    def calibrate(self, model: nn.Module) -> None:
        """Calibrate the writer, and train the second model, if there is one."""
        _calibrate(self.writer, model)
        _calibrate(self.second, model)

    def __call__(self, model: Any, batch: Batch) -> list[Output]:
        """The best output of each source; the first of equals."""
        groups = [distinct(outputs) for outputs in self.writer.several(model, batch, self.count)]
        candidates = taken(batch, owners(map(len, groups)))
        with torch.no_grad():
            scores = iter(self.score(model, candidates, list(chain(*groups))))
        best = []
        for group in groups:
            own = list(islice(scores, len(group)))
            best.append(group[max(range(len(group)), key=own.__getitem__)])
        return best


def mbr(
    task: Task,
    decoder: Any = None,
    count: Size = 16,
    utility: Literal["chrf", "bleu"] = "chrf",
) -> Decoder:
    """Minimum Bayes risk: of several outputs the one that the others agree with most (Kumar and
    Byrne, 2004; Eikema and Aziz, 2020).

    decoder: what writes them, `sample` (the default) or `beam`. utility: how much one text agrees
    with another, as sacrebleu has it. An output that was drawn twice counts twice.
    """
    if task.spell is None:
        raise msbench.MsbenchError("mbr compares texts, and this task has no spell()")
    return MBR(_writer(decoder, task, sample), count, utility, task)


@dataclass(frozen=True)
class MBR:
    """See `mbr`."""

    writer: Any
    count: int
    utility: str
    task: Task

    def calibrate(self, model: nn.Module) -> None:
        """Calibrate the writer."""
        _calibrate(self.writer, model)

    def __call__(self, model: Any, batch: Batch) -> list[Output]:
        """The best output of each source; the first of equals."""
        assert self.task.spell is not None
        best = []
        written = self.writer.several(model, batch, self.count)
        for outputs, known in zip(written, batch.spelling, strict=True):
            group = distinct(outputs)
            weights = [outputs.count(each) for each in group]
            table = TABLES[self.utility](self.task.spell(group, [known] * len(group)))
            # Rounded, so that rounding errors do not decide between equals.
            utilities = (table @ np.array(weights) / sum(weights)).round(9)
            best.append(group[int(utilities.argmax())])
        return best


def distinct(outputs: Sequence[Output]) -> list[Output]:
    """Every output once, in the order of first occurrence."""
    return [list(each) for each in dict.fromkeys(map(tuple, outputs))]


def by_length(length_penalty: float, task: Task) -> Score:
    """log-probability / length ** length_penalty; END, where there is one, counts as length."""

    def score(model: Any, batch: Batch, outputs: Sequence[Output]) -> list[float]:
        logs = scores_of(model, batch, outputs, task.vocabulary)
        lengths = [min(len(output) + 1, model.max_length) for output in outputs]
        return [log / length**length_penalty for log, length in zip(logs, lengths, strict=True)]

    return score


def _by_loss(loss: Loss) -> Score:
    """Minus the mean loss, one output at a time, because a loss is a sum over its batch."""

    def score(model: Any, batch: Batch, outputs: Sequence[Output]) -> list[float]:
        scores = []
        for row, output in enumerate(outputs):
            example = answered(taken(batch, [row]), [output], model.max_length)
            total, units = loss(model, example)
            scores.append(-float(total) / max(1.0, float(units)))
        return scores

    return score


def _mixed(second: SecondModel, score: Score, weight: float) -> Score:
    def mixed(model: Any, batch: Batch, outputs: Sequence[Output]) -> list[float]:
        first, other = score(model, batch, outputs), score(second.model, batch, outputs)
        return [(1 - weight) * a + weight * b for a, b in zip(first, other, strict=True)]

    return mixed


def _writer(decoder: Any, task: Task, default: Callable[[], Any]) -> Any:
    """The decoder that writes the candidates; MsbenchError if it gives one output only."""
    writer = default() if decoder is None else msbench.supplied(decoder, task=task)
    if not hasattr(writer, "several"):
        raise msbench.MsbenchError("what is chosen among must come from beam or sample")
    return writer


def _calibrate(part: Any, model: nn.Module) -> None:
    if hasattr(part, "calibrate"):
        part.calibrate(model)
