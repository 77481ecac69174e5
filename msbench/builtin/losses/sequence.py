"""Losses that reward generated outputs as a whole, by the metrics they are tested with.

They compare outputs that the model writes, so they follow a phase of cross-entropy, after which
those are worth comparing. Each example counts as one unit. In training, outputs are sampled from
the model without dropout, and their log-probabilities come from one ordinary forward pass. In
validation the loss is the risk, 1 - reward, of greedy output, which is deterministic.

Shapes: B examples, K candidates of each. An output is a list of token ids without BEGIN and END.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from msbench import IGNORE, POINTS, Batch, MsbenchError, Task
from msbench.builtin.generation import Sample, greedy
from msbench.builtin.losses.pointwise import Loss
from msbench.builtin.scoring import (
    Output,
    log_probabilities,
    owners,
    reference_outputs,
    taken,
    token_losses,
)
from msbench.builtin.types import MixingWeight, Positive, Size

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

    A sampled output becomes likelier by as much as its reward exceeds that of the greedy output.
    reward: a metric that the task scores each example by, or `constant`, the control that nothing
    can be learned from. mix: weight of the cross-entropy of the reference, from 0 to 1. samples:
    outputs drawn for each source, whose mean is the gradient; the paper's one is noisy.
    """
    judge = judge_by(task, reward)

    def losses(model: Any, batch: Batch) -> Tensor:
        size = len(batch.rows)
        index = owners([samples] * size)
        copies = taken(batch, index)
        with predicting(model):
            best, drawn = greedy()(model, batch), Sample(temperature)(model, copies)
        # Judged together, because a sampled output is often the greedy one.
        rewards = judge(taken(batch, [*range(size), *index]), [*best, *drawn])
        logs = log_probabilities(model, copies, drawn, temperature)
        baseline, gained = logs.new_tensor(rewards[:size]), logs.new_tensor(rewards[size:])
        return reinforced(logs.view(size, -1), gained.view(size, -1), baseline)

    return _loss(losses, judge, mix)


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
    `reference` the reference too. They are weighted by p ** alpha, normalized to add up to 1.
    reward, mix: as in self-critical.
    """
    judge = judge_by(task, reward)

    def losses(model: Any, batch: Batch) -> Tensor:
        copies = taken(batch, owners([samples] * len(batch.rows)))
        with predicting(model):
            drawn = Sample(temperature)(model, copies)
        references = reference_outputs(batch, model.max_length) if reference else None
        groups = candidates(drawn, samples, references)
        counts = [len(group) for group in groups]
        distinct = taken(batch, owners(counts))
        outputs = list(chain.from_iterable(groups))
        logs = log_probabilities(model, distinct, outputs)
        rewards = logs.new_tensor(judge(distinct, outputs))
        return expected_risk(_rows(logs, counts, float("-inf")), _rows(rewards, counts, 0.0), alpha)

    return _loss(losses, judge, mix)


def reinforced(logs: Tensor, rewards: Tensor, baseline: Tensor) -> Tensor:
    """(B, K) log-probabilities and rewards, (B,) baselines -> (B,) REINFORCE losses."""
    return -((rewards - baseline[:, None]) * logs).mean(1)


def expected_risk(logs: Tensor, rewards: Tensor, alpha: float) -> Tensor:
    """(B, K) log-probabilities, -inf where there is no candidate, and rewards -> (B,) risks."""
    return ((alpha * logs).softmax(1) * (1 - rewards)).sum(1)


def judge_by(task: Task, reward: str) -> Judge:
    """Rewards from 0 to 1 by one of the task's metrics; MsbenchError if it has no such metric.

    They come from `Task.score`, as on the test split. Of a metric of which less is better, the
    reward is 1 - metric. The same output for the same example is scored once.
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
        rewards = [1 - score / scale if lower else score / scale for score in scores]
        by_key = dict(zip(places, rewards, strict=True))
        return [by_key[key] for key in keys]

    return judge


def candidates(
    drawn: Sequence[Output], samples: int, references: Sequence[Output] | None
) -> list[list[Output]]:
    """Each example's distinct outputs among `samples` drawn ones and its reference, if given."""
    groups = [list(drawn[start : start + samples]) for start in range(0, len(drawn), samples)]
    if references is not None:
        groups = [[*group, one] for group, one in zip(groups, references, strict=True)]
    return [list(dict.fromkeys(map(tuple, group))) for group in groups]


@contextmanager
def predicting(model: Any) -> Iterator[None]:
    """The model without dropout, gradients and casts, as decoders have it; then as it was."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        model.train(training)


def _loss(losses: Callable[[Any, Batch], Tensor], judge: Judge, mix: float) -> Loss:
    """The loss made of (model, batch) -> (B,) and, with weight `mix`, the cross-entropy."""

    def loss(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        if model.training:
            per_example = losses(model, batch)
            if mix:
                per_example = (1 - mix) * per_example + mix * _token_loss(model, batch)
        else:
            per_example = 1 - torch.tensor(judge(batch, greedy()(model, batch)))
        return per_example.sum(), torch.tensor(len(per_example), device=per_example.device)

    loss.steady = False  # type: ignore[attr-defined]  # its work depends on what it generates
    return loss


def _token_loss(model: Any, batch: Batch) -> Tensor:
    """(B,) mean cross-entropy of the reference's tokens."""
    units = (batch.target != IGNORE).sum(1).clamp(min=1)
    mean: Tensor = token_losses(model(batch), batch.target).sum(1) / units
    return mean


def _rows(values: Tensor, counts: list[int], fill: float) -> Tensor:
    """(sum of counts,) values -> (len(counts), longest), padded with `fill`."""
    return pad_sequence(list(torch.split(values, counts)), batch_first=True, padding_value=fill)
