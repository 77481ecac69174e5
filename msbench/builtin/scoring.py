"""How likely texts are under a model: those of the data, and outputs that were written for them.

Shapes: B examples. An output is a list of token ids without BEGIN and END.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from msbench import BEGIN, END, IGNORE, PAD, Batch
from msbench.builtin.choosing import no_padding

Output = Sequence[int]

LOGITS = 2**24
"""Most numbers in one array of logits, where outputs can be scored a few at a time."""


@torch.no_grad()
def scores_of(model: Any, batch: Batch, outputs: Sequence[Output], vocabulary: int) -> list[float]:
    """Log-probability, in nats, of one output for each example, a few examples at a time.

    END is part of an output that is shorter than the model's limit.
    """
    longest = 1 + max(map(len, outputs), default=0) + batch.source.shape[1]
    rows = max(1, LOGITS // (longest * vocabulary))
    scores: list[float] = []
    for first in range(0, len(outputs), rows):
        index = list(range(first, min(first + rows, len(outputs))))
        part = log_probabilities(model, taken(batch, index), [outputs[i] for i in index])
        scores += part.tolist()
    return scores


def log_probabilities(
    model: Any, batch: Batch, outputs: Sequence[Output], temperature: float = 1.0
) -> Tensor:
    """(B,) log-probability of one output for each example, as `Sample(temperature)` draws them."""
    answers = answered(batch, outputs, model.max_length)
    logits = model(answers)
    logits = no_padding(logits if temperature == 1 else logits / temperature)
    return -token_losses(logits, answers.target).sum(1)


def token_losses(logits: Tensor, target: Tensor) -> Tensor:
    """(B, T, V) logits, (B, T) target -> (B, T) cross-entropy in nats, 0 where IGNORE."""
    return functional.cross_entropy(
        logits.transpose(1, 2), target, ignore_index=IGNORE, reduction="none"
    )


def answered(batch: Batch, outputs: Sequence[Output], limit: int) -> Batch:
    """The batch with outputs of at most `limit` tokens in place of the references.

    An output as long as the limit was cut, so no END is expected after it.
    """
    pairs = list(zip(prompts(batch), outputs, strict=True))
    inputs = [[BEGIN, *prompt, *output][: len(prompt) + limit] for prompt, output in pairs]
    targets = [[IGNORE] * len(prompt) + [*output, END][:limit] for prompt, output in pairs]

    def padded(rows: list[list[int]], value: int) -> Tensor:
        tensors = [torch.tensor(row) for row in rows]
        return pad_sequence(tensors, batch_first=True, padding_value=value).to(batch.source.device)

    return replace(batch, input=padded(inputs, PAD), target=padded(targets, IGNORE))


def reference_outputs(batch: Batch, limit: int) -> list[list[int]]:
    """The batch's targets as outputs, cut to the limit."""
    return [
        [token for token in row if token not in (IGNORE, END)][len(prompt) :][:limit]
        for row, prompt in zip(batch.target.tolist(), prompts(batch), strict=True)
    ]


def taken(batch: Batch, index: list[int]) -> Batch:
    """The examples at `index`, in that order; one may be taken more than once."""
    return replace(batch.map(lambda array: array[index]), rows=batch.rows[index])


def owners(counts: Iterable[int]) -> list[int]:
    """0, 0, ..., 1, 1, ...: every position as often as its count says."""
    return [position for position, count in enumerate(counts) for _ in range(count)]


def prompts(batch: Batch) -> list[list[int]]:
    """The prompt of each example, which a language model continues; empty for other tasks."""
    assert batch.split is not None
    if not batch.split.prompted:
        return [[]] * len(batch.rows)
    return [[token for token in row if token != PAD] for row in batch.source.tolist()]
