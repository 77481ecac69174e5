"""A bag of embeddings: the fastest classifier that reads the whole text."""

from torch import Tensor, nn
from torch.nn import functional

from msbench import PAD, Batch, Task
from msbench.builtin.models.dropout import Dropout
from msbench.builtin.models.layers import initialize, pooled, pooled_width
from msbench.builtin.types import Ngrams, Share, Size

PRIME = 1_000_003
"""What a hash of tokens is multiplied by before the next one is added."""


class Bag(nn.Module):
    """(B, S) tokens -> (B, classes) logits: the mean embedding, projected (Joulin et al., 2017).

    A pair of texts is compared by both means, their difference and product. ngrams: the most tokens
    in a row that have an embedding together, each of `buckets` shared by what hashes to the same.
    """

    def __init__(
        self,
        task: Task,
        width: Size = 64,
        dropout: Share = 0.1,
        ngrams: Ngrams = 1,
        buckets: Size = 20_000,
    ):
        super().__init__()
        self.segments, self.ngrams = task.segments, ngrams
        if ngrams > 1:
            self.grams = nn.Embedding(buckets, width)
        self.tokens = nn.Embedding(task.vocabulary, width)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(pooled_width(width, self.segments), task.classes)
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        states = self.tokens(batch.source)
        hashed = batch.source
        for length in range(2, self.ngrams + 1):
            # Where the text has no token left, what hashes with PAD is left out of the mean.
            following = functional.pad(batch.source, (0, length - 1))[:, length - 1 :]
            hashed = (hashed * PRIME + following) % self.grams.num_embeddings
            states = states + self.grams(hashed) * (following != PAD)[..., None]
        features = pooled(states, batch.source, self.segments)
        logits: Tensor = self.head(self.dropout(features))
        return logits
