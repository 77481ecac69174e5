"""A bag of embeddings: the fastest classifier that reads the whole text."""

from torch import Tensor, nn

from msbench import Batch, Task
from msbench.builtin.models.dropout import Dropout
from msbench.builtin.models.layers import initialize, pooled, pooled_width
from msbench.builtin.types import Share, Size


class Bag(nn.Module):
    """(B, S) tokens -> (B, classes) logits: the mean embedding, projected (Joulin et al., 2017).

    A pair of texts is compared by both means, their difference and product.
    """

    def __init__(self, task: Task, width: Size = 64, dropout: Share = 0.1):
        super().__init__()
        self.segments = task.segments
        self.tokens = nn.Embedding(task.vocabulary, width)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(pooled_width(width, self.segments), task.classes)
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        features = pooled(self.tokens(batch.source), batch.source, self.segments)
        logits: Tensor = self.head(self.dropout(features))
        return logits
