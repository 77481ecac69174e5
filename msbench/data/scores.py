"""Scores from the reference libraries, over a test set and per example.

Accuracy, F1 and ROUGE are shares (0 to 1); BLEU and chrF are points (0 to 100), as in their papers
and tools; `metrics` has the facts of each. scikit-learn takes seconds to import, and is when it is
first used.
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
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from msbench.data.task import Scores
from msbench.data.words import bleu_tokenizer, lowered, spaced, words_of
from msbench.errors import DataError

ROUGES = ("rouge1", "rouge2", "rougeL")


def label_scores(
    predictions: Sequence[int] | Sequence[Sequence[float]], references: Sequence[int]
) -> Scores:
    """Accuracy and macro-F1 (scikit-learn: the mean over labels, common or rare).

    If predictions are log-probabilities of all classes rather than class ids, also the negative
    log-likelihood in nats and the calibration error.
    """
    from sklearn.metrics import f1_score

    predicted, ids = np.asarray(predictions), class_ids(predictions)
    correct = np.asarray(ids == np.asarray(references), float)
    macro = f1_score(
        references, ids, labels=sorted(set(references)), average="macro", zero_division=0.0
    )
    metrics = {"accuracy": _mean(correct), "macro_f1": float(macro)}
    examples = {"accuracy": correct.tolist()}
    if predicted.ndim == 2:
        nll = -predicted[np.arange(len(predicted)), references]
        confidence = np.exp(predicted.max(axis=1))
        metrics |= {"nll": _mean(nll), "calibration": calibration_error(confidence, correct)}
        examples["nll"] = nll.tolist()
    return Scores(metrics, examples)


def class_ids(predictions: Sequence[int] | Sequence[Sequence[float]]) -> NDArray[np.int64]:
    """Class ids, or log-probabilities of all classes -> class ids."""
    predicted = np.asarray(predictions)
    return predicted.argmax(axis=1) if predicted.ndim == 2 else predicted


def calibration_error(confidence: Any, correct: Any, bins: int = 15) -> float:
    """Expected calibration error (Guo et al., 2017).

    The absolute difference between mean confidence and accuracy in bins of equal width, averaged
    with the bins' shares of the examples as weights.
    """
    sure, right = np.asarray(confidence), np.asarray(correct)
    bin_of = np.clip(np.ceil(sure * bins) - 1, 0, bins - 1).astype(int)
    gaps = np.bincount(bin_of, weights=sure - right, minlength=bins)
    return float(np.abs(gaps).sum() / max(1, len(sure)))


def span_f1(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> Scores:
    """F1, precision and recall of whole spans with their label, over all texts (CoNLL).

    Also the share of texts whose spans are all right, and of words with the right tag. Per
    example: F1 of its spans, 1 if neither side has any.
    """
    texts = list(zip(predictions, references, strict=True))
    tags = [p == r for pair in texts for p, r in zip(*pair, strict=True)]
    spans = [(spans_of(p), spans_of(r)) for p, r in texts]
    right = sum(len(p & r) for p, r in spans)
    found, wanted = (sum(map(len, side)) for side in zip(*spans, strict=True))
    any_span = found or wanted
    exact = [float(p == r) for p, r in spans]
    f1 = [2 * len(p & r) / (len(p) + len(r)) if p or r else 1.0 for p, r in spans]
    metrics = {
        "span_f1": 2 * right / (found + wanted) if any_span else 1.0,
        "precision": right / max(1, found) if any_span else 1.0,
        "recall": right / max(1, wanted) if any_span else 1.0,
        "exact": _mean(exact),
        "tag_accuracy": _mean(tags),
    }
    return Scores(metrics, {"span_f1": f1, "exact": exact})


def spans_of(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """(label, first place, last place) of every span, as CoNLL's evaluation reads tags.

    Tjong Kim Sang and Buchholz, 2000: also where one begins with I-, and with E- and S- of other
    schemes.
    """
    found, first = set[tuple[str, int, int]](), 0
    before, label_before = "O", "_"
    for place, tag in enumerate([*tags, "O"]):
        mark, label = tag[:1], tag[1:].partition("-")[2] or tag[1:].removeprefix("-") or "_"
        other = label != label_before
        if before in "ES" or (before in "BI" and mark in "BSO") or (before != "O" and other):
            found.add((label_before, first, place - 1))
        if mark in "BS" or (mark in "IE" and before in "OES") or (mark != "O" and other):
            first = place
        before, label_before = mark, label
    return found


def perplexity(predictions: Sequence[float], references: Sequence[tuple[int, int]]) -> Scores:
    """Bits per byte and perplexity per token, from the log-probability (nats) of each text.

    references: (bytes, tokens) of each text. Bits per byte compare across tokenizers, perplexity
    does not.
    """
    size, tokens = (sum(reference[i] for reference in references) for i in (0, 1))
    nats = -math.fsum(predictions)
    bits = [-p / math.log(2) / max(1, r[0]) for p, r in zip(predictions, references, strict=True)]
    return Scores(
        {
            "bits_per_byte": nats / math.log(2) / max(1, size),
            "perplexity": math.exp(min(700.0, nats / max(1, tokens))),
        },
        {"bits_per_byte": bits},
    )


def continuation(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """chrF of generated text against the original continuation, and how varied it is.

    The rest as in `variety`.
    """
    repetition = [_repetition(spaced(text).split()) for text in predictions]
    scores = bleu_chrf(predictions, references)
    return Scores(
        {"chrf": scores.metrics["chrf"], **variety(predictions)},
        {"chrf": scores.examples["chrf"], "repetition": repetition},
        scores.signatures,
    )


def variety(texts: Sequence[str]) -> dict[str, float]:
    """How much texts repeat themselves and each other, as people see it.

    repetition: the share of a text's four-word sequences that it has used before, a mean over texts
    (Welleck et al., 2020). distinct1, distinct2: different words, and pairs of words, as shares of
    all of them in all texts (Li et al., 2016). self_bleu: BLEU of each of the first texts against
    all others of these (Zhu et al., 2018); NaN of fewer than two. All depend on how much text there
    is, so they compare with those of as many texts of that length. Words are what spaces separate,
    and the letters of scripts without spaces.
    """
    split = [spaced(text).split() for text in texts]
    return {
        "repetition": _mean([_repetition(each) for each in split]),
        "distinct1": _distinct(split, 1),
        "distinct2": _distinct(split, 2),
        "self_bleu": _self_bleu(texts[:COMPARED]),
    }


COMPARED = 32
"""Texts whose BLEU against each other is taken: the cost grows with their square."""


def _distinct(texts: Sequence[Sequence[str]], n: int) -> float:
    grams = [tuple(words[i : i + n]) for words in texts for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def _self_bleu(texts: Sequence[str]) -> float:
    if len(texts) < 2:
        return math.nan
    others = [[*texts[:at], *texts[at + 1 :]] for at in range(len(texts))]
    tokenizer = bleu_tokenizer(texts)
    scores = (
        BLEU(effective_order=True, tokenize=tokenizer).sentence_score(text, rest)
        for text, rest in zip(texts, others, strict=True)
    )
    return _mean([each.score for each in scores])


def bleu_chrf(predictions: Sequence[str], references: Sequence[str], tokenizer: str = "") -> Scores:
    """BLEU (Papineni et al., 2002), chrF (Popovic, 2015) and exact match, by sacrebleu.

    tokenizer: sacrebleu's for BLEU; by default the one for the references' language
    (`msbench.bleu_tokenizer`). DataError if it is not installed.
    """
    pairs = list(zip(predictions, references, strict=True))
    tokenizer = tokenizer or bleu_tokenizer(references)
    bleu, sentence_bleu = (_bleu(tokenizer, effective) for effective in (False, True))
    chrf = CHRF()
    exact = [float(p == r) for p, r in pairs]
    return Scores(
        {
            "bleu": bleu.corpus_score(list(predictions), [list(references)]).score,
            "chrf": chrf.corpus_score(list(predictions), [list(references)]).score,
            "exact": _mean(exact),
        },
        {
            "bleu": [sentence_bleu.sentence_score(p, [r]).score for p, r in pairs],
            "chrf": [chrf.sentence_score(p, [r]).score for p, r in pairs],
            "exact": exact,
        },
        {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())},
    )


def _bleu(tokenizer: str, effective_order: bool) -> BLEU:
    try:
        return BLEU(tokenize=tokenizer, effective_order=effective_order)
    except (ImportError, RuntimeError) as error:  # of Japanese and Korean: packages of their own
        reason = " ".join(str(error).split())
        raise DataError(f"sacrebleu's tokenizer {tokenizer!r} cannot be used: {reason}") from error


def rouge(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """ROUGE-1, -2 and -L F-measures (Lin, 2004) with stemming, by rouge-score.

    Words of any script count (`msbench.words_of`): rouge-score's own tokenizer knows a to z and 0
    to 9 only.
    """
    pairs = zip(predictions, references, strict=True)
    scores = [_rouge_scorer().score(reference, text) for text, reference in pairs]
    return _averaged({name: [each[name].fmeasure for each in scores] for name in ROUGES})


def exact_f1(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """Exact match and token F1 as SQuAD defines them (Rajpurkar et al., 2016), as shares.

    Both are taken after lower-casing, without punctuation and articles; each letter of a script
    without spaces is a token (as for Chinese in Cui et al., 2019).
    """
    pairs = [(_normal(p), _normal(r)) for p, r in zip(predictions, references, strict=True)]
    return _averaged(
        {
            "exact": [float(p == r) for p, r in pairs],
            "f1": [_token_f1(spaced(p).split(), spaced(r).split()) for p, r in pairs],
        }
    )


TEXT_SCORES = {
    **dict.fromkeys(("bleu", "chrf"), bleu_chrf),
    **dict.fromkeys(ROUGES, rouge),
    **dict.fromkeys(("f1", "exact"), exact_f1),
}
"""The function that scores texts by the metric of that name."""


def _averaged(examples: dict[str, list[float]]) -> Scores:
    """Scores whose metrics are means over examples."""
    return Scores({name: _mean(values) for name, values in examples.items()}, examples)


def _mean(values: Any) -> float:
    """The mean; 0 of no values."""
    return float(np.mean(values)) if len(values) else 0.0


def _repetition(words: Sequence[str]) -> float:
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _normal(text: str) -> str:
    bare = "".join(char for char in lowered(text) if char not in string.punctuation)
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
    """rouge-score's tokenizer for every script: words of 4 letters or more are stemmed."""

    def __init__(self) -> None:
        self.stemmer = PorterStemmer()

    def tokenize(self, text: str) -> list[str]:
        return [self.stemmer.stem(word) if len(word) > 3 else word for word in words_of(text)]
