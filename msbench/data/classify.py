"""(text, label) pairs -> a `classify` task."""

from collections.abc import Mapping, Sequence

import numpy as np

from msbench.data.metrics import label_scores
from msbench.data.task import Scores, Split, Task, Texts
from msbench.data.text import Pair, as_one_text, check_splits, cleaned
from msbench.data.tokens import SPLITS, tokenized
from msbench.errors import DataError


def classification(
    splits: Mapping[str, Sequence[tuple[str | Pair, str]]],
    *,
    metric: str = "accuracy",
    max_length: int,
    vocabulary: int,
) -> Task:
    """A `classify` task from (text, label) per split; a text may be a pair of texts to match.

    metric: `accuracy`, `macro_f1`, `nll` or `calibration` (see `msbench.label_scores`).
    max_length: tokens kept of each text; how many were cut is in `Task.notes`. vocabulary: tokens
    to learn from the training texts, at most.
    """
    splits = {n: [(x, cleaned(y)) for x, y in splits.get(n, ())] for n in SPLITS}
    check_splits(splits)
    labels = sorted({label for _, label in splits["train"]})
    if len(labels) < 2:
        raise DataError(f"a classification task needs two labels or more to learn, found: {labels}")
    for name in SPLITS:
        if strange := sorted({label for _, label in splits[name]} - set(labels)):
            raise DataError(f"the {name} split has labels that training lacks: {strange[:5]}")
    texts = {name: [text for text, _ in splits[name]] for name in SPLITS}
    tokens = tokenized({"source": texts}, vocabulary, {"source": max_length})
    ids = {name: [labels.index(label) for _, label in splits[name]] for name in SPLITS}
    joined = {n: [(as_one_text(text), label) for text, label in splits[n]] for n in SPLITS}

    def score_texts(predictions: Sequence[str], references: Sequence[str]) -> Scores:
        known = {label: number for number, label in enumerate(labels)}
        return label_scores([known.get(p, -1) for p in predictions], [known[r] for r in references])

    train, validation, test = (
        Split(tokens.arrays[f"source/{n}"], np.array(ids[n], np.int64), ids[n]) for n in SPLITS
    )
    return Task(
        "classify",
        train,
        validation,
        test,
        score=label_scores,
        metric=metric,
        vocabulary=tokens.tokenizer.get_vocab_size(),
        classes=len(labels),
        segments=2 if isinstance(texts["train"][0], tuple) else 1,
        lower_is_better=("nll", "calibration"),
        texts=Texts(joined, score_texts),
        notes={"labels": labels, "cut": dict(tokens.cut)},
    )
