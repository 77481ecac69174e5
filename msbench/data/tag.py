"""(words, tags) pairs -> a `tag` task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from msbench.data.scores import span_f1
from msbench.data.task import IGNORE, SPLITS, Scores, Split, Task
from msbench.data.text import by_split, check_splits
from msbench.data.tokenizer import Tokenizer
from msbench.data.tokens import tokenized
from msbench.errors import DataError


def tagging(
    splits: Mapping[str, Sequence[tuple[Sequence[str], Sequence[str]]]],
    *,
    score: Callable[[Sequence[Sequence[str]], Sequence[Sequence[str]]], Scores] = span_f1,
    metric: str = "span_f1",
    max_length: int,
    vocabulary: int | Tokenizer,
) -> Task:
    """A `tag` task from (words, tags) per split, one tag a word, such as O, B-city, I-city.

    A model labels tokens; a word has the label of its first one, and words after `max_length`
    tokens count as O. score: gets lists of tags. How many texts were cut is in `Task.notes`.
    """
    splits = {n: [(list(x), list(y)) for x, y in splits.get(n, ())] for n in SPLITS}
    check_splits(splits)
    for name in SPLITS:
        for words, tags in splits[name]:
            if len(words) != len(tags):
                raise DataError(
                    f"{len(words)} words and {len(tags)} tags in the {name} split: {words[:8]}..."
                )
    labels = sorted({tag for _, tags in splits["train"] for tag in tags} | {"O"})
    if len(labels) < 2:
        raise DataError(f"a tagging task needs two tags or more to learn, found: {labels}")
    number = {label: index for index, label in enumerate(labels)}
    texts = {name: [words for words, _ in splits[name]] for name in SPLITS}
    tokens = tokenized({"source": texts}, vocabulary, {"source": max_length})

    def make_split(name: str) -> Split:
        source, words = (tokens.arrays[f"{what}/{name}"] for what in ("source", "words/source"))
        target = np.full_like(source, IGNORE)
        references = []
        for row, (_, tags) in enumerate(splits[name]):
            places = words[row, : len(tags)].tolist()
            for place, tag in zip(places, tags, strict=True):
                if place >= 0:  # a tag that training lacks cannot be learned, only missed
                    target[row, place] = number.get(tag, IGNORE)
            references.append((places, list(tags)))
        return Split(source, target, references, words=words)

    def readable(
        predictions: Sequence[Sequence[int]], references: Sequence[Any]
    ) -> tuple[list[list[str]], list[list[str]]]:
        predicted = [
            [labels[ids[place]] if place >= 0 else "O" for place in places]
            for ids, (places, _) in zip(predictions, references, strict=True)
        ]
        return predicted, [tags for _, tags in references]

    return Task(
        "tag",
        **by_split(make_split),
        score=lambda predictions, references: score(*readable(predictions, references)),
        readable=readable,
        metric=metric,
        vocabulary=tokens.tokenizer.vocabulary,
        tokenizer=tokens.ready,
        classes=len(labels),
        notes={"labels": labels, "cut": dict(tokens.cut)},
    )
