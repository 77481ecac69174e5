"""A BERT-like encoder: labels for a text, for a pair of texts, or for every word."""

from torch import Tensor, nn

from msbench import Batch, Task
from msbench.builtin.models.layers import (
    Embedding,
    Norm,
    SelfLayer,
    check_heads,
    initialize,
    last_norm,
    padding_mask,
    pooled,
    pooled_width,
    segment,
)
from msbench.builtin.types import Share, Size


class Encoder(nn.Module):
    """(B, S) tokens -> (B, classes) logits for texts and pairs, (B, S, classes) for tags.

    Every token attends to every other, in a pair across both texts, which an embedding tells apart
    (Devlin et al., 2019). A text is pooled by its mean; a pair by both means, their difference and
    product (Conneau et al., 2017). Tags also serve extraction: the answer to a question is the
    span that is tagged. repeats: mark tokens that occur more than once, such as a name in a
    question that also occurs next to the answer (Chen et al., 2017).
    """

    def __init__(
        self,
        task: Task,
        width: Size = 64,
        layers: Size = 2,
        heads: Size = 4,
        dropout: Share = 0.1,
        norm: Norm = "pre",
        repeats: bool = False,
    ):
        super().__init__()
        check_heads(width, heads)
        self.tags, self.segments = task.kind == "tag", task.segments
        self.embedding = Embedding(task.vocabulary, task.longest_source, width, dropout, repeats)
        self.layers = nn.ModuleList(SelfLayer(width, heads, dropout, norm) for _ in range(layers))
        self.norm = last_norm(width, norm)
        into = width if self.tags else pooled_width(width, self.segments)
        self.head = nn.Linear(into, task.classes)
        self.which = nn.Embedding(self.segments, width) if self.segments > 1 else None
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        x = self.embedding(batch.source)
        if self.which is not None:
            x = x + self.which(segment(batch.source).clamp(max=self.segments - 1))
        mask = padding_mask(batch, x)
        for layer in self.layers:
            x = layer(x, mask)
        x = self.norm(x)
        logits: Tensor = self.head(x if self.tags else pooled(x, batch.source, self.segments))
        return logits
