"""The network of msbench's `encoder`, in Keras."""

from typing import Any, ClassVar

from msbench import Batch, Task
from msbench_tensorflow.framework import tf
from msbench_tensorflow.layers import (
    Embedding,
    SelfLayer,
    check_heads,
    dense,
    hiding,
    norm,
    pooled,
    segment,
    table,
)
from msbench_tensorflow.model import Model


class Encoder(Model):
    """(B, S) tokens -> (B, classes) logits for texts and pairs, (B, S, classes) for tags."""

    renamed: ClassVar = {"blocks": "layers"}  # Keras has another use for that name

    def __init__(
        self, task: Task, width: int = 64, layers: int = 2, heads: int = 4, dropout: float = 0.1
    ):
        super().__init__()
        check_heads(width, heads)
        self.tags, self.segments = task.kind == "tag", task.segments
        tokens = table(task.vocabulary, width)
        self.embedding = Embedding(tokens, task.longest_source, width, dropout)
        self.blocks = [SelfLayer(width, heads, dropout) for _ in range(layers)]
        self.norm, self.head = norm(), dense(task.classes)
        self.which = table(self.segments, width) if self.segments > 1 else None

    def call(self, batch: Batch, training: bool = False) -> Any:
        x = self.embedding(batch.source, training)
        if self.which is not None:
            x = x + self.which(tf.minimum(segment(batch.source), self.segments - 1))
        mask = hiding(batch.source, x.dtype)
        for block in self.blocks:
            x = block(x, mask, training)
        x = self.norm(x)
        return self.head(x if self.tags else pooled(x, batch.source, self.segments))
