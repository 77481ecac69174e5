"""(text, label) pairs -> a `classify` task."""

from collections.abc import Mapping, Sequence

import numpy as np

from msbench.data.scores import class_ids, label_scores
from msbench.data.task import SPLITS, Scores, Split, Task, Texts
from msbench.data.text import Pair, by_split, cleaned_pairs
from msbench.data.tokenizer import Tokenizer
from msbench.data.tokens import tokenized
from msbench.errors import DataError


def classification(
    splits: Mapping[str, Sequence[tuple[str | Pair, str]]],
    *,
    metric: str = "accuracy",
    max_length: int,
    vocabulary: int | Tokenizer,
) -> Task:
    """A `classify` task from (text, label) per split; a text may be a pair of texts to match.

    metric: `accuracy`, `macro_f1`, `nll` or `calibration` (see `msbench.label_scores`).
    max_length: tokens kept of each text; how many were cut is in `Task.notes`. vocabulary: tokens
    to learn from the training texts, at most, or a tokenizer (`msbench.Tokenizer`).
    """
    splits = cleaned_pairs(splits)
    labels = sorted({label for _, label in splits["train"]})
    if len(labels) < 2:
        raise DataError(f"a classification task needs two labels or more to learn, found: {labels}")
    for name in SPLITS:
        if strange := sorted({label for _, label in splits[name]} - set(labels)):
            raise DataError(f"the {name} split has labels that training lacks: {strange[:5]}")
    texts = {name: [text for text, _ in splits[name]] for name in SPLITS}
    tokens = tokenized({"source": texts}, vocabulary, {"source": max_length})
    number = {label: index for index, label in enumerate(labels)}

    def make_split(name: str) -> Split:
        ids = [number[label] for _, label in splits[name]]
        return Split(tokens.arrays[f"source/{name}"], np.array(ids, np.int64), ids)

    def score_texts(predictions: Sequence[str], references: Sequence[str]) -> Scores:
        ids = [number.get(prediction, -1) for prediction in predictions]
        return label_scores(ids, [number[reference] for reference in references])

    return Task(
        "classify",
        **by_split(make_split),
        score=label_scores,
        metric=metric,
        vocabulary=tokens.tokenizer.vocabulary,
        tokenizer=tokens.ready,
        classes=len(labels),
        segments=2 if isinstance(texts["train"][0], tuple) else 1,
        readable=lambda predictions, references: (
            [labels[each] for each in class_ids(predictions)],
            [labels[each] for each in references],
        ),
        texts=Texts({n: [(_joined(x), y) for x, y in splits[n]] for n in SPLITS}, score_texts),
        notes={"labels": labels, "cut": dict(tokens.cut)},
    )


def _joined(text: str | Pair) -> str:
    """A text, or a pair of texts as one."""
    return text if isinstance(text, str) else " = ".join(text)
