"""Text -> text by rules that cost next to nothing, of which validation chooses one."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from msbench import BEGIN, END, PAD, Batch, Task
from msbench.builtin.linear.table import word_table

Ids = list[int]
Rule = Callable[[Ids], Ids]

LEADS = (4, 6, 8, 10, 12, 16, 24)
"""How many of a source's first tokens may serve as a summary."""

MOST = 500
"""Validation examples that rules are chosen on."""


class Rules:
    """Copy the source, or its beginning; put another token for each; write the target of the
    nearest training source by TF-IDF, or the commonest target: whichever is best on validation."""

    def __init__(self, task: Task):
        self.task = task
        self.name = ""
        """The rule that was chosen."""

    def fit(self) -> None:
        """Make all rules from training, and keep the best on validation."""
        rules, held = self._rules(), self.task.validation
        assert held.source is not None
        sources = _rows(held.source[:MOST])
        lower = self.task.metric in self.task.lower_is_better
        worth = {}
        for name, rule in rules.items():
            outputs = [rule(source) for source in sources]
            score = self.task.score(outputs, held.references[: len(outputs)])
            worth[name] = score.metrics[self.task.metric] * (-1 if lower else 1)
        self.name = max(worth, key=lambda name: worth[name])
        self._rule = rules[self.name]

    def losses(self, batch: Batch) -> tuple[float, int]:
        """How many outputs are not the target, token by token: a rule has no likelihood."""
        wrong = [a != b for a, b in zip(self.predict(batch), _rows(batch.target), strict=True)]
        return float(sum(wrong)), len(wrong)

    def predict(self, batch: Batch) -> list[Ids]:
        """An output for each example."""
        return [self._rule(source) for source in _rows(batch.source)]

    def size(self) -> int:
        """Pairs of tokens in the table, if that is the rule."""
        return len(self._table) if self.name == "table" else 0

    def _rules(self) -> dict[str, Rule]:
        train = self.task.train
        sources, targets = _rows(train.source), _rows(train.target)
        common = list(Counter(map(tuple, targets)).most_common(1)[0][0])
        self._table = table = word_table(sources, targets)
        rules: dict[str, Rule] = {
            "copy": lambda source: source,
            "common": lambda source: common,
            "nearest": _nearest(sources, targets),
            "table": lambda source: [
                to for token in source if (to := table.get(token, token)) >= 0
            ],
        }
        return rules | {f"first {n}": _first(n) for n in LEADS}


def _first(n: int) -> Rule:
    return lambda source: source[:n]


def _nearest(sources: Sequence[Ids], targets: Sequence[Ids]) -> Rule:
    """The target of the training source of the largest cosine."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    def grams(source: Ids) -> list[tuple[int, ...]]:
        return [*((token,) for token in source), *pairwise(source)]

    seen = TfidfVectorizer(analyzer=grams, sublinear_tf=True, dtype=np.float32)
    known = seen.fit_transform(sources).T.tocsc()

    def nearest(source: Ids) -> Ids:
        alike = (seen.transform([source]) @ known).tocoo()
        if not alike.nnz:
            return []
        best = alike.col[alike.data >= alike.data.max() - 1e-6].min()  # of equals the first
        return targets[int(best)]

    return nearest


def _rows(ids: Any) -> list[Ids]:
    """The tokens of every row but for PAD, BEGIN, END and IGNORE."""
    control = (PAD, BEGIN, END)
    return [[t for t in row if t >= 0 and t not in control] for row in ids.tolist()]
