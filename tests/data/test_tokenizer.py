"""Tasks prepared with a tokenizer that a model brings."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Trained

from msbench import (
    BEGIN,
    END,
    IGNORE,
    PAD,
    DataError,
    SuiteError,
    Tokenizer,
    bleu_chrf,
    classification,
    language_modelling,
    load_plugins,
    load_suite,
    run_job,
    summarization,
    tagging,
)
from msbench.data.tokens import train_tokenizer
from msbench.plan.trials import plan
from msbench.run.driver import fingerprint_of

TEXTS = [f"the {word} sat on the mat, été {n}" for n in range(9) for word in ("cat", "dog")]


def thirds(items: list[Any]) -> dict[str, list[Any]]:
    return {"train": items, "validation": items, "test": items}


def like_gpt2(name: str = "like GPT-2") -> tuple[Tokenizer, Trained]:
    """Of bytes; its last token ends a text and begins one, and nothing pads."""
    bytes_ = train_tokenizer(TEXTS, 300, lossless=True)
    last = bytes_.get_vocab_size() - 4

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [[i - 4 for i in each.ids] for each in bytes_.encode_batch(list(texts))]

    def decode(rows: Sequence[Sequence[int]]) -> list[str]:
        known = [[i + 4 for i in row if i != last] for row in rows]
        return bytes_.decode_batch(known)  # type: ignore[no-any-return]

    return Tokenizer(name, encode, decode, last + 1, begin=last, end=last), bytes_


def like_bert() -> Tokenizer:
    """Of characters, with its special tokens somewhere."""
    letters = [*sorted(set("".join(TEXTS))), "[SEP]", "[PAD]", "[UNK]"]

    def encode(texts: Sequence[str]) -> list[list[int]]:
        unknown = len(letters) - 1
        return [[letters.index(c) if c in letters else unknown for c in text] for text in texts]

    def decode(rows: Sequence[Sequence[int]]) -> list[str]:
        return ["".join(letters[i] for i in row) for row in rows]

    end, pad, unknown = (letters.index(each) for each in ("[SEP]", "[PAD]", "[UNK]"))
    return Tokenizer("like BERT", encode, decode, len(letters), pad=pad, end=end, unknown=unknown)


@pytest.mark.parametrize("tokenizer", [like_gpt2()[0], like_bert()], ids=lambda each: each.name)
def test_ids_are_msbenchs_and_lead_back(tokenizer: Tokenizer) -> None:
    for text, ids, own in zip(TEXTS, tokenizer.ids(TEXTS), tokenizer.encode(TEXTS), strict=True):
        assert tokenizer.own[ids].tolist() == list(own)
        assert tokenizer.texts([[BEGIN, *ids, PAD]][:1])[0].startswith(text)
    assert tokenizer.own[END] == tokenizer.end
    others = tokenizer.own[4:]
    assert len(set(others)) == len(others)
    assert set(others) | {i for i in tokenizer.own[:4] if i >= 0} == set(range(tokenizer.size))
    assert tokenizer.ids(["☃"])[0][0] == 3 or tokenizer.unknown is None
    odd = replace(tokenizer, encode=lambda texts: [[tokenizer.size]] * len(texts))
    with pytest.raises(DataError, match=f"are not 0 to {tokenizer.size - 1}"):
        odd.ids(["a"])


def test_labelled_texts_and_words() -> None:
    tokenizer = like_bert()
    rows = [(text, text.split()[1]) for text in TEXTS]
    task = classification(thirds(rows), max_length=12, vocabulary=tokenizer)
    assert task.train.source is not None
    assert task.train.source[0].tolist() == [*tokenizer.ids(TEXTS[:1])[0][:12], END]
    assert (task.tokenizer, task.vocabulary) == (tokenizer, len(tokenizer.own))
    other = classification(
        thirds(rows), max_length=12, vocabulary=replace(tokenizer, name="another")
    )
    assert other.fingerprint() != task.fingerprint()

    tagged = [(text.split(), ["B-x"] + ["O"] * (len(text.split()) - 1)) for text in TEXTS]
    task = tagging(thirds(tagged), max_length=40, vocabulary=tokenizer)
    assert task.train.words is not None
    assert task.train.words[0, :3].tolist() == [0, 3, 6]
    assert (task.train.target[0] != IGNORE).sum() == len(TEXTS[0].split())


def test_summaries_are_scored_as_texts() -> None:
    tokenizer = like_bert()
    options: Any = {"score": bleu_chrf, "metric": "bleu", "max_source": 50, "max_target": 50}
    rows = [(text, text) for text in TEXTS]
    task = summarization(thirds(rows), vocabulary=tokenizer, **options)
    right = task.score(tokenizer.ids(TEXTS), task.test.references)
    assert right.metrics["bleu"] == pytest.approx(100)
    assert task.test.input is not None
    assert (task.test.input[:, 0] == BEGIN).all()


def test_documents_have_the_same_bytes_in_other_tokens() -> None:
    """Bits per byte are of the same bytes, and blocks as learned when the tokens are the same."""
    tokenizer, _ = like_gpt2()
    texts = [*TEXTS, "à la carte " * 9, "été"]
    options: Any = {"block": 7, "prompt": 2}
    learned = language_modelling(thirds(TEXTS), vocabulary=300, **options)
    brought = language_modelling(thirds(TEXTS), vocabulary=tokenizer, **options)
    sizes = [[size for size, *_ in task.test.references] for task in (learned, brought)]
    assert sizes[0] == sizes[1]
    assert learned.notes == brought.notes
    task = language_modelling(thirds(texts), vocabulary=tokenizer, **options)
    total = sum(size for size, *_ in task.test.references)
    assert total == sum(len(text.encode()) for text in texts)
    lossy = replace(tokenizer, name="lower case", encode=lambda t: tokenizer.encode(["x"] * len(t)))
    with pytest.raises(DataError, match="lower case changes texts"):
        language_modelling(thirds(texts), vocabulary=lossy, **options)


PLUGIN = """
import msbench, torch
from msbench.builtin.models.encoder_decoder import EncoderDecoder

