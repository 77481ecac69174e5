"""Viterbi decoding against all sequences of tags."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from small_models import tensors
from test_labels import MODELS, TASK, trained
from torch import Tensor, nn
from torch.nn import functional

from msbench import END, IGNORE, PAD, Batch, MsbenchError, Task, evaluation_batches, tagging
from msbench.builtin.decoders.labels import argmax
from msbench.builtin.decoders.viterbi import best_path, transitions, viterbi
from msbench.plugins.registry import Registry
from msbench.run.decode import decode
from msbench.spec import Choice

NAMES = ["B-x", "B-y", "I-x", "I-y", "O"]
OUT = 4


def is_bio(tags: list[str]) -> bool:
    return all(
        tag[:2] != "I-" or before in ("B-" + tag[2:], "I-" + tag[2:])
        for before, tag in zip(["O", *tags], tags, strict=False)
    )


def all_valid(names: list[str], length: int) -> Tensor:
    """(N, length) every valid sequence of tags."""
    every = product(range(len(names)), repeat=length)
    return torch.tensor([tags for tags in every if is_bio([names[t] for t in tags])])


@pytest.mark.parametrize("names", [NAMES, ["O", "B-x", "I-x"], ["I-z", "O", "B-a", "I-a", "B-b"]])
def test_the_best_path_is_the_best_of_all(names: list[str]) -> None:
    """Every sequence of every length up to five, scored one by one."""
    torch.manual_seed(0)
    for length in range(1, 6):
        every = all_valid(names, length)
        scores = (3 * torch.randn(20, length, len(names)).double()).log_softmax(-1)
        sums = scores[:, torch.arange(length), every].sum(-1)
        best = best_path(scores, transitions(names), names.index("O"))
        assert torch.equal(best, every[sums.argmax(-1)])


def test_of_equal_paths_the_first_label_wins() -> None:
    best = best_path(torch.zeros(2, 4, 5).double(), transitions(NAMES), OUT)
    assert best.tolist() == [[0, 0, 0, 0]] * 2
    # I-y, as likely as O, is above the rest, and only B-y can be before it.
    scores = torch.full((1, 2, 5), -9.0).double()
    scores[0, 0, [1, 4]] = 0.0
    scores[0, 1, [3, 4]] = 0.0
    assert best_path(scores, transitions(NAMES), OUT).tolist() == [[1, 3]]


def make_tags(examples: int = 40) -> Task:
    """Words of one to three letters, of which two name things that go on; texts of many lengths."""
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(examples):
        words, tags = [], []
        for _ in range(draw.integers(1, 6)):
            kind = draw.choice(["x", "y", ""])
            size = draw.integers(1, 4) if kind else 1
            words += [
                "".join(draw.choice(list("abcdef"), draw.integers(1, 4))) for _ in range(size)
            ]
            tags += [f"{'I' if i else 'B'}-{kind}" if kind else "O" for i in range(size)]
        rows.append((words, tags))
    splits = {"train": rows, "validation": rows, "test": rows}
    return tagging(splits, max_length=9, vocabulary=12)


class Random(nn.Module):
    """Random logits of each token at each place."""

    def __init__(self, task: Task, scale: float = 2.0):
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        shape = task.vocabulary, 40, task.classes
        self.table = scale * torch.randn(shape, generator=draw, dtype=torch.float64)

    def forward(self, batch: Batch) -> Tensor:
        return self.table[batch.source, torch.arange(batch.source.shape[1])]


def names_of(tags: Any, task: Task) -> list[list[str]]:
    """The sequences of tags that are scored."""
    labels = task.notes["labels"]
    return [
        [labels[ids[place]] if place >= 0 else "O" for place in places]
        for ids, (places, _) in zip(tags, task.test.references, strict=True)
    ]


def test_words_are_where_the_references_have_them() -> None:
    task = make_tags()
    assert task.test.words is not None
    assert any(-1 in places for places, _ in task.test.references), "some are cut"
    for size in (1, 7, 40):
        for batch in evaluation_batches(task.test, size):
            starts = [[p for p in places if p >= 0] for places, _ in batch.references]
            assert batch.words.shape == (len(batch.rows), max(map(len, starts)))
            assert [[p for p in row if p >= 0] for row in batch.words.tolist()] == starts
            part = batch.shard(0, 2) if size > 1 else batch
            assert len(part.words) == len(part.rows)
    batch = tensors(task.test, 0, 1, 2)
    assert isinstance(batch.words, Tensor)
    targets = batch.target.gather(1, batch.words.clamp(min=0))
    assert ((targets != IGNORE) | (batch.words < 0)).all()
    assert (batch.target != IGNORE).sum() == (batch.words >= 0).sum(), "tags only where words begin"
    assert TASK.test.batch(np.arange(3)).words is None


def test_words_are_no_part_of_the_fingerprint() -> None:
    task = make_tags()
    without = {name: replace(split, words=None) for name, split in task.splits.items()}
    assert replace(task, **without).fingerprint() == task.fingerprint()


def test_viterbi_is_the_best_of_all_sequences() -> None:
    """From logits and text to tags, example by example, in one batch, padded, and alone."""
    task = make_tags()
    batch, model, decoder = tensors(task.test), Random(task), viterbi(task)
    tags, logs = decoder(model, batch), model(batch).log_softmax(-1)
    assert tags.shape == batch.source.shape
    for row, places in enumerate(batch.words.tolist()):
        used = [place for place in places if place >= 0]
        if len(used) > 6:
            continue  # too many to try
        every = all_valid(task.notes["labels"], len(used))
        sums = logs[row, used][torch.arange(len(used)), every].sum(-1)
        assert torch.equal(tags[row, used], every[sums.argmax()])
    wide = replace(
        batch,
        source=functional.pad(batch.source, (0, 4), value=PAD),
        words=functional.pad(batch.words, (0, 3), value=-1),
    )
    assert torch.equal(decoder(model, wide)[:, : tags.shape[1]], tags)
    for row in range(len(task.test)):
        one = tensors(task.test, row)
        assert torch.equal(decoder(model, one)[0], tags[row, : one.source.shape[1]])
    assert all(is_bio(names) for names in names_of(tags, task))
    plain = names_of(argmax()(model, batch), task)
    assert not all(is_bio(names) for names in plain), "or nothing was tested"


def test_viterbi_leaves_valid_sequences_alone() -> None:
    task = make_tags(200)
    batch = tensors(task.test)
    for scale in (2.0, 0.1):
        model = Random(task, scale)
        pairs = zip(
            names_of(argmax()(model, batch), task),
            names_of(viterbi(task)(model, batch), task),
            strict=True,
        )
        valid = [(plain, best) for plain, best in pairs if is_bio(plain)]
        assert 5 < len(valid) < 200
        assert all(plain == best for plain, best in valid)


def test_a_word_without_a_token_is_outside() -> None:
    """In the middle of a text, too: no span goes on after it."""
    task = make_tags()
    labels = task.notes["labels"]
    source, words = torch.tensor([[4, 5, END]]), torch.tensor([[0, -1, 1]])
    batch = replace(tensors(task.test, 0), source=source, words=words)

    def model(batch: Batch) -> Tensor:
        logits = torch.zeros(1, 3, len(labels))
        logits[0, 0, labels.index("B-x")] = 9.0
        logits[0, 1, labels.index("I-x")] = 9.0
        return logits

    assert viterbi(task)(model, batch)[0, 1] != labels.index("I-x")
    batch = replace(batch, words=torch.tensor([[0, 1]]))
    assert viterbi(task)(model, batch)[0, 1] == labels.index("I-x")


def test_viterbi_needs_names_and_words() -> None:
    task = make_tags()
    for notes in ({}, {"labels": ["B-x", "I-x"]}, {"labels": ["x"] * task.classes}):
        with pytest.raises(MsbenchError, match="needs the names of all tags, O among them"):
            viterbi(replace(task, notes=notes))
    with pytest.raises(MsbenchError, match="needs to know where words begin"):
        viterbi(task)(Random(task), replace(tensors(task.test, 0, 1), words=None))


@pytest.mark.parametrize("name", ["lstm", "encoder"])
def test_viterbi_on_real_requests(registry: Registry, name: str) -> None:
    task = registry.build("task", registry.resolve("task", Choice("request-roles")))()
    learner, decoder = trained(task, MODELS[name], 5), viterbi(task)
    batches = evaluation_batches(task.test, 64)
    metrics = decode(learner, decoder, task, task.test, batches).scores.metrics
    assert 0 <= metrics["span_f1"] <= 1
    tags: dict[int, list[int]] = {}
    for batch in batches:
        tags |= dict(zip(batch.rows.tolist(), learner.predict(batch, decoder), strict=True))
    in_order = [tags[row] for row in range(len(task.test))]
    assert all(is_bio(names) for names in names_of(in_order, task))
