"""Scores from the reference libraries, over a test set and per example.

Accuracy and ROUGE are shares (0 to 1); BLEU and chrF are points (0 to 100), as their papers and
tools give them.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from msbench.task import Scores

ROUGES = ("rouge1", "rouge2", "rougeL")


def accuracy(predictions: Sequence[int], references: Sequence[int]) -> Scores:
    """The share of examples whose label is right."""
    right = [float(p == r) for p, r in zip(predictions, references, strict=True)]
    return Scores({"accuracy": sum(right) / max(1, len(right))}, {"accuracy": right})


def bleu_chrf(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """BLEU (Papineni et al., 2002), chrF (Popovic, 2015) and exact match, by sacrebleu."""
    pairs = list(zip(predictions, references, strict=True))
    bleu, sentence, chrf = BLEU(), BLEU(effective_order=True), CHRF()
    exact = [float(p == r) for p, r in pairs]
    return Scores(
        {
            "bleu": bleu.corpus_score(list(predictions), [list(references)]).score,
            "chrf": chrf.corpus_score(list(predictions), [list(references)]).score,
            "exact": sum(exact) / max(1, len(exact)),
        },
        {
            "bleu": [sentence.sentence_score(p, [r]).score for p, r in pairs],
            "chrf": [chrf.sentence_score(p, [r]).score for p, r in pairs],
            "exact": exact,
        },
    )


def rouge(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """ROUGE-1, -2 and -L F-measures (Lin, 2004) with stemming, by rouge-score."""
    pairs = zip(predictions, references, strict=True)
    scored = [_rouge_scorer().score(reference, text) for text, reference in pairs]
    examples = {name: [each[name].fmeasure for each in scored] for name in ROUGES}
    return Scores({k: sum(v) / max(1, len(v)) for k, v in examples.items()}, examples)


@cache
def _rouge_scorer() -> Any:
    return RougeScorer(list(ROUGES), use_stemmer=True)