@msbench.hookimpl
def register_models(register):
    register("ready", Ready, fits=["seq2seq"], tokenizer=letters)

@msbench.hookimpl
def register_tasks(register):
    register("fixed-words", fixed_words, fits=["seq2seq"])

def letters(alphabet):
    known = {c: i for i, c in enumerate(alphabet)}
    return msbench.Tokenizer(
        "letters " + alphabet,
        lambda texts: [[known.get(c, 0) for c in text] for text in texts],
        lambda rows: ["".join(alphabet[i] for i in row) for row in rows],
        len(alphabet),
    )

class Ready(EncoderDecoder):
    def __init__(self, task, alphabet="#0123456789abcdefghijklmnopqrstuvwxyz -"):
        super().__init__(task, width=8, heads=2, layers=1)
        assert task.tokenizer.name == "letters " + alphabet

def fixed_words():
    return msbench.translation(
        {name: [("a", "b")] * 9 for name in ("train", "validation", "test")},
        score=msbench.bleu_chrf, metric="bleu", max_source=9, max_target=9, vocabulary=99)
"""


def test_a_trial_is_prepared_with_the_models_tokenizer(
    write_suite: Callable[..., Path], write_plugin: Callable[..., str]
) -> None:
    file = write_plugin(PLUGIN)
    registry = load_plugins([file])
    model = '[[model]]\nname = "ready"\n'
    suite = load_suite(str(write_suite(bottom=model)))

    def data(*parts: Any) -> str:
        return fingerprint_of(registry, *parts, fetch=None)

    trials = plan(suite, registry, (), data)
    by_model = {trial.model.name: trial for trial in trials if trial.optimizer.name == "adamw"}
    assert by_model["ready"].data != by_model["encoder-decoder"].data
    record = run_job(by_model["ready"], files=[file])
    assert (record.status, record.reason) == ("ok", "")
    task = registry.make_task(by_model["ready"].task, by_model["ready"].model)
    other = registry.make_task(by_model["ready"].task, by_model["encoder-decoder"].model)
    assert task.test.references == other.test.references

    wrong = write_suite(bottom=model + '[[task]]\nname = "fixed-words"\n')
    with pytest.raises(
        SuiteError, match="'ready' brings its own tokenizer, and task 'fixed-words'"
    ):
        plan(load_suite(str(wrong)), registry, (), data)
