"""A bidirectional LSTM: labels for a text, for a pair of texts, or for every word."""

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from msbench import PAD, Batch, Task
from msbench.builtin.models.dropout import Dropout
from msbench.builtin.models.layers import initialize, pooled, pooled_width
from msbench.builtin.types import Share, Size


class LSTM(nn.Module):
    """(B, S) tokens -> (B, classes) logits for texts and pairs, (B, S, classes) for tags.

    Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005. Texts are pooled by their mean.
    `width` is that of both directions together. Padding is packed away, so that the backward
    direction starts at each text's own end.
    """

    steady = False  # padding that is packed away costs nothing

    def __init__(self, task: Task, width: Size = 64, layers: Size = 1, dropout: Share = 0.1):
        super().__init__()
        self.tags, self.segments = task.kind == "tag", task.segments
        self.tokens = nn.Embedding(task.vocabulary, width)
        self.lstm = nn.LSTM(width, width // 2, layers, batch_first=True, bidirectional=True)
        self.dropout = Dropout(dropout)
        into = width // 2 * 2 if self.tags else pooled_width(width // 2 * 2, self.segments)
        self.head = nn.Linear(into, task.classes)
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        lengths = (batch.source != PAD).sum(1).cpu()
        embedded = self.dropout(self.tokens(batch.source))
        packed = pack_padded_sequence(embedded, lengths, True, enforce_sorted=False)
        long = batch.source.shape[1]
        states, _ = pad_packed_sequence(self.lstm(packed)[0], True, total_length=long)
        x = states if self.tags else pooled(states, batch.source, self.segments)
        logits: Tensor = self.head(self.dropout(x))
        return logits
