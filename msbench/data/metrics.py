"""Scores from the reference libraries, over a test set and per example.

Accuracy, F1 and ROUGE are shares (0 to 1); BLEU and chrF are points (0 to 100), as their papers
and tools give them. scikit-learn and seqeval are imported when they are first used: they take
seconds that only some tasks need.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from msbench.data.task import Scores

ROUGES = ("rouge1", "rouge2", "rougeL")

POINTS = ("bleu", "chrf")
"""Metrics from 0 to 100; the others of texts and labels are shares from 0 to 1."""


def label_scores(
    predictions: Sequence[int] | Sequence[Sequence[float]], references: Sequence[int]
) -> Scores:
    """Accuracy and macro-F1 (scikit-learn: the mean over labels, common or rare).

    If predictions are log-probabilities of all classes rather than class ids, also the negative
    log-likelihood in nats and the calibration error.
    """
    from sklearn.metrics import f1_score

    found = np.asarray(predictions)
    ids = found.argmax(axis=1) if found.ndim == 2 else found
    right = np.asarray(ids == np.asarray(references), float)
    macro = f1_score(
        references, ids, labels=sorted(set(references)), average="macro", zero_division=0.0
    )
    metrics = {"accuracy": _mean(right), "macro_f1": float(macro)}
    examples = {"accuracy": right.tolist()}
    if found.ndim == 2:
        nll = -found[np.arange(len(found)), references]
        metrics |= {
            "nll": _mean(nll),
            "calibration": calibration_error(np.exp(found.max(axis=1)), right),
        }
        examples["nll"] = nll.tolist()
    return Scores(metrics, examples)


def calibration_error(confidence: Any, right: Any, bins: int = 15) -> float:
    """Expected calibration error (Guo et al., 2017): |confidence - accuracy|, averaged over bins
    of equal width, each weighted by its share of the examples."""
    sure, correct = np.asarray(confidence), np.asarray(right)
    place = np.clip(np.ceil(sure * bins) - 1, 0, bins - 1).astype(int)
    gaps = np.bincount(place, weights=sure - correct, minlength=bins)
    return float(np.abs(gaps).sum() / max(1, len(sure)))


def span_f1(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> Scores:
    """F1, precision and recall of whole spans with their label, in BIO tags (CoNLL), by seqeval.

    Also the share of texts whose spans are all right, and of words with the right tag. Per
    example: F1 of its spans, 1 if neither side has any.
    """
    from seqeval.metrics import f1_score, precision_score, recall_score
    from seqeval.metrics.sequence_labeling import get_entities

    found, gold = [list(p) for p in predictions], [list(r) for r in references]
    same = [p == r for a, b in zip(found, gold, strict=True) for p, r in zip(a, b, strict=True)]
    pairs = [(set(get_entities(p)), set(get_entities(r))) for p, r in zip(found, gold, strict=True)]
    shares = [2 * len(p & r) / (len(p) + len(r)) if p or r else 1.0 for p, r in pairs]
    if not any(p or r for p, r in pairs):
        metrics = {"span_f1": 1.0, "precision": 1.0, "recall": 1.0}
    else:
        metrics = {
            "span_f1": float(f1_score(gold, found, zero_division=0)),
            "precision": float(precision_score(gold, found, zero_division=0)),
            "recall": float(recall_score(gold, found, zero_division=0)),
        }
    exact = [float(p == r) for p, r in pairs]
    metrics |= {"exact": _mean(exact), "tag_accuracy": _mean(same)}
    return Scores(metrics, {"span_f1": shares, "exact": exact})


def perplexity(predictions: Sequence[float], references: Sequence[tuple[int, int]]) -> Scores:
    """Bits per byte and perplexity per token, from the log-probability (nats) of each text.

    references: (bytes, tokens) of each text. Bits per byte compare across tokenizers, perplexity
    does not.
    """
    sizes, tokens = (sum(r[i] for r in references) for i in (0, 1))
    total = -math.fsum(predictions)
    each = [-p / math.log(2) / max(1, r[0]) for p, r in zip(predictions, references, strict=True)]
    return Scores(
        {
            "bits_per_byte": total / math.log(2) / max(1, sizes),
            "perplexity": math.exp(min(700.0, total / max(1, tokens))),
        },
        {"bits_per_byte": each},
    )


def continuation(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """Generated text against how the original goes on: chrF; and how it repeats itself.

    repetition: share of its four-word sequences that it has already used (Welleck et al., 2020).
    """
    repeated = [_repetition(text.split()) for text in predictions]
    scores = bleu_chrf(predictions, references)
    return Scores(
        {"chrf": scores.metrics["chrf"], "repetition": _mean(repeated)},
        {"chrf": scores.examples["chrf"], "repetition": repeated},
        scores.signatures,
    )


def bleu_chrf(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """BLEU (Papineni et al., 2002), chrF (Popovic, 2015) and exact match, by sacrebleu."""
    pairs = list(zip(predictions, references, strict=True))
    bleu, sentence, chrf = BLEU(), BLEU(effective_order=True), CHRF()
    exact = [float(p == r) for p, r in pairs]
    return Scores(
        {
            "bleu": bleu.corpus_score(list(predictions), [list(references)]).score,
            "chrf": chrf.corpus_score(list(predictions), [list(references)]).score,
            "exact": _mean(exact),
        },
        {
            "bleu": [sentence.sentence_score(p, [r]).score for p, r in pairs],
            "chrf": [chrf.sentence_score(p, [r]).score for p, r in pairs],
            "exact": exact,
        },
        {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())},
    )


def rouge(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """ROUGE-1, -2 and -L F-measures (Lin, 2004) with stemming, by rouge-score.

    Words of any script count: rouge-score's own tokenizer knows a to z and 0 to 9 only.
    """
    pairs = zip(predictions, references, strict=True)
    scored = [_rouge_scorer().score(reference, text) for text, reference in pairs]
    examples = {name: [each[name].fmeasure for each in scored] for name in ROUGES}
    return Scores({k: _mean(v) for k, v in examples.items()}, examples)


def exact_f1(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """Exact match and token F1 as SQuAD has them (Rajpurkar et al., 2016), as shares.

    Both are taken after lower-casing, without punctuation and articles.
    """
    pairs = [(_normal(p), _normal(r)) for p, r in zip(predictions, references, strict=True)]
    examples = {
        "exact": [float(p == r) for p, r in pairs],
        "f1": [_token_f1(p.split(), r.split()) for p, r in pairs],
    }
    return Scores({k: _mean(v) for k, v in examples.items()}, examples)


TEXT_SCORES = {
    **dict.fromkeys(("bleu", "chrf"), bleu_chrf),
    **dict.fromkeys(ROUGES, rouge),
    **dict.fromkeys(("f1", "exact"), exact_f1),
}
"""What scores texts by the metric of that name."""


def _mean(values: Any) -> float:
    """0 of nothing."""
    return float(np.mean(values)) if len(values) else 0.0


def _repetition(words: Sequence[str]) -> float:
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


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
    return RougeScorer(list(ROUGES), tokenizer=_Words())


class _Words(Tokenizer):  # type: ignore[misc]
    """What rouge-score does to English, to every script: words of 4 letters or more stemmed."""

    def __init__(self) -> None:
        self.stemmer = PorterStemmer()

    def tokenize(self, text: str) -> list[str]:
        words = re.findall(r"[^\W_]+", text.lower())
        return [self.stemmer.stem(word) if len(word) > 3 else word for word in words]
