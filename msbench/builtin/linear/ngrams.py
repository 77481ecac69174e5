"""Language -> how likely it is: n-grams of tokens with interpolated Kneser-Ney smoothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msbench import BEGIN, END, IGNORE, PAD, Batch, Task

ORDER = 5
"""Tokens of the longest n-gram."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Order:
    """What is known of the n-grams of one length. A context is numbered by its tokens' digits."""

    grams: Array
    """Sorted numbers of n-grams: that of their context times the vocabulary, plus the token."""
    counts: Array
    contexts: Array
    """Sorted numbers of contexts."""
    totals: Array
    """Per context, the sum of the counts of its n-grams."""
    kinds: Array
    """Per context, how many different tokens follow it."""
    discount: float


class Ngrams:
    """An n-gram model (Kneser and Ney, 1995; interpolated: Chen and Goodman, 1999).

    Below the longest n-grams, what counts is how many different tokens come before, and the
    discount of each order is n1 / (n1 + 2 n2) for n1 n-grams seen once and n2 seen twice.
    """

    def __init__(self, task: Task, order: int = ORDER):
        longest = int(62 / np.log2(task.vocabulary))  # of which a number has 64 bits
        self.task, self.order = task, min(order, longest)

    def fit(self) -> None:
        """Count."""
        split, base = self.task.train, self.task.vocabulary
        assert split.input is not None
        grams = self._grams(split.input, split.target)
        known = grams[split.target != IGNORE]
        self._orders: list[Order] = []
        counts = Counts.of(known % base**self.order)
        for length in range(self.order, 0, -1):
            self._orders.insert(0, _order(counts, base))
            # One order down, every different n-gram counts once for what it ends with.
            counts = Counts.of(counts.grams % base ** (length - 1))

    def losses(self, batch: Batch) -> tuple[float, int]:
        """Negative log-likelihood of the tokens."""
        return -float(sum(self.predict(batch))), int((batch.target != IGNORE).sum())

    def predict(self, batch: Batch) -> list[float]:
        """(B,) log-probability of each text."""
        grams, used = self._grams(batch.input, batch.target), batch.target != IGNORE
        logs = np.zeros(batch.target.shape)
        logs[used] = np.log(self._share(grams[used]))
        return [float(value) for value in logs.sum(axis=1)]

    def write(self, batch: Batch, draw: np.random.Generator) -> list[list[int]]:
        """Each prompt continued at random until END, or as far as networks may."""
        most = self.task.longest_target - self.task.longest_source
        return [self._continued(row[row != PAD].tolist(), most, draw) for row in batch.source]

    def size(self) -> int:
        """Different n-grams of all lengths."""
        return sum(len(order.grams) for order in self._orders)

    def _continued(self, prompt: list[int], most: int, draw: np.random.Generator) -> list[int]:
        text, written = [BEGIN, *prompt], 0
        while written < most:
            upto = self.shares(text).cumsum()
            token = int(np.searchsorted(upto, draw.random() * upto[-1], side="right"))
            if token == END:
                break
            text.append(token)
            written += 1
        return text[len(text) - written :]

    def shares(self, text: Sequence[int]) -> Array:
        """(vocabulary,) shares of the token after a text."""
        base = self.task.vocabulary
        padded = [0] * self.order + list(text)
        shares = np.full(base, 1 / base)
        for length, order in enumerate(self._orders, start=1):
            context = 0
            for token in padded[len(padded) - length + 1 :]:
                context = context * base + token
            place = np.searchsorted(order.contexts, context)
            if place == len(order.contexts) or order.contexts[place] != context:
                break
            first, last = np.searchsorted(order.grams, [context * base, (context + 1) * base])
            shares = shares * order.discount * order.kinds[place] / order.totals[place]
            seen = order.grams[first:last] - context * base
            shares[seen] += (order.counts[first:last] - order.discount) / order.totals[place]
        return np.asarray(shares)

    def _grams(self, input: Array, target: Array) -> Array:
        """(texts, length) number of the longest n-gram that ends with each target."""
        base, width = self.task.vocabulary, target.shape[1]
        context = np.zeros(target.shape, np.int64)
        for back in range(self.order - 2, -1, -1):  # the farthest token first
            shifted = np.zeros_like(context)
            if back < width:
                shifted[:, back:] = input[:, : width - back]
            context = context * base + shifted
        return np.asarray(context * base + np.where(target == IGNORE, 0, target))

    def _share(self, grams: Array) -> Array:
        """The probability of each n-gram's last token after the others."""
        base = self.task.vocabulary
        share = np.full(len(grams), 1 / base)
        for length, order in enumerate(self._orders, start=1):
            gram = grams % base**length
            place, known = _find(order.contexts, gram // base)
            total = np.where(known, order.totals[place], 1)
            at, seen = _find(order.grams, gram)
            count = np.where(seen, order.counts[at] - order.discount, 0.0)
            rest = np.where(known, order.discount * order.kinds[place] / total, 1.0)
            share = np.where(known, count / total, 0.0) + rest * share
        return share


@dataclass(frozen=True)
class Counts:
    """Different n-grams, sorted by number, and how often each occurs."""

    grams: Array
    counts: Array

    @classmethod
    def of(cls, grams: Array) -> "Counts":
        """Those among the given ones."""
        return cls(*np.unique(grams, return_counts=True))


def _order(counts: Counts, base: int) -> Order:
    contexts, first, kinds = np.unique(counts.grams // base, return_index=True, return_counts=True)
    once, twice = (int((counts.counts == times).sum()) for times in (1, 2))
    discount = once / (once + 2 * twice) if once else 0.5
    totals = np.add.reduceat(counts.counts, first)
    # Where everything occurs twice or more, or nothing twice, a discount is still less than 1.
    return Order(
        counts.grams, counts.counts, contexts, totals, kinds, min(0.95, max(0.05, discount))
    )


def _find(known: Array, wanted: Array) -> tuple[Array, Array]:
    """(place of each wanted number in a sorted array, whether it is there)."""
    place = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    return place, known[place] == wanted
