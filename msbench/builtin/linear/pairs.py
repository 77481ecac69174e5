"""Pairs of texts -> whether they match: how much they share, and logistic regression."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from msbench import END, PAD, Batch, Task
from msbench.builtin.linear.texts import label_loss, log_probabilities, regression

Pair = tuple[list[int], list[int]]


class Pairs:
    """Surface features of two texts as tokens: none of them knows what a token means."""

    def __init__(self, task: Task):
        self.task = task

    def fit(self) -> None:
        """Weights, and how rare every token is."""
        from sklearn.preprocessing import StandardScaler

        pairs = list(pairs_of(self.task.train.source))
        found = Counter(token for pair in pairs for side in pair for token in set(side))
        self._rarity = np.log(2 * len(pairs) + 1) * np.ones(self.task.vocabulary)
        for token, count in found.items():
            self._rarity[token] -= np.log(count)
        features = self._features(pairs)
        self._scaler = StandardScaler().fit(features)
        self._model = regression(self._scaler.transform(features), self.task.train.references)

    def losses(self, batch: Batch) -> tuple[float, int]:
        """Negative log-likelihood of the labels."""
        return label_loss(self.predict(batch), batch)

    def predict(self, batch: Batch) -> Any:
        """(B, C) log-probabilities."""
        features = self._scaler.transform(self._features(list(pairs_of(batch.source))))
        return log_probabilities(self._model, features, self.task.classes)

    def size(self) -> int:
        """Weights and intercepts."""
        return int(self._model.coef_.size + self._model.intercept_.size)

    def _features(self, pairs: Sequence[Pair]) -> Any:
        return np.array([list(self._of_pair(*pair)) for pair in pairs])

    def _of_pair(self, first: Sequence[int], second: Sequence[int]) -> Iterator[float]:
        """Lengths, and the shares of tokens, of rare tokens and of neighbours that are in both."""
        one, other = set(first), set(second)
        both = one & other
        yield len(both) / max(1, len(one | other))
        weight = [self._rarity[list(side)].sum() for side in (one, other, both, one | other)]
        yield weight[2] / max(1e-9, weight[3])
        yield weight[2] / max(1e-9, weight[0])
        yield weight[2] / max(1e-9, weight[1])
        yield weight[2]
        neighbours = [set(pairwise(side)) for side in (first, second)]
        yield len(neighbours[0] & neighbours[1]) / max(1, min(map(len, neighbours)))
        yield min(len(first), len(second)) / max(1, len(first), len(second))
        yield np.log((1 + len(first)) / (1 + len(second)))
        yield abs(np.log((1 + len(first)) / (1 + len(second))))
        yield float(max((self._rarity[token] for token in both), default=0.0))


def pairs_of(source: Any) -> Iterator[Pair]:
    """The tokens of both texts of every row, each of which ends with END."""
    for row in source:
        ids = row[row != PAD].tolist()
        middle = ids.index(END)
        yield ids[:middle], ids[middle + 1 : -1]
