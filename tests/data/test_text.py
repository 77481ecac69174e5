"""Text as tasks: nothing lost, nothing shifted, control words harmless."""

import numpy as np
import pytest

from msbench import (
    BEGIN,
    END,
    IGNORE,
    PAD,
    DataError,
    bleu_chrf,
    classification,
    language_modelling,
    rouge,
    span_f1,
    summarization,
    tagging,
    translation,
)
from msbench.builtin.models.causal import CausalLM


def thirds(items: list) -> dict:  # type: ignore[type-arg]
    """The same examples as every split."""
    return {"train": items, "validation": items, "test": items}


@pytest.mark.parametrize("block", [4, 7, 64])
def test_blocks_joined_are_the_documents(block: int) -> None:
    """Token by token, across blocks, with END where a document ends and nowhere else."""
    texts = ["", "a", "à propos\n  <end> of <pad>", "It was the best of times. " * 9]
    task = language_modelling(thirds([*texts[1:]]), block=block, prompt=2, vocabulary=300)
    split = task.test
    assert split.input is not None
    sizes = [reference[0] for reference in split.references]
    assert sum(sizes) == sum(len(text.encode()) for text in texts)
    ends = (split.target == END).any(axis=1)
    assert ends.sum() == 3
    lengths = (split.input != PAD).sum(axis=1) - 1
    for row, length, ended in zip(range(len(split)), lengths, ends, strict=True):
        assert split.input[row, 0] == BEGIN
        assert (split.input[row, 1 : length + 1] == split.target[row, :length]).all()
        assert split.target[row, length] == (END if ended else IGNORE)
        assert split.references[row][1] == length + ended


def test_short_documents_leave_room_to_go_on() -> None:
    texts = [f"n {n}" * (1 + n % 4) for n in range(30)]
    task = language_modelling(thirds(texts), block=64, prompt=16, vocabulary=300)
    assert task.longest_source < 16
    model = CausalLM(task, width=8, heads=2)
    assert task.test.input is not None
    assert task.test.source is not None
    rest = (task.test.input != PAD).sum(1) - 1 - (task.test.source != PAD).sum(1)
    assert model.max_length >= rest.max()


def test_control_words_in_a_text_are_text() -> None:
    pairs = [(f"<pad> source <begin> {n}", f"<end> target <unknown> {n}") for n in range(40)]
    task = translation(
        thirds(pairs), score=bleu_chrf, metric="bleu", max_source=99, max_target=99, vocabulary=300
    )
    assert task.test.source is not None
    assert (np.sort(task.test.source, axis=1) != BEGIN).all()
    assert ((task.test.target == END).sum(axis=1) == 1).all()
    perfect = [[t for t in row.tolist() if t not in (END, IGNORE)] for row in task.test.target]
    assert task.score(perfect, task.test.references).metrics["exact"] == 1.0


def test_targets_are_compared_in_normal_form() -> None:
    pairs = [(f"word {n}", f" cafe\u0301 {n} ") for n in range(40)]
    task = translation(
        thirds(pairs), score=bleu_chrf, metric="bleu", max_source=9, max_target=99, vocabulary=300
    )
    perfect = [[t for t in row.tolist() if t > 3] for row in task.test.target]
    assert task.score(perfect, task.test.references).metrics["exact"] == 1.0


def test_summaries_copy_words_that_training_lacks() -> None:
    """A rare word is a slot of its own text, and is told back as it was; references are whole."""
    train = [
        (f"The minister of Name{n} resigns, again.", f"Name{n}: minister gone") for n in range(9)
    ]
    test = [("In Oslo, Kari and Ola resigns", "Ola and Kari: minister Bob gone!")]
    task = summarization(
        {"train": train, "validation": test, "test": test},
        score=rouge,
        metric="rougeL",
        max_source=6,
        max_target=5,
        vocabulary=99,
        slots=5,
    )
    source = task.train.source
    assert source is not None
    assert (source == source[0]).all(), "names met once are all the same slot"
    target = task.test.target[0]
    assert (target == IGNORE).sum() == 1, "a word that has no token and cannot be copied"
    said = [number for number in target.tolist() if number not in (IGNORE, END)]
    assert task.test.references == [(["in", "oslo", "kari", "and", "ola"], test[0][1])]
    assert task.score([said], task.test.references).metrics["rouge1"] == pytest.approx(0.8)
    assert task.notes["cut"]["target/test"] == 1
    strange = list(range(task.vocabulary))
    task.score([strange], task.test.references)


def test_words_that_are_cut_count_as_missed() -> None:
    rows = [(["fly", "to", "Oslo", "and", "Bergen"], ["O", "O", "B-city", "O", "B-city"])] * 20
    task = tagging(thirds(rows), score=span_f1, max_length=3, vocabulary=300)
    assert task.notes["cut"] == {f"source/{n}": 20 for n in ("train", "validation", "test")}
    found = task.score(np.where(task.test.target < 0, 0, task.test.target).tolist(),
                       task.test.references)  # fmt: skip
    assert found.metrics["recall"] == 0.5
    assert found.metrics["precision"] == 1.0


def test_rouge_knows_other_scripts_and_agrees_on_english() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    assert rouge(["привет мир"], ["привет, мир!"]).metrics["rougeL"] == 1.0
    said, gold = "The cats were running_home, 3 of them", "a cat runs home; the 3 cats"
    theirs = RougeScorer(["rougeL"], use_stemmer=True).score(gold, said)["rougeL"].fmeasure
    assert rouge([said], [gold]).metrics["rougeL"] == pytest.approx(theirs)


def test_empty_texts_are_refused() -> None:
    rows = [("a", "yes"), ("b", "no"), ("", "no")]
    with pytest.raises(DataError, match="an empty text or label: example 3 of the train split"):
        classification(thirds(rows), max_length=9, vocabulary=99)
