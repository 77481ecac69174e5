"""A bag of embeddings: the fastest classifier that reads the whole text."""

import torch
from torch import Tensor, nn

from msbench import PAD, Batch, Task
from msbench.builtin.models import Share, Size, initialize


class Bag(nn.Module):
    """(B, S) tokens -> (B, classes) logits: the mean embedding, projected (Joulin et al., 2017)."""

    def __init__(self, task: Task, width: Size = 64, dropout: Share = 0.1):
        super().__init__()
        self.tokens = nn.Embedding(task.vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, task.classes)
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        used = (batch.source != PAD)[..., None]
        mean = torch.sum(self.tokens(batch.source) * used, dim=1) / used.sum(1)
        logits: Tensor = self.head(self.dropout(mean))
        return logits
