"""Losses that reward a generated text as a whole, by the metrics it is tested with.

Tokens are right or wrong one by one only for cross-entropy; what these losses need is that the
model already writes texts worth comparing, so they go on from a phase of cross-entropy. Each
example counts as one unit. In training, outputs are drawn from the model as it predicts (without
dropout) and their log-probabilities come from one ordinary forward pass. Otherwise the loss is the
risk, 1 - reward, of greedy output: deterministic, and what validation wants to know.

Shapes: B examples, K candidates of each. An output is a list of token ids without BEGIN and END.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from msbench import IGNORE, POINTS, Batch, MsbenchError, Task
from msbench.builtin.generation import draw, greedy
from msbench.builtin.losses.pointwise import Loss
from msbench.builtin.scoring import log_probabilities, right_outputs, taken
from msbench.builtin.types import MixingWeight, Positive, Size

Output = Sequence[int]


Judge = Callable[[Batch, Sequence[Output]], list[float]]
"""(batch, one output for each of its examples) -> their rewards."""


def self_critical(
    task: Task,
    reward: str = "chrf",
    mix: MixingWeight = 0.0,
    samples: Size = 4,
    temperature: Positive = 1.0,
) -> Loss:
    """REINFORCE whose baseline is the model's own greedy output (Rennie et al., 2017).

    What was drawn becomes likelier by as much as its reward exceeds that of the greedy output.
    reward: a metric that the task scores each example by, or `constant`, the control that nothing
    can be learned from. mix: weight of the cross-entropy of the reference, from 0 to 1. samples:
    outputs drawn for each source, whose mean is the gradient; the paper's one is noisy.
    """
    judge = judge_by(task, reward)

    def each(model: Any, batch: Batch) -> Tensor:
        size = len(batch.rows)
        index = _each([samples] * size)
        several = taken(batch, index)
        with predicting(model):
            best, drawn = greedy()(model, batch), draw(model, several, temperature)
        # Judged together, because what was drawn is often the greedy output itself.
        rewards = judge(taken(batch, [*range(size), *index]), [*best, *drawn])
        logs = log_probabilities(model, several, drawn, temperature)
        gained = logs.new_tensor(rewards[size:])
        baseline = logs.new_tensor(rewards[:size])
        return reinforced(logs.view(size, -1), gained.view(size, -1), baseline)

    return _loss(each, judge, mix)


def minimum_risk(
    task: Task,
    reward: str = "chrf",
    mix: MixingWeight = 0.0,
    samples: Size = 8,
    alpha: Positive = 1.0,
    temperature: Positive = 1.0,
    reference: bool = False,
) -> Loss:
    """The expected risk, 1 - reward, among a few candidates (Shen et al., 2016).

    The candidates of a source are the distinct ones among `samples` that are drawn, and with
    `reference` the right output too. They are weighted by p ** alpha, made to add up to 1.
    reward, mix: as in self-critical.
    """
    judge = judge_by(task, reward)

    def each(model: Any, batch: Batch) -> Tensor:
        several = taken(batch, _each([samples] * len(batch.rows)))
        with predicting(model):
            drawn = draw(model, several, temperature)
        right = right_outputs(batch, model.max_length) if reference else None
        groups = candidates(drawn, samples, right)
        counts = [len(group) for group in groups]
        distinct = taken(batch, _each(counts))
        outputs = list(chain.from_iterable(groups))
        logs = log_probabilities(model, distinct, outputs)
        rewards = logs.new_tensor(judge(distinct, outputs))
        return expected_risk(_rows(logs, counts, float("-inf")), _rows(rewards, counts, 0.0), alpha)

    return _loss(each, judge, mix)


def reinforced(logs: Tensor, rewards: Tensor, baseline: Tensor) -> Tensor:
    """(B, K) log-probabilities and rewards, (B,) baselines -> (B,) numbers whose gradient is the
    policy gradient, downhill."""
    return -((rewards - baseline[:, None]) * logs).mean(1)


def expected_risk(logs: Tensor, rewards: Tensor, alpha: float) -> Tensor:
    """(B, K) log-probabilities, -inf where there is no candidate, and rewards -> (B,) risks."""
    return ((alpha * logs).softmax(1) * (1 - rewards)).sum(1)


def judge_by(task: Task, reward: str) -> Judge:
    """Rewards from 0 to 1 by one of the task's metrics; MsbenchError if it has no such one.

    They come from `Task.score`, which the test is scored by. A metric of which less is better is
    turned round. The same output for the same example is scored once.
    """
    if reward == "constant":
        return lambda batch, outputs: [1.0] * len(outputs)
    known = task.score([[]], task.train.references[:1]).examples
    if reward not in known:
        raise MsbenchError(
            f"the task does not score each example by {reward!r}; "
            f"rewards are: {', '.join([*known, 'constant'])}"
        )
    scale = 100 if reward in POINTS else 1
    lower = reward in task.lower_is_better

    def judge(batch: Batch, outputs: Sequence[Output]) -> list[float]:
        keys = [(int(row), *output) for row, output in zip(batch.rows, outputs, strict=True)]
        places = {key: place for place, key in enumerate(keys)}
        references = batch.references
        scores = task.score(
            [outputs[place] for place in places.values()],
            [references[place] for place in places.values()],
        ).examples[reward]
        shares = [1 - score / scale if lower else score / scale for score in scores]
        found = dict(zip(places, shares, strict=True))
        return [found[key] for key in keys]

    return judge


def candidates(
    drawn: Sequence[Output], samples: int, right: Sequence[Output] | None
) -> list[list[Output]]:
    """Each example's distinct outputs: of `samples` drawn ones, and of the right one if given."""
    groups = [list(drawn[start : start + samples]) for start in range(0, len(drawn), samples)]
    if right is not None:
        groups = [[*group, one] for group, one in zip(groups, right, strict=True)]
    return [list(dict.fromkeys(map(tuple, group))) for group in groups]


@contextmanager
def predicting(model: Any) -> Iterator[None]:
    """The model as it predicts: without dropout and gradients; then as it was."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _loss(each: Callable[[Any, Batch], Tensor], judge: Judge, mix: float) -> Loss:
    """The loss from (model, batch) -> (B,) and the cross-entropy, with weight `mix`."""

    def loss(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        if model.training:
            losses = each(model, batch)
            if mix:
                losses = (1 - mix) * losses + mix * _token_loss(model, batch)
        else:
            losses = 1 - torch.tensor(judge(batch, greedy()(model, batch)))
        return losses.sum(), torch.tensor(len(losses), device=losses.device)

    return loss


def _token_loss(model: Any, batch: Batch) -> Tensor:
    """(B,) mean cross-entropy of the right output's tokens."""
    lost = functional.cross_entropy(
        model(batch).transpose(1, 2), batch.target, ignore_index=IGNORE, reduction="none"
    )
    units = (batch.target != IGNORE).sum(1).clamp(min=1)
    mean: Tensor = lost.sum(1) / units
    return mean


def _each(counts: Sequence[int]) -> list[int]:
    """0, 0, ..., 1, 1, ...: every position as often as its count says."""
    return [position for position, count in enumerate(counts) for _ in range(count)]


def _rows(values: Tensor, counts: list[int], fill: float) -> Tensor:
    """(sum of counts,) values -> (len(counts), longest), filled up."""
    rows = list(torch.split(values, counts))
    return pad_sequence(rows, batch_first=True, padding_value=fill)
