"""Several tasks as one, text to text (Raffel et al., 2020, T5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import msbench
from msbench import DataError, Metric, Scores, Task
from msbench.builtin.types import Count


def mixture(
    of: Mapping[str, Callable[[], Task]],
    max_source: int = 64,
    max_target: int = 32,
    vocabulary: int = 3000,
    limit: Count = 0,
) -> Task:
    """One text-to-text task made of several; every source begins with the name of its task.

    of: the tasks, `[{name = "bbc-news"}, {name = "numbers-fr"}]`. Each is scored by its own
    metrics, `name/metric`; strategies are ranked by the mean of their main metrics as shares from
    0 to 1. A mixture of one task is its single-task twin. max_source, max_target: tokens that are
    read, including the name. limit: most training examples of each task; 0 = all.
    """
    tasks = {name: make() for name, make in of.items()}
    for name, task in tasks.items():
        if task.texts is None:
            raise DataError(f"mixture: {name!r} ({task.kind}) cannot be said as text to text")
        references = [target for _, target in task.texts.splits["test"]]
        scores = task.texts.score(references, references)
        if task.metric not in {*scores.metrics} & {*scores.examples} - {*task.lower_is_better}:
            raise DataError(f"mixture: {name!r} cannot be ranked by {task.metric!r} in a mixture")
    splits = {
        split: [
            (name, f"{name}: {source}", target)
            for name, task in tasks.items()
            for source, target in _taken(task, split, limit)
        ]
        for split in ("train", "validation", "test")
    }
    joint = msbench.translation(
        {split: [(source, target) for _, source, target in rows] for split, rows in splits.items()},
        score=lambda predictions, references: _score(tasks, predictions, references),
        metric="mean",
        max_source=max_source,
        max_target=max_target,
        vocabulary=vocabulary,
    )
    train, validation, test = (
        replace(part, references=[(name, target) for name, _, target in splits[split]])
        for split, part in joint.splits.items()
    )
    mains = [f"{name}/{task.metric}" for name, task in tasks.items()]
    lower = [f"{name}/{m}" for name, task in tasks.items() for m in task.lower_is_better]
    return replace(
        joint,
        train=train,
        validation=validation,
        test=test,
        also=tuple(mains),
        notes={**joint.notes, "of": {name: dict(task.notes) for name, task in tasks.items()}},
        lower_is_better=tuple(lower),
        metrics={"mean": Metric(low=0, high=1, margin=0.01, unit="share")},
        readable=lambda outputs, references: (
            joint.spell(outputs, references) if joint.spell else [],
            [target for _, target in references],
        ),
        texts=None,
    )


def _taken(task: Task, split: str, limit: int) -> Sequence[tuple[str, str]]:
    assert task.texts is not None
    texts = task.texts.splits[split]
    return texts[:limit] if limit and split == "train" else texts


def _score(
    tasks: Mapping[str, Task], predictions: Sequence[str], references: Sequence[Any]
) -> Scores:
    metrics: dict[str, float] = {}
    signatures: dict[str, str] = {}
    examples = np.full(len(references), np.nan)
    mains = []
    for name, task in tasks.items():
        assert task.texts is not None
        rows = [row for row, (of, _) in enumerate(references) if of == name]
        if not rows:  # only a part of the split is scored
            continue
        scores = task.texts.score([predictions[r] for r in rows], [references[r][1] for r in rows])
        scale = 100 if task.metric in msbench.POINTS else 1
        mains.append(scores.metrics[task.metric] / scale)
        examples[rows] = np.array(scores.examples[task.metric]) / scale
        metrics |= {f"{name}/{metric}": value for metric, value in scores.metrics.items()}
        signatures |= {f"{name}/{metric}": text for metric, text in scores.signatures.items()}
    return Scores(
        {"mean": float(np.mean(mains)), **metrics}, {"mean": examples.tolist()}, signatures
    )
