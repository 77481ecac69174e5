"""Questions about facts, answered from a small table (FanOutQA's human sub-questions)."""

import json
import re
from typing import Any

import msbench
from msbench import exact_f1, split, take
from msbench.builtin.tasks.sources import FANOUTQA

Item = tuple[str, str, str, str]
"""(parent question, question, table, answer)."""

_WORD = re.compile(r"\w+|[^\w\s]")


def facts_qa(
    max_source: int = 256, max_target: int = 12, vocabulary: int = 3000, train_size: int = 0
) -> msbench.Task:
    """Answer a sub-question from the table that answers its parent question.

    Only answers that occur in the table word for word; all sub-questions of a parent are in one
    split. max_source, max_target: tokens of question and table, and of the answer. train_size:
    training questions, each size contained in the next; 0 = all.
    """
    parts = _splits()
    pairs = {name: [(f"{q} = {t}", a) for _, q, t, a in part] for name, part in parts.items()}
    return msbench.translation(
        take(pairs, train_size),
        score=exact_f1,
        metric="f1",
        max_source=max_source,
        max_target=max_target,
        vocabulary=vocabulary,
    )


def facts_spans(max_length: int = 256, vocabulary: int = 3000, train_size: int = 0) -> msbench.Task:
    """The same questions, answered by marking the answer where it occurs in the table.

    Tags are B-answer, I-answer and O, one for each word or punctuation mark (Segal et al., 2020,
    answer by tagging). Only questions for which it is clear which of several places is meant.
    max_length: tokens of question and table. train_size: as in facts-qa.
    """
    tagged = {
        name: [tags for item in part if (tags := _tagged(item))] for name, part in _splits().items()
    }
    return msbench.tagging(
        take(tagged, train_size), metric="exact", max_length=max_length, vocabulary=vocabulary
    )


def _tagged(item: Item) -> tuple[list[str], list[str]] | None:
    """Words and tags; None if it is not clear where the answer is.

    It must occur, in whole words, once in the entries whose key the question names, or once at all
    if it names none.
    """
    _, question, table, answer = item
    asked, wanted = _WORD.findall(f"{question} ="), _WORD.findall(answer)
    in_question, words = {word.lower() for word in asked}, list[str]()
    named, other = list[int](), list[int]()
    for entry in re.split(r"(?<=;) ", table):
        key, colon, value = entry.partition(": ")
        head = _WORD.findall(f"{key}:") if colon else []
        body = _WORD.findall(value if colon else entry)
        starts = [
            len(words) + len(head) + place
            for place in range(len(body) - len(wanted) + 1)
            if body[place : place + len(wanted)] == wanted
        ]
        is_named = head and {word.lower() for word in head[:-1]} <= in_question
        (named if is_named else other).extend(starts)
        words += head + body
    places = named or other
    if len(places) != 1:
        return None
    tags = ["O"] * (len(asked) + len(words))
    start = len(asked) + places[0]
    tags[start : start + len(wanted)] = ["B-answer"] + ["I-answer"] * (len(wanted) - 1)
    return asked + words, tags


def _splits() -> dict[str, list[Item]]:
    """All sub-questions of a parent in one split, none twice."""
    with msbench.open_source(FANOUTQA) as archive:
        parents = json.loads(archive.read("fanoutqa/data/fanout-final-dev.json"))
    items = [item for parent in parents for item in _items(parent)]
    unique = {(question, table): item for item in items for _, question, table, _ in [item]}
    return split(list(unique.values()), group=lambda item: item[0])


def _items(parent: dict[str, Any]) -> list[Item]:
    table = _text(parent["answer"])
    items = []
    for question in _descendants(parent):
        answer = question["answer"]
        if isinstance(answer, str | int | float) and str(answer).strip():
            text = str(answer).strip()
            if text in table:
                items.append((parent["question"], question["question"], table, text))
    return items


def _descendants(question: dict[str, Any]) -> list[dict[str, Any]]:
    children = question.get("decomposition", [])
    return [each for child in children for each in (child, *_descendants(child))]


def _text(answer: Any) -> str:
    """A table, list or value as one line: `Pat Burrell: Right; Mark Mulder: Left`."""
    if isinstance(answer, dict):
        return "; ".join(f"{key}: {_text(value)}" for key, value in answer.items())
    if isinstance(answer, list):
        return ", ".join(_text(each) for each in answer)
    return str(answer)
