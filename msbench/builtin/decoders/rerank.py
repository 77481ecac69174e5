"""Decoders that write several outputs and choose among them: by a score, or by agreement.

An output is a list of token ids without BEGIN and END.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

import msbench
from msbench import Batch, Decoder, Task
from msbench.builtin.decoders.beam import beam
from msbench.builtin.decoders.pairwise_metrics import TABLES
from msbench.builtin.decoders.second_model import Second
from msbench.builtin.generation import sample
from msbench.builtin.losses.pointwise import Loss, cross_entropy
from msbench.builtin.scoring import answered, scores_of, taken
from msbench.builtin.types import MixingWeight, Size, UpTo10

Output = list[int]


Score = Callable[[Any, Batch, Sequence[Output]], Sequence[float]]
"""(model, batch, one output for each of its examples) -> scores, the more the better."""


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
    output as if it were the right one (cross-entropy by default, which is nearly the score with a
    length_penalty of 1; not a loss that looks at rewards); `model`, the score mixed with
    that of a second model, `weight` of it, which is trained on the same data for so many passes
    before the clock starts (Ranzato et al., 2016; Yee et al., 2019, rerank by other models).
    """
    writes = _several(decoder, task, lambda: beam(count))
    if by != "model" and model is not None:
        raise msbench.MsbenchError(f"rerank by {by} has no use for a second model")
    if by != "loss" and loss is not None:
        raise msbench.MsbenchError(f"rerank by {by} has no use for a loss")
    if by == "score":
        return Rerank(writes, count, by_length(length_penalty, task))
    if by == "loss":
        judge = cross_entropy() if loss is None else msbench.supplied(loss, task=task)
        return Rerank(writes, count, _less_loss(judge))
    if model is None:
        raise msbench.MsbenchError(
            'rerank by model needs a second one, such as model = {name = "encoder-decoder"}'
        )
    second = Second(task, model, passes)
    return Rerank(writes, count, _mixed(second, by_length(length_penalty, task), weight), second)


@dataclass(frozen=True)
class Rerank:
    """See `rerank`."""

    writes: Any
    count: int
    score: Score
    second: Second | None = None

    def calibrate(self, model: nn.Module) -> None:
        """Train the second model, if there is one."""
        _calibrate(self.writes, model)
        if self.second is not None:
            self.second.calibrate(model)

    def __call__(self, model: Any, batch: Batch) -> list[Output]:
        """The best of each source; of equals the first."""
        groups = [distinct(found) for found in self.writes.several(model, batch, self.count)]
        owners = [row for row, group in enumerate(groups) for _ in group]
        with torch.no_grad():
            scores = list(self.score(model, taken(batch, owners), list(chain(*groups))))
        best = []
        for group in groups:
            mine, scores = scores[: len(group)], scores[len(group) :]
            best.append(group[max(range(len(group)), key=mine.__getitem__)])
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
    return MBR(_several(decoder, task, sample), count, utility, task)


@dataclass(frozen=True)
class MBR:
    """See `mbr`."""

    writes: Any
    count: int
    utility: str
    task: Task

    def calibrate(self, model: nn.Module) -> None:
        """Only what writes may need it."""
        _calibrate(self.writes, model)

    def __call__(self, model: Any, batch: Batch) -> list[Output]:
        """The best of each source; of equals the first."""
        assert self.task.spell is not None
        best = []
        written = self.writes.several(model, batch, self.count)
        for outputs, reference in zip(written, batch.references, strict=True):
            group = distinct(outputs)
            weights = [outputs.count(each) for each in group]
            table = TABLES[self.utility](self.task.spell(group, [reference] * len(group)))
            # To rounding, so that equals are equal.
            worth = (table @ np.array(weights) / sum(weights)).round(9)
            best.append(group[int(worth.argmax())])
        return best


def distinct(outputs: Sequence[Output]) -> list[Output]:
    """Each once, in order."""
    return [list(each) for each in dict.fromkeys(map(tuple, outputs))]


def by_length(length_penalty: float, task: Task) -> Score:
    """log-probability / length ** length_penalty; the length counts END where there is one."""

    def score(model: Any, batch: Batch, outputs: Sequence[Output]) -> list[float]:
        logs = scores_of(model, batch, outputs, task.vocabulary)
        lengths = [min(len(output) + 1, model.max_length) for output in outputs]
        pairs = zip(logs, lengths, strict=True)
        return [each / length**length_penalty for each, length in pairs]

    return score


def _less_loss(loss: Loss) -> Score:
    """Minus the mean loss, one output at a time, because a loss is a sum over its batch."""

    def score(model: Any, batch: Batch, outputs: Sequence[Output]) -> list[float]:
        found = []
        for row, output in enumerate(outputs):
            one = answered(taken(batch, [row]), [output], model.max_length)
            total, units = loss(model, one)
            found.append(-float(total) / max(1.0, float(units)))
        return found

    return score


def _mixed(second: Second, plain: Score, weight: float) -> Score:
    def score(model: Any, batch: Batch, outputs: Sequence[Output]) -> list[float]:
        mine, other = plain(model, batch, outputs), plain(second.model, batch, outputs)
        return [(1 - weight) * a + weight * b for a, b in zip(mine, other, strict=True)]

    return score


def _several(decoder: Any, task: Task, default: Callable[[], Any]) -> Any:
    """The decoder that writes, made; MsbenchError if it gives one output only."""
    made = default() if decoder is None else msbench.supplied(decoder, task=task)
    if not hasattr(made, "several"):
        raise msbench.MsbenchError("what is chosen among must come from beam or sample")
    return made


def _calibrate(decoder: Any, model: nn.Module) -> None:
    if hasattr(decoder, "calibrate"):
        decoder.calibrate(model)
