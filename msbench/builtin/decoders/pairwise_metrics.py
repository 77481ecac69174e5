"""How much the texts of a group agree: a metric of all pairs at once."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

import msbench

ORDER, BETA = 6, 2
"""Of chrF: the longest character n-grams, and the weight of recall."""

Table = NDArray[np.floating[Any]]


def chrf_table(texts: Sequence[str]) -> Table:
    """(N, N) chrF, from 0 to 100, of each text (row) against each as its reference (column).

    Popovic, 2015, as sacrebleu computes it by default; n-grams are counted once per text instead of
    once per pair.
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
    """(N, N) sentence BLEU, from 0 to 100, by sacrebleu, with the orders that a short text has."""
    score = _bleu(msbench.bleu_tokenizer(texts))
    return np.array([[score(text, [other]).score for other in texts] for text in texts])


TABLES = {"chrf": chrf_table, "bleu": bleu_table}


def _counts(grams: Sequence[Sequence[str]]) -> Table:
    """(N, distinct n-grams) how often each occurs in each text."""
    columns = {gram: column for column, gram in enumerate(dict.fromkeys(chain(*grams)))}
    counts = np.zeros((len(grams), len(columns)))
    for row, of_text in enumerate(grams):
        for gram, count in Counter(of_text).items():
            counts[row, columns[gram]] = count
    return counts


@cache
def _bleu(tokenizer: str) -> Callable[..., Any]:
    from sacrebleu.metrics.bleu import BLEU

    score: Callable[..., Any] = BLEU(effective_order=True, tokenize=tokenizer).sentence_score
    return score
