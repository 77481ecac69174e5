"""New texts -> the arrays that a model reads, as its task would have made them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from msbench.data.scores import class_ids
from msbench.data.task import BEGIN, END, IGNORE, PAD, UNKNOWN, Scores, Split, Task
from msbench.data.tokenizer import Tokenizer as Ready
from msbench.data.tokens import Trained, padded
from msbench.data.words import words_of
from msbench.errors import MsbenchError
from msbench.fitting.everything import widened
from msbench.fitting.vocabulary import words_of_task
from msbench.spec import TaskKind

Texts = Sequence[Any]
"""Texts; pairs of texts where pairs are matched; lists of words, or texts of words and spaces, for
tags."""


@dataclass(frozen=True)
class Facts:
    """What of a task a model and its decoders need to know, as plain data."""

    kind: TaskKind
    metric: str
    vocabulary: int
    classes: int
    segments: int
    source: int
    """Positions on the source side."""
    target: int
    """Positions on the target side; 0 if nothing is generated."""
    limit: int
    """Tokens of a text that are read."""
    labels: list[str]
    counts: list[int]
    """How often each label was trained on (`classify`)."""
    prompted: bool
    measured: list[str]
    """The metrics that it was scored by."""
    words: list[str] = field(default_factory=list)
    """Of a task of whole words, those that have tokens."""
    slots: int = 0
    """Tokens for words that have none."""

    @classmethod
    def of(cls, task: Task, limit: int, words: list[str], slots: int) -> "Facts":
        """Those of a task; limit: tokens of a text, if it says so."""
        target = task.train.target
        counts = np.bincount(target) if task.kind == "classify" else np.empty(0, int)
        return cls(
            task.kind,
            task.metric,
            task.vocabulary,
            task.classes,
            task.segments,
            task.longest_source,
            task.longest_target if task.train.input is not None else 0,
            limit or task.longest_source - 1,
            list(task.notes.get("labels", ())),
            counts.tolist(),
            task.train.prompted,
            list(dict.fromkeys([task.metric, *task.also])),
            words,
            slots,
        )

    def plain(self) -> dict[str, Any]:
        """As JSON holds them."""
        return asdict(self)


@dataclass(frozen=True)
class Reader:
    """Reads texts, and spells what was predicted for them."""

    facts: Facts
    tokenizer: Trained | Ready | None
    """None of a task of whole words."""

    @classmethod
    def of(cls, facts: Facts, learned: str, brought: Ready | None) -> "Reader":
        """learned: a tokenizer as JSON. brought: by the model. MsbenchError if there is neither."""
        tokenizer = brought or (Trained(Tokenizer.from_str(learned)) if learned else None)
        if tokenizer is None and not facts.words:
            raise MsbenchError(
                "this task keeps no tokenizer, so that nobody could read new texts for its model: "
                "it must be made by msbench.classification, tagging, translation, summarization or "
                "language_modelling"
            )
        return cls(facts, tokenizer)

    def split(self, texts: Texts) -> Split:
        """The texts as a split without answers."""
        facts, count_of = self.facts, len(texts)
        if facts.kind == "tag":
            return self._tagged([t.split() if isinstance(t, str) else list(t) for t in texts])
        spelling = None
        if self.tokenizer is None:
            spelling, rows = self._whole_words(texts)
        elif facts.kind == "lm":
            rows = [ids[-facts.source :] for ids in self.tokenizer.ids(list(texts))]
        else:
            rows = self._pieces(texts)
        source = padded([row[: facts.source] for row in rows])
        if facts.kind == "classify":
            return Split(source, np.zeros(count_of, np.int64), [0] * count_of)
        input = np.hstack(
            [np.full((count_of, 1), BEGIN), source if facts.prompted else source[:, :0]]
        )
        target = np.full_like(input, IGNORE)
        references: list[Any] = [(1, 1, "")] * count_of if facts.prompted else [""] * count_of
        return Split(source, target, references, input, facts.prompted, None, spelling)

    def task(self, texts: Texts) -> Task:
        """A task with these texts as its test split, of the shape that the model was trained in;
        the other splits hold nothing but how common labels are."""
        facts, test = self.facts, self.split(texts)
        seen = self._seen()
        return Task(
            facts.kind,
            seen,
            seen,
            test,
            self._score,
            facts.metric,
            facts.vocabulary,
            facts.classes,
            facts.segments,
            spell=self._spell if facts.kind in ("seq2seq", "lm") else None,
            notes={"labels": facts.labels},
            tokenizer=self.tokenizer if isinstance(self.tokenizer, Ready) else None,
        )

    def told(self, predictions: Sequence[Any], split: Split) -> list[Any]:
        """Predictions in plain words: labels, lists of tags, or texts."""
        facts = self.facts
        if facts.kind == "classify":
            return [facts.labels[each] for each in class_ids(predictions)]
        if facts.kind == "tag":
            pairs = zip(predictions, split.references, strict=True)
            return [[facts.labels[ids[at]] if at >= 0 else "O" for at in ats] for ids, ats in pairs]
        return self._spell(predictions, split.spelling or [None] * len(split))

    def _pieces(self, texts: Texts) -> list[list[int]]:
        """Each text, or each of a pair, cut to the limit and ended."""
        assert self.tokenizer is not None
        parts = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
        encoded = iter(self.tokenizer.ids([piece for part in parts for piece in part]))
        return [
            [t for _ in part for t in (*next(encoded)[: self.facts.limit], END)] for part in parts
        ]

    def _tagged(self, texts: Sequence[Sequence[str]]) -> Split:
        assert self.tokenizer is not None
        rows, places = [], []
        for words, encoded in zip(texts, self.tokenizer.words(texts), strict=True):
            kept = encoded[: min(self.facts.limit, self.facts.source - 1)]
            rows.append([*(token for token, _ in kept), END])
            first: dict[int, int] = {}
            for place, (_, word) in enumerate(kept):
                first.setdefault(-1 if word is None else word, place)
            places.append([first.get(number, -1) for number in range(len(words))])
        source = padded(rows)
        return Split(source, np.full_like(source, IGNORE), places, words=padded(places, -1))

    def _whole_words(self, texts: Sequence[str]) -> tuple[list[list[str]], list[list[int]]]:
        """(the words in the slots, ids) of each text; see `msbench.summarization`."""
        facts = self.facts
        known = dict(zip(facts.words, count(UNKNOWN + 1 + facts.slots)))
        spelling, rows = [], []
        for words in (words_of(text)[: facts.limit] for text in texts):
            rare = list(dict.fromkeys(word for word in words if word not in known))[: facts.slots]
            ids = {**dict(zip(rare, count(UNKNOWN + 1))), **known}
            spelling.append(rare)
            rows.append([*(ids.get(word, UNKNOWN) for word in words), END])
        return spelling, rows

    def _spell(self, outputs: Sequence[Sequence[int]], slots_of: Sequence[Any]) -> list[str]:
        if self.tokenizer is not None:
            return list(self.tokenizer.texts(outputs))
        names = [
            [*[""] * (UNKNOWN + 1), *(rare or ()), *[""] * (self.facts.slots - len(rare or ()))]
            for rare in slots_of
        ]
        pairs = zip(outputs, names, strict=True)
        return [
            " ".join(filter(None, ([*n, *self.facts.words][i] for i in ids))) for ids, n in pairs
        ]

    def _seen(self) -> Split:
        """As many examples of each label as were trained on, without their texts; its width is that
        of the task."""
        facts = self.facts
        labels = np.repeat(np.arange(len(facts.counts)), facts.counts) if facts.counts else None
        size = 1 if labels is None else len(labels)
        source = np.broadcast_to(np.full((1, facts.source), PAD, np.int64), (size, facts.source))
        if labels is not None:
            return Split(source, labels, labels.tolist())
        width = facts.target or facts.source
        target = np.full((1, width), IGNORE, np.int64)
        input = np.full((1, width), BEGIN, np.int64) if facts.target else None
        references: list[Any] = [(1, 1, "")] if facts.prompted else [""]
        return Split(source, target, references, input, facts.prompted)

    def _score(self, predictions: Sequence[Any], references: Sequence[Any]) -> Scores:
        """Nothing is known to score against; a loss may ask which metrics there are."""
        return Scores(
            dict.fromkeys(self.facts.measured, 0.0),
            dict.fromkeys(self.facts.measured, [0.0] * len(references)),
        )


def check_reads(reader: Reader, task: Task) -> None:
    """MsbenchError unless the reader reads the task's own texts as the task did."""
    if task.texts is None or task.segments > 1 or task.test.source is None:
        return
    texts = [source for source, _ in task.texts.splits["test"]]
    mine, its = reader.split(texts).source, task.test.source
    assert mine is not None
    width = max(mine.shape[1], its.shape[1])
    if not np.array_equal(widened(mine, width, PAD), widened(its, width, PAD)):
        raise MsbenchError(
            "the texts of this task are read in a way of its own, so that new ones cannot be: fit "
            "is for tasks that msbench's builders make"
        )


def reader_of(task: Task, learned: str, limit: int) -> Reader:
    """The reader of a task as it was prepared; MsbenchError if there can be none."""
    brought = task.tokenizer
    words, slots = ([], 0) if learned or brought else words_of_task(task)
    reader = Reader.of(Facts.of(task, limit, words, slots), learned, brought)
    check_reads(reader, task)
    return reader
