"""Metrics against hand-worked figures and the libraries they come from."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sacrebleu
import seqeval.metrics.sequence_labeling as seqeval
from hypothesis import given
from hypothesis import strategies as st

from msbench import Metric, Split, Task, bleu_chrf, exact_f1, label_scores, rouge, span_f1
from msbench.data.metrics import METRICS
from msbench.data.scores import (
    calibration_error,
    continuation,
    perplexity,
    spans_of,
    variety,
)

WORDS = st.lists(st.text("abc ", max_size=12), min_size=1, max_size=6)


def test_exact_f1_as_squad_has_them() -> None:
    scores = exact_f1(["The Cat!", "a red dog", "", "no"], ["cat", "red cat", "no", "no"])
    assert scores.examples["exact"] == [1.0, 0.0, 0.0, 1.0]
    assert scores.examples["f1"] == pytest.approx([1.0, 0.5, 0.0, 1.0])
    assert scores.metrics == {"exact": 0.5, "f1": pytest.approx(0.625)}


def test_bleu_and_chrf_are_sacrebleus() -> None:
    predictions, references = ["the cat sat on the mat", "a dog"], ["a cat sat on the mat", "a dog"]
    scores = bleu_chrf(predictions, references).metrics
    assert scores["bleu"] == sacrebleu.corpus_bleu(predictions, [references]).score
    assert scores["chrf"] == sacrebleu.corpus_chrf(predictions, [references]).score
    assert scores["exact"] == 0.5
    signatures = bleu_chrf(predictions, references).signatures
    assert signatures["bleu"].startswith("nrefs:1|case:mixed|")
    assert f"version:{sacrebleu.__version__}" in signatures["chrf"]


def test_label_scores_from_ids() -> None:
    scores = label_scores([0, 0, 1, -1], [0, 0, 0, 1])
    assert scores.metrics["accuracy"] == 0.5
    assert scores.metrics["macro_f1"] == pytest.approx((2 * 2 / (2 * 2 + 1) + 0) / 2)
    assert scores.examples["accuracy"] == [1.0, 1.0, 0.0, 0.0]
    assert set(scores.metrics) == {"accuracy", "macro_f1"}


def test_label_scores_from_log_probabilities() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    scores = label_scores(np.log(probabilities).tolist(), [0, 1, 1])
    assert scores.metrics["accuracy"] == pytest.approx(2 / 3)
    assert scores.metrics["nll"] == pytest.approx(-np.log([0.9, 0.8, 0.4]).mean())
    assert scores.examples["nll"] == pytest.approx(-np.log([0.9, 0.8, 0.4]))
    assert scores.metrics["calibration"] == pytest.approx((0.1 + 0.2 + 0.6) / 3)


def test_calibration_error() -> None:
    """Sure and right in nine of ten: calibrated. Always sure, half right: off by a half."""
    assert calibration_error([0.9] * 10, [1] * 9 + [0]) == pytest.approx(0, abs=1e-9)
    assert calibration_error([1.0] * 4, [1, 1, 0, 0]) == pytest.approx(0.5)
    # Gaps of unlike sign in different bins do not cancel.
    assert calibration_error([0.95] * 2 + [0.55] * 2, [0, 1, 1, 1]) == pytest.approx(0.45)


def test_span_f1_is_of_whole_spans() -> None:
    gold = [["O", "B-city", "I-city"], ["B-year", "O", "O"], ["O", "O", "O"]]
    near = [["O", "B-city", "O"], ["B-year", "O", "O"], ["O", "O", "O"]]
    assert span_f1(gold, gold).metrics["span_f1"] == 1.0
    scores = span_f1(near, gold)
    assert scores.metrics["span_f1"] == pytest.approx(0.5)
    assert scores.metrics["tag_accuracy"] == pytest.approx(8 / 9)
    assert scores.examples == {"span_f1": [0.0, 1.0, 1.0], "exact": [0.0, 1.0, 1.0]}
    nothing = [["O"] * 3] * 3
    assert span_f1(nothing, gold).metrics["span_f1"] == 0.0
    assert span_f1(nothing, nothing).metrics["span_f1"] == 1.0


TAGS = ("O", "B-x", "I-x", "B-y", "I-y", "E-x", "S-y", "I", "B", "I-a-b")


def test_spans_are_those_of_seqeval() -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        lengths = draw.integers(0, 8, draw.integers(1, 5))
        predicted, gold = ([draw.choice(TAGS, n).tolist() for n in lengths] for _ in range(2))
        for tags in (*predicted, *gold):
            assert spans_of(tags) == set(seqeval.get_entities(tags)), tags
        scores = span_f1(predicted, gold).metrics
        if any(map(spans_of, [*predicted, *gold])):
            found = [scores[name] for name in ("span_f1", "precision", "recall")]
            measures = (seqeval.f1_score, seqeval.precision_score, seqeval.recall_score)
            theirs = [measure(gold, predicted, zero_division=0) for measure in measures]
            assert found == pytest.approx(theirs, abs=1e-12)


def test_bits_per_byte_and_perplexity() -> None:
    """A fair coin a byte is one bit a byte, however the bytes are grouped into tokens."""
    logs = [8 * math.log(0.5), 4 * math.log(0.5)]
    for tokens in (1, 4):
        scores = perplexity(logs, [(8, 2 * tokens), (4, tokens)])
        assert scores.metrics["bits_per_byte"] == pytest.approx(1.0)
        assert scores.metrics["perplexity"] == pytest.approx(2 ** (4 / tokens))
        assert scores.examples["bits_per_byte"] == pytest.approx([1.0, 1.0])


def test_variety() -> None:
    """Of words and pairs that occur once in all texts, and of texts that are one text."""
    apart = variety(["one two three four", "five six seven eight"])
    assert apart == {"repetition": 0, "distinct1": 1, "distinct2": 1, "self_bleu": 0}
    same = variety(["one two three four one"] * 3)
    assert (same["distinct1"], same["distinct2"]) == (4 / 15, 4 / 12)
    assert same["self_bleu"] == pytest.approx(100)
    assert math.isnan(variety(["alone"])["self_bleu"])


def test_repetition() -> None:
    scores = continuation(["a b c d " * 3, "one two three four five"], ["a b c d", "one two"])
    assert scores.examples["repetition"] == pytest.approx([1 - 4 / 9, 0.0])


@given(WORDS)
def test_every_metric_is_perfect_on_its_own_references(texts: list[str]) -> None:
    for metric in (exact_f1, rouge, bleu_chrf):
        scores = metric(texts, texts)
        assert all(len(each) == len(texts) for each in scores.examples.values())
    assert exact_f1(texts, texts).metrics["exact"] == 1.0


def test_every_metric_has_facts_and_keeps_its_bounds() -> None:
    logs = np.log([[0.9, 0.1], [0.2, 0.8]]).tolist()
    texts, tags = ["a b c d " * 3, "x"], [["B-a", "O"]] * 2
    scores = [label_scores(logs, [0, 0]), span_f1(tags, tags), perplexity([-9.0], [(8, 2)])]
    scores += [continuation(texts, texts)]
    scores += [metric(texts, texts[::-1]) for metric in (bleu_chrf, rouge, exact_f1)]
    found = {name: value for each in scores for name, value in each.metrics.items()}
    assert found.keys() == METRICS.keys()
    for name, value in found.items():
        assert METRICS[name].low <= value <= METRICS[name].high
        assert METRICS[name].margin > 0


def test_a_task_says_what_its_metrics_mean() -> None:
    split = Split(None, np.zeros(1, int), [0])
    score = lambda predictions, references: bleu_chrf([], [])  # noqa: E731
    task = Task("classify", split, split, split, score, "chrf", 9)
    facts = task.metric_facts(["chrf", "bbc-news/nll", "mine"])
    assert facts["chrf"] == METRICS["chrf"] == Metric(low=0, high=100, margin=1, unit="points")
    assert facts["bbc-news/nll"] == METRICS["nll"], "as a mixture calls it"
    assert math.isnan(facts["mine"].margin)
    assert not facts["mine"].lower_is_better
    own = replace(task, lower_is_better=("mine",), metrics={"chrf": Metric(high=1)}, also=("mine",))
    assert own.metric_facts(["chrf"]) == {"chrf": Metric(high=1)}
    assert own.metric_facts(["mine"])["mine"].lower_is_better
    assert own.fingerprint() == task.fingerprint()
