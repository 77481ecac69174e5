"""A bidirectional LSTM classifier."""

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from msbench import PAD, Batch, Task
from msbench.builtin.models import Share, Size, initialize


class LSTM(nn.Module):
    """(B, S) tokens -> (B, classes) logits: the mean over the text of both directions, projected.

    Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005. `width` is that of both
    directions together. Padding is packed away: the backward one starts at each text's own end.
    """

    def __init__(self, task: Task, width: Size = 64, layers: Size = 1, dropout: Share = 0.1):
        super().__init__()
        self.tokens = nn.Embedding(task.vocabulary, width)
        self.lstm = nn.LSTM(width, width // 2, layers, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width // 2 * 2, task.classes)
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        lengths = (batch.source != PAD).sum(1)
        embedded = self.dropout(self.tokens(batch.source))
        packed = pack_padded_sequence(embedded, lengths.cpu(), True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        logits: Tensor = self.head(self.dropout(states.sum(1) / lengths[:, None]))
        return logits
