"""Scores from the reference libraries, over a test set and per example.

Accuracy and ROUGE are shares (0 to 1); BLEU and chrF are points (0 to 100), as their papers and
tools give them.
"""

import re
import string
from collections import Counter
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


def exact_f1(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """Exact match and token F1 as SQuAD has them (Rajpurkar et al., 2016), as shares.

    Both are taken after lower-casing, without punctuation and articles.
    """
    pairs = [(_normal(p), _normal(r)) for p, r in zip(predictions, references, strict=True)]
    examples = {
        "exact": [float(p == r) for p, r in pairs],
        "f1": [_token_f1(p.split(), r.split()) for p, r in pairs],
    }
    return Scores({k: sum(v) / max(1, len(v)) for k, v in examples.items()}, examples)


def _normal(text: str) -> str:
    bare = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _token_f1(predicted: Sequence[str], reference: Sequence[str]) -> float:
    if not predicted or not reference:
        return float(predicted == reference)
    common = sum((Counter(predicted) & Counter(reference)).values())
    return 2 * common / (len(predicted) + len(reference))


@cache
def _rouge_scorer() -> Any:
    return RougeScorer(list(ROUGES), use_stemmer=True)
