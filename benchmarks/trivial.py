"""What a predictor that learns nothing scores on every task: the least a model must beat.

python benchmarks/trivial.py [TASK ...]
"""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from msbench import IGNORE, PAD, DataError, Registry, Scores, Task, load_plugins
from msbench.spec import Choice

LEAD = 12
"""Words of the source that stand for a summary."""


def trivial(task: Task) -> dict[str, Scores]:
    """Scores on the test split of the predictors that suit the kind of task, by name."""
    if task.kind == "classify":
        return {"commonest label": task.score(*_majority(task))}
    if task.kind == "tag":
        return {"each word's commonest tag": _tags(task)}
    if task.kind == "lm":
        return {"unigrams": _unigrams(task)}
    assert task.texts is not None
    train, test = task.texts.splits["train"], task.texts.splits["test"]
    gold = [target for _, target in test]
    common = Counter(target for _, target in train).most_common(1)[0][0]
    outputs = {
        "copy the source": [source for source, _ in test],
        f"its first {LEAD} words": [" ".join(source.split()[:LEAD]) for source, _ in test],
        "commonest target": [common] * len(test),
    }
    return {name: task.texts.score(said, gold) for name, said in outputs.items()}


def _majority(task: Task) -> tuple[list[int], Sequence[Any]]:
    common = Counter(task.train.references).most_common(1)[0][0]
    return [common] * len(task.test), task.test.references


def _tags(task: Task) -> Scores:
    """Words are told by their first token."""
    assert task.train.source is not None
    assert task.test.source is not None
    counts: dict[int, Counter[int]] = {}
    used = task.train.target != IGNORE
    for word, tag in zip(task.train.source[used], task.train.target[used], strict=True):
        counts.setdefault(int(word), Counter())[int(tag)] += 1
    outside = task.notes["labels"].index("O")
    known = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    found = [[known.get(word, outside) for word in row] for row in task.test.source.tolist()]
    return task.score(found, task.test.references)


def _unigrams(task: Task) -> Scores:
    """Every token as often as in training, one added."""
    used = task.train.target[task.train.target != IGNORE]
    counts = np.bincount(used, minlength=task.vocabulary) + 1.0
    logs = np.log(counts / counts.sum())
    rows = np.where(task.test.target == IGNORE, PAD, task.test.target)
    sums = np.where(task.test.target == IGNORE, 0.0, logs[rows]).sum(axis=1)
    return task.score(sums.tolist(), task.test.references)


def best(task: Task) -> tuple[str, float]:
    """The strongest of them in the task's own metric, by name."""
    scores = {name: each.metrics[task.metric] for name, each in trivial(task).items()}
    choose = min if task.metric in task.lower_is_better else max
    name = choose(scores, key=lambda each: scores[each])
    return name, scores[name]


def build(name: str, registry: Registry, **options: Any) -> Task:
    """A task with its default options but for those given."""
    part = registry.resolve("task", Choice(name, options))
    task: Task = registry.build("task", part)()
    return task


if __name__ == "__main__":
    registry = load_plugins()
    needless = ("files", "mixture")
    every = [entry.name for entry in registry.of("task") if entry.name not in needless]
    for name in sys.argv[1:] or every:
        try:
            task = build(name, registry)
        except DataError as error:
            print(f"{name:16} {error}")
            continue
        for way, scores in trivial(task).items():
            shown = " ".join(f"{k}={v:.3f}" for k, v in scores.metrics.items())
            print(f"{name:16} {way:26} {shown}", flush=True)
