"""Encoders (`AutoModel`) with a head of our own: labels of texts, of pairs of texts, of tokens.

Span question answering is tagging, too: the answer is the span that is marked. Shapes: B examples,
S source positions, W width.
"""

from inspect import signature
from typing import Any, Literal

import torch
from torch import Tensor, nn

from msbench import END, PAD, Batch, MsbenchError, Task
from msbench_transformers.vocabulary import Vocabulary

Pairs = Literal["together", "apart"]
"""Both texts in one sequence, or each by itself (Reimers and Gurevych, 2019)."""

Pooling = Literal["mean", "first"]


class Encoder(nn.Module):
    """(B, S) tokens -> (B, classes) logits for texts and pairs, (B, S, classes) for tags.

    A text is pooled by the mean of its states or by its first one (BERT's). A pair is read as one
    sequence with two segments; or apart, and both are compared by their states u and v, |u - v| and
    u * v (Conneau et al., 2017).
    """

    def __init__(
        self,
        task: Task,
        body: Any,
        vocabulary: Vocabulary,
        pooling: Pooling = "mean",
        pairs: Pairs = "together",
        dropout: float = 0.1,
    ):
        super().__init__()
        self.body, self.vocabulary, self.pooling = body, vocabulary, pooling
        self.tags = task.kind == "tag"
        self.apart = task.segments > 1 and pairs == "apart"
        self.segments = task.segments
        check_length(body, len(vocabulary.prefix) + task.longest_source)
        takes_types = "token_type_ids" in signature(body.forward).parameters
        self.types = takes_types and getattr(body.config, "type_vocab_size", 0) > 1
        width = body.config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * width if self.apart else width, task.classes)
        nn.init.normal_(self.head.weight, std=getattr(body.config, "initializer_range", 0.02))
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Tensor:
        if self.apart:
            u, v = (self._pooled(part) for part in apart(batch.source))
            features = torch.cat([u, v, (u - v).abs(), u * v], dim=-1)
        elif self.tags:
            features, _ = self._states(batch.source)
            features = features[:, len(self.vocabulary.prefix) :]
        else:
            features = self._pooled(batch.source)
        logits: Tensor = self.head(self.dropout(features))
        return logits

    def _states(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """(B, prefix + S, W) states, and which of them count."""
        ids, seen = self.vocabulary.source(source)
        given = {"input_ids": ids, "attention_mask": seen}
        if self.types:
            given["token_type_ids"] = self._segments(source, ids)
        states: Tensor = self.body(**given).last_hidden_state
        return states, seen

    def _segments(self, source: Tensor, ids: Tensor) -> Tensor:
        """(B, prefix + S) 0, and 1 for the second text of a pair."""
        types = torch.zeros_like(ids)
        if self.segments > 1 and not self.apart:
            types[:, ids.shape[1] - source.shape[1] :] = segment(source) * (source != PAD)
        return types

    def _pooled(self, source: Tensor) -> Tensor:
        states, seen = self._states(source)
        if self.pooling == "first":
            return states[:, 0]
        used = seen[..., None].to(states.dtype)
        return (states * used).sum(1) / used.sum(1).clamp(min=1)


def segment(source: Tensor) -> Tensor:
    """(B, S) 0 for the first text and its END, 1 for what follows."""
    ends = (source == END).long()
    return (ends.cumsum(1) - ends).clamp(max=1)


def apart(source: Tensor) -> tuple[Tensor, Tensor]:
    """(B, S) pairs of texts -> the first ones and the second ones, each (B, longest)."""
    second = segment(source).bool() & (source != PAD)
    first = ~segment(source).bool() & (source != PAD)
    return _packed(source, first), _packed(source, second)


def _packed(source: Tensor, kept: Tensor) -> Tensor:
    """The tokens that are kept, at the left, and PAD after them."""
    order = (~kept).long().argsort(dim=1, stable=True)
    longest = max(1, int(kept.sum(1).max()))
    return (source * kept).gather(1, order)[:, :longest]


def check_length(body: Any, longest: int) -> None:
    """MsbenchError if texts of the task are longer than the model can read."""
    config = body.config
    most = getattr(config, "max_position_embeddings", None) or 2**20
    if config.model_type in COUNTED_FROM_PADDING:
        most -= config.pad_token_id + 1
    if longest > most:
        raise MsbenchError(
            f"{type(body).__name__} reads {most} tokens at most, and texts of this task have "
            f"{longest}: set a lower max_length in the task"
        )


COUNTED_FROM_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Architectures whose first position is the one after the padding's id."""
