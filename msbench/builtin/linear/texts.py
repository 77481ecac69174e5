"""Texts -> labels: TF-IDF of words and character n-grams, and logistic regression."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import hstack

from msbench import PAD, Batch, Task, tokens_of

STRENGTH = 10.0
"""Inverse strength of the penalty (C); others from 3 to 30 differ by two articles at most."""

LEAD = 1000
"""Characters of a text from which n-grams of characters are taken: most of the time goes there."""


class Texts:
    """The whole texts, not only the tokens that networks read.

    Words and pairs of words, and n-grams of 3 and 4 characters within the words of a text's
    beginning, that occur in two texts or more, each with sublinear term frequency (Joachims, 1998;
    Wang and Manning, 2012).
    """

    def __init__(self, task: Task):
        self.task = task

    def fit(self) -> None:
        """Vocabulary and weights."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        alike: dict[str, Any] = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}
        words = {"ngram_range": (1, 2), "tokenizer": tokens_of, "token_pattern": None}
        characters = {"ngram_range": (3, 4), "analyzer": "char_wb", "preprocessor": _beginning}
        self._seen = [TfidfVectorizer(**each, **alike) for each in (words, characters)]
        texts = texts_of(self.task, "train")
        features = hstack([each.fit_transform(texts) for each in self._seen]).tocsr()
        self._model = regression(features, self.task.train.references)

    def losses(self, batch: Batch) -> tuple[float, int]:
        """Negative log-likelihood of the labels."""
        return label_loss(self.predict(batch), batch)

    def predict(self, batch: Batch) -> Any:
        """(B, C) log-probabilities."""
        # A batch to predict may be of a copy of the test split.
        splits = self.task.splits.items()
        split = next((name for name, each in splits if each is batch.split), "test")
        texts = texts_of(self.task, split)
        features = self._features([texts[row] for row in batch.rows])
        return log_probabilities(self._model, features, self.task.classes)

    def size(self) -> int:
        """Weights and intercepts."""
        return int(self._model.coef_.size + self._model.intercept_.size)

    def _features(self, texts: Sequence[str]) -> Any:
        return hstack([each.transform(texts) for each in self._seen]).tocsr()


def texts_of(task: Task, split: str) -> Sequence[str]:
    """The source texts of a split; where a task has none, its tokens' numbers as words."""
    if task.texts is not None:
        return [source for source, _ in task.texts.splits[split]]
    source = task.splits[split].source
    assert source is not None
    return [" ".join(map(str, row[row != PAD].tolist())) for row in source]


def _beginning(text: str) -> str:
    return text[:LEAD].lower()


def regression(features: Any, labels: Sequence[int]) -> Any:
    """Logistic regression."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=STRENGTH, max_iter=300).fit(features, np.asarray(labels))


def log_probabilities(model: Any, features: Any, classes: int) -> Any:
    """(B, classes) log-probabilities, very low for labels that training lacks."""
    logs = np.full((features.shape[0], classes), -100.0)
    logs[:, model.classes_] = model.predict_log_proba(features)
    return np.maximum(logs, -100.0)


def label_loss(logs: Any, batch: Batch) -> tuple[float, int]:
    """(sum of the negative log-likelihoods of a batch's labels, their number)."""
    (known,) = np.nonzero(batch.target >= 0)
    return -float(logs[known, batch.target[known]].sum()), len(known)
