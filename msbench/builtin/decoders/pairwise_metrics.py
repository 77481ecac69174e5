"""How much the texts of a group agree with each other: every pair at once."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

ORDER, BETA = 6, 2
"""Of chrF: the longest sequences of characters, and the weight of recall."""


Table = NDArray[np.floating[Any]]


def chrf_table(texts: Sequence[str]) -> Table:
    """(N, N) chrF, of 100, of each text (row) against each as its reference (column).

    Popovic, 2015, as sacrebleu has it by default; sequences are counted once a text instead of once
    a pair.
    """
    bare = ["".join(text.split()) for text in texts]
    precision, recall, orders = (np.zeros((len(bare), len(bare))) for _ in range(3))
    for n in range(1, ORDER + 1):
        counts = _counts([[text[i : i + n] for i in range(len(text) - n + 1)] for text in bare])
        matches = np.minimum(counts[:, None], counts[None]).sum(axis=2)
        totals = counts.sum(axis=1)
        both = (totals[:, None] > 0) & (totals[None] > 0)
        precision += np.divide(matches, totals[:, None], out=np.zeros_like(matches), where=both)
        recall += np.divide(matches, totals[None], out=np.zeros_like(matches), where=both)
        orders += both
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    below = BETA**2 * precision + recall
    above = (1 + BETA**2) * precision * recall
    table: Table = 100 * np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return table


def bleu_table(texts: Sequence[str]) -> Table:
    """(N, N) sentence BLEU, of 100, by sacrebleu, with the orders that a short text has."""
    score = _bleu()
    return np.array([[score(text, [other]).score for other in texts] for text in texts])


TABLES = {"chrf": chrf_table, "bleu": bleu_table}


def _counts(grams: Sequence[Sequence[str]]) -> Table:
    """(N, distinct sequences) how often each occurs in each text."""
    places = {
        gram: place for place, gram in enumerate(dict.fromkeys(g for row in grams for g in row))
    }
    counts = np.zeros((len(grams), len(places)))
    for row, each in enumerate(grams):
        for gram, count in Counter(each).items():
            counts[row, places[gram]] = count
    return counts


@cache
def _bleu() -> Callable[..., Any]:
    from sacrebleu.metrics.bleu import BLEU

    score: Callable[..., Any] = BLEU(effective_order=True).sentence_score
    return score
