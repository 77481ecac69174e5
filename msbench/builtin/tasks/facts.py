"""Questions about facts, answered from a small table (FanOutQA's human sub-questions)."""

import json
from typing import Any

import msbench
from msbench import exact_f1, split, take
from msbench.builtin.tasks.sources import FANOUTQA

Item = tuple[str, str, str]
"""(question, table, answer)."""


def facts_qa(
    max_source: int = 128, max_target: int = 12, vocabulary: int = 3000, train_size: int = 0
) -> msbench.Task:
    """Answer a sub-question from the table that answers its parent question.

    Only answers that stand in the table word for word; all sub-questions of a parent are in one
    split. max_source, max_target: tokens of question and table, and of the answer. train_size:
    training questions, each size contained in the next; 0 = all.
    """
    with msbench.open_source(FANOUTQA) as archive:
        parents = json.loads(archive.read("fanoutqa/data/fanout-final-dev.json"))
    items = [(p["question"], *item) for p in parents for item in _items(p)]
    unique = {
        (question, table): (parent, question, table, answer)
        for parent, question, table, answer in items
    }
    parts = split(list(unique.values()), group=lambda item: item[0])
    pairs = {name: [(f"{q} = {t}", a) for _, q, t, a in part] for name, part in parts.items()}
    return msbench.translation(
        take(pairs, train_size),
        score=exact_f1,
        metric="f1",
        max_source=max_source,
        max_target=max_target,
        vocabulary=vocabulary,
    )


def _items(parent: dict[str, Any]) -> list[Item]:
    table = _text(parent["answer"])
    found = []
    for question in _descendants(parent):
        answer = question["answer"]
        if isinstance(answer, str | int | float) and str(answer).strip():
            text = str(answer).strip()
            if text in table:
                found.append((question["question"], table, text))
    return found


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
