"""Words -> tags: a window of words around each, logistic regression, and the likeliest sequence."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from msbench import IGNORE, PAD, Batch, Task

WIDTH = 2
"""Words to either side whose identity is seen."""

REPEATS = range(-6, 2)
"""Places around a word of which it is seen whether their words occur elsewhere in the text."""

PENALTY, EPOCHS = 3e-6, 6
"""Of stochastic gradient descent, whose weights are averaged."""

Word = tuple[int, ...]
"""Its tokens."""


class Windows:
    """Each word's tag from the words around it; then the likeliest tags of all words together.

    The second step multiplies what the window says by how likely one tag follows another, divided
    by how common it is (a hybrid model; Bourlard and Morgan, 1994).
    """

    def __init__(self, task: Task):
        self.task = task

    def fit(self) -> None:
        """Weights and transitions."""
        from sklearn.feature_extraction import FeatureHasher
        from sklearn.linear_model import SGDClassifier

        self._hasher = FeatureHasher(2**17, input_type="string", alternate_sign=False)
        train = self.task.train
        seen = self._hasher.transform(_rows(train.source, train.words))
        tags = list(_tags(train.target, train.words))
        flat = np.concatenate(tags)
        known = flat != IGNORE
        self._follow = self._transitions(tags)
        self._model = SGDClassifier(
            loss="log_loss", alpha=PENALTY, max_iter=EPOCHS, tol=None, average=True, random_state=0
        ).fit(seen[known], flat[known])

    def losses(self, batch: Batch) -> tuple[float, int]:
        """Negative log-likelihood of the tags, each word by itself."""
        tags = np.concatenate(list(_tags(batch.target, batch.words)))
        logs = self._logs(batch)
        known = tags != IGNORE
        return -float(logs[known, tags[known]].sum()), int(known.sum())

    def predict(self, batch: Batch) -> list[list[int]]:
        """A tag for every token, that of a word at its first one."""
        logs, start = self._logs(batch), 0
        outputs = np.full(batch.source.shape, self.task.notes["labels"].index("O"))
        for number, places in enumerate(_used(batch.words)):
            outputs[number, places] = self._likeliest(logs[start : start + len(places)])
            start += len(places)
        return [list(map(int, row)) for row in outputs]

    def size(self) -> int:
        """Weights that are not zero, and transitions."""
        return int(np.count_nonzero(self._model.coef_) + self._follow.size)

    def _logs(self, batch: Batch) -> Any:
        """(words of the batch, classes) log-probabilities."""
        seen = list(_rows(batch.source, batch.words))
        logs = np.full((len(seen), self.task.classes), -100.0)
        if seen:
            found = self._model.predict_proba(self._hasher.transform(seen))
            logs[:, self._model.classes_] = np.log(found.clip(min=1e-40))
        return logs

    def _transitions(self, tags: Sequence[Any]) -> Any:
        """(classes + 1, classes) log P(tag | the one before) - log P(tag); the last row: at the
        beginning."""
        counts = np.full((self.task.classes + 1, self.task.classes), 0.01)
        for row in tags:
            clean = row[row != IGNORE]
            np.add.at(counts, (np.append(self.task.classes, clean[:-1]), clean), 1)
        share = counts / counts.sum(axis=1, keepdims=True)
        return np.log(share) - np.log(counts.sum(axis=0) / counts.sum())

    def _likeliest(self, logs: Any) -> list[int]:
        """The best sequence of tags (Viterbi, 1967)."""
        if not len(logs):
            return []
        best, back = logs[0] + self._follow[-1], []
        for each in logs[1:]:
            paths = best[:, None] + self._follow[:-1]
            back.append(paths.argmax(axis=0))
            best = paths.max(axis=0) + each
        path = [int(best.argmax())]
        for step in reversed(back):
            path.append(int(step[path[-1]]))
        return path[::-1]


def _used(words: Any) -> Iterator[Any]:
    """The places of each text's words that were not cut."""
    for row in words:
        yield row[row >= 0]


def _tags(target: Any, words: Any) -> Iterator[Any]:
    """The tags of each text's words; IGNORE for those that training lacks."""
    for tags, places in zip(target, _used(words), strict=True):
        yield tags[places]


def _rows(source: Any, words: Any) -> Iterator[list[str]]:
    """What is seen of every word of these texts, one word after the other."""
    for ids, used in zip(source, _used(words), strict=True):
        places = used.tolist()
        ends = [*places[1:], int((ids != PAD).sum()) - 1]  # END is no word's
        yield from _seen([tuple(ids[a:b].tolist()) for a, b in zip(places, ends, strict=True)])


def _seen(words: Sequence[Word]) -> Iterator[list[str]]:
    """What is seen of each word of a text."""
    several = {word for word, count in Counter(words).items() if count > 1}

    def at(place: int) -> str:
        return "-".join(map(str, words[place])) if 0 <= place < len(words) else "none"

    for place, word in enumerate(words):
        around = [f"{k}={at(place + k)}" for k in range(-WIDTH, WIDTH + 1)]
        pieces = [f"first={word[0]}", f"last={word[-1]}", f"pieces={min(len(word), 4)}"]
        repeated = [
            f"again{k}"
            for k in REPEATS
            if 0 <= place + k < len(words) and words[place + k] in several
        ]
        pairs = [f"{k}{k + 1}={at(place + k)}+{at(place + k + 1)}" for k in (-2, -1, 0)]
        yield [*around, *pieces, *repeated, *pairs, f"at={min(place, 12)}", "any"]
