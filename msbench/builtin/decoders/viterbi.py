"""Decoding the tags of all words of a text together.

Shapes: B examples, S source positions, W words, C tags.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from msbench import Batch, Decoder, MsbenchError, Task
from msbench.builtin.choosing import check_numbers

OUTSIDE = "O"


def viterbi(task: Task) -> Decoder:
    """(B, S) ids: the likeliest tags of a text's words among the valid BIO sequences.

    I-x follows only B-x or I-x (He et al., 2017, constrain tags of semantic roles so). A word is as
    likely to have a tag as the logits at its first token say, and all allowed transitions are
    equally likely, so this is Viterbi's algorithm (1967) with rules in place of transition scores.
    All other tokens are O, and so are words that were cut, as they are where spans are scored. The
    names of the tags are `task.notes["labels"]`; where words begin is `Batch.words`.
    """
    labels = task.notes.get("labels", ())
    if len(labels) != task.classes or OUTSIDE not in labels:
        raise MsbenchError(
            "the decoder 'viterbi' needs the names of all tags, O among them, in the task's "
            'notes["labels"]'
        )
    outside = labels.index(OUTSIDE)
    rules = transitions(labels)

    def decode(model: Any, batch: Batch) -> Tensor:
        if batch.words is None:
            raise MsbenchError("the decoder 'viterbi' needs to know where words begin: Split.words")
        logits: Tensor = model(batch)
        check_numbers(~logits.isnan())
        rows, columns = (batch.words >= 0).nonzero(as_tuple=True)
        places = batch.words[rows, columns]
        scores = logits.new_full((*batch.words.shape, len(labels)), float("-inf")).double()
        scores[..., outside] = 0.0
        scores[rows, columns] = logits[rows, places].double().log_softmax(-1)
        tags = torch.full(batch.source.shape, outside, device=logits.device)
        tags[rows, places] = best_path(scores, rules.to(logits.device), outside)[rows, columns]
        return tags

    return decode


def transitions(labels: Sequence[str]) -> Tensor:
    """(C, C) zeros where the second tag may follow the first, else -inf."""

    def allowed(first: str, second: str) -> bool:
        span = second[2:]
        return second[:2] != "I-" or first in (f"B-{span}", f"I-{span}")

    table = [[0.0 if allowed(a, b) else float("-inf") for b in labels] for a in labels]
    return torch.tensor(table, dtype=torch.float64)


def best_path(scores: Tensor, rules: Tensor, start: int) -> Tensor:
    """(B, W, C) scores, (C, C) scores of transitions -> (B, W) tags with the highest sum.

    start: the tag before the first word. Of equal sums, the lexicographically first sequence wins.
    """
    # Backwards the best sum that each tag can still lead to, then forwards along the best.
    ahead = scores.clone()
    for word in range(scores.shape[1] - 2, -1, -1):
        ahead[:, word] += (rules + ahead[:, word + 1, None]).amax(-1)
    tags = torch.full(scores.shape[:2], start, device=scores.device)
    before = torch.full(scores.shape[:1], start, device=scores.device)
    for word in range(scores.shape[1]):
        tags[:, word] = before = (rules[before] + ahead[:, word]).argmax(-1)
    return tags
