"""Metrics against hand-worked figures and the libraries they come from."""

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from msbench import accuracy, bleu_chrf, exact_f1, rouge

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


@given(WORDS)
def test_every_metric_is_perfect_on_its_own_references(texts: list[str]) -> None:
    for metric in (exact_f1, rouge, bleu_chrf):
        scores = metric(texts, texts)
        assert all(len(each) == len(texts) for each in scores.examples.values())
    assert exact_f1(texts, texts).metrics["exact"] == 1.0
    assert accuracy([1, 2], [1, 3]).metrics == {"accuracy": 0.5}
