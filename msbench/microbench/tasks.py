"""Small tasks of every kind, made of nothing, that parts are timed on."""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import product

from msbench.data.classify import classification
from msbench.data.lm import language_modelling
from msbench.data.scores import bleu_chrf
from msbench.data.seq2seq import translation
from msbench.data.splits import shuffled, split
from msbench.data.tag import tagging
from msbench.data.task import Task
from msbench.spec import TaskKind

WHO = ("the cat", "a dog", "my friend", "the old man", "a small child", "our teacher")
DOES = ("sees", "likes", "follows", "hears", "remembers")
WHAT = ("the red house", "a long river", "the other road", "two green birds", "an empty boat")
SIZES = {"source": 32, "vocabulary": 300}


@cache
def task_of(kind: TaskKind) -> Task:
    """The task of a kind; 150 sentences of 5 to 7 words in three splits."""
    return TASKS[kind]()


def _sentences() -> dict[str, list[str]]:
    every = [" ".join(words) for words in product(WHO, DOES, WHAT)]
    return split(shuffled(every, "microbench"))


def _classify() -> Task:
    labelled = {
        name: [(text, next(word for word in text.split() if word in DOES)) for text in texts]
        for name, texts in _sentences().items()
    }
    return classification(labelled, max_length=SIZES["source"], vocabulary=SIZES["vocabulary"])


def _tag() -> Task:
    def tagged(text: str) -> tuple[list[str], list[str]]:
        words = text.split()
        return words, ["B-X" if word in ("cat", "dog", "house") else "O" for word in words]

    splits = {name: [tagged(text) for text in texts] for name, texts in _sentences().items()}
    return tagging(splits, max_length=SIZES["source"], vocabulary=SIZES["vocabulary"])


def _seq2seq() -> Task:
    splits = {
        name: [(text, " ".join(reversed(text.split()))) for text in texts]
        for name, texts in _sentences().items()
    }
    return translation(
        splits,
        score=bleu_chrf,
        metric="bleu",
        max_source=SIZES["source"],
        max_target=SIZES["source"],
        vocabulary=SIZES["vocabulary"],
    )


def _lm() -> Task:
    return language_modelling(_sentences(), block=24, prompt=4, vocabulary=SIZES["vocabulary"])


TASKS: Mapping[TaskKind, Callable[[], Task]] = {
    "classify": _classify,
    "tag": _tag,
    "seq2seq": _seq2seq,
    "lm": _lm,
}
