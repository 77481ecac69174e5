"""Models that are wrong, each in one way."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import msbench


class Bag(nn.Module):
    """The mean of embeddings, right as it stands."""

    def __init__(self, task, width=16):
        super().__init__()
        self.tokens = nn.Embedding(task.vocabulary, width)
        self.head = nn.Linear(width, task.classes)

    def used(self, batch):
        return (batch.source != msbench.PAD).to(self.head.weight.dtype)

    def mean(self, batch):
        used = self.used(batch)
        return (self.tokens(batch.source) * used[..., None]).sum(1) / used.sum(1, keepdim=True)

    def forward(self, batch):
        return self.head(self.mean(batch))


class ReadsPadding(Bag):
    def used(self, batch):
        return torch.ones_like(batch.source, dtype=self.head.weight.dtype)


class MixesExamples(Bag):
    def __init__(self, task, width=16):
        super().__init__(task, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, batch):
        return self.head(self.norm(self.mean(batch)))


class Noisy(Bag):
    def forward(self, batch):
        return self.head(functional.dropout(self.mean(batch), 0.3, training=True))


class NumpysDraw(Bag):
    def __init__(self, task, width=16):
        super().__init__(task, width)
        self.head.weight.data = torch.from_numpy(
            np.random.normal(size=self.head.weight.shape).astype("float32")
        )


class KeepsToItself(Bag):
    """A part of its weights is neither a parameter nor a buffer."""

    def __init__(self, task, width=16):
        super().__init__(task, width)
        self.own = torch.randn(width)

    def mean(self, batch):
        return super().mean(batch) * self.own


class Idle(Bag):
    def __init__(self, task, width=16):
        super().__init__(task, width)
        self.unused = nn.Linear(width, width)


class WrongShape(Bag):
    def forward(self, batch):
        return super().forward(batch)[:, :-1]


class EditsTheBatch(Bag):
    def forward(self, batch):
        batch.source[:, 0] = 5
        return super().forward(batch)


class Sums(nn.Module):
    """The next token from the sum of those before it; right as it stands."""

    max_length = 8

    def __init__(self, task, width=16):
        super().__init__()
        self.tokens = nn.Embedding(task.vocabulary, width)
        self.head = nn.Linear(width, task.vocabulary)

    def forward(self, batch):
        return self.head(self.tokens(batch.input).cumsum(1).tanh())

    def start(self, batch):
        used = (batch.source != msbench.PAD).to(self.head.weight.dtype)
        return self.state((self.tokens(batch.source) * used[..., None]).sum(1))

    def state(self, total):
        return State(total)

    def step(self, state, tokens):
        state.total = state.total + self.tokens(tokens)
        return self.head(state.total.tanh()), state


class State:
    def __init__(self, total):
        self.total = total

    def select(self, rows):
        return State(self.total[rows])


class SeesTheFuture(Sums):
    def forward(self, batch):
        embedded = self.tokens(batch.input)
        return self.head((embedded.cumsum(1) + embedded.mean(1, keepdim=True)).tanh())


class Stale(State):
    def select(self, rows):
        return Stale(self.total[: len(rows)])


class StaleState(Sums):
    def state(self, total):
        return Stale(total)
