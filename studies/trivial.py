"""What a predictor that learns nothing scores on every task: the least a model must beat.

    python studies/trivial.py [--write]

--write: to results/reference/trivial.json, from which docs/tasks.md is made.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msbench import IGNORE, PAD, Choice, DataError, Registry, Scores, Task, load_plugins, load_suite
from msbench.plan.shipped import shipped_suites

OUT = Path(__file__).parent.parent / "results/reference/trivial.json"

LEAD = 12
"""How many of the source's first words serve as a summary."""


def trivial(task: Task) -> dict[str, Scores]:
    """Test scores of the predictors that suit the kind of task, by name."""
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
    return {name: task.texts.score(texts, gold) for name, texts in outputs.items()}


def _majority(task: Task) -> tuple[list[int], Sequence[Any]]:
    common = Counter(task.train.references).most_common(1)[0][0]
    return [common] * len(task.test), task.test.references


def _tags(task: Task) -> Scores:
    """Words are identified by their first token."""
    assert task.train.source is not None
    assert task.test.source is not None
    counts: dict[int, Counter[int]] = {}
    used = task.train.target != IGNORE
    for word, tag in zip(task.train.source[used], task.train.target[used], strict=True):
        counts.setdefault(int(word), Counter())[int(tag)] += 1
    outside = task.notes["labels"].index("O")
    known = {word: seen.most_common(1)[0][0] for word, seen in counts.items()}
    tags = [[known.get(word, outside) for word in row] for row in task.test.source.tolist()]
    return task.score(tags, task.test.references)


def _unigrams(task: Task) -> Scores:
    """Token frequencies of the training split, with add-one smoothing."""
    used = task.train.target[task.train.target != IGNORE]
    counts = np.bincount(used, minlength=task.vocabulary) + 1.0
    logs = np.log(counts / counts.sum())
    rows = np.where(task.test.target == IGNORE, PAD, task.test.target)
    sums = np.where(task.test.target == IGNORE, 0.0, logs[rows]).sum(axis=1)
    return task.score(sums.tolist(), task.test.references)


def facts(task: Task) -> dict[str, Any]:
    """What docs/tasks.md shows of a task: sizes, metric, and its trivial predictors."""
    scores = {name: dict(each.metrics) for name, each in trivial(task).items()}
    choose = min if task.metric in task.lower_is_better else max
    best = choose(scores, key=lambda name: scores[name][task.metric])
    return {
        "sizes": {name: len(split) for name, split in task.splits.items()},
        "kind": task.kind,
        "data": task.fingerprint(),
        "metric": task.metric,
        "trivial": {"name": best, "score": scores[best][task.metric]},
        "scores": scores,
    }


def facts_if_available(registry: Registry, choice: Choice) -> dict[str, Any] | None:
    """`facts` of a suite's task; None if its archive has not been fetched."""
    try:
        task: Task = registry.build("task", registry.resolve("task", choice))()
    except DataError as error:
        print(f"{choice.name}: {error}", file=sys.stderr)
        return None
    return facts(task)


if __name__ == "__main__":
    registry = load_plugins()
    names = [e.name for e in registry.of("task") if e.name not in ("files", "mixture")]
    tasks = {name: facts_if_available(registry, Choice(name)) for name in names}
    suites = {
        suite.name: {
            choice.label or choice.name: facts_if_available(registry, choice)
            for choice in suite.tasks
        }
        for suite in map(load_suite, sorted(shipped_suites()))
        if not any(choice.name == "mixture" for choice in suite.tasks)
    }
    for name, each in tasks.items():
        for predictor, scores in (each or {}).get("scores", {}).items():
            shown = " ".join(f"{metric}={value:.3f}" for metric, value in scores.items())
            print(f"{name:16} {predictor:26} {shown}")
    if "--write" in sys.argv:
        both = {"tasks": tasks, "suites": suites}
        OUT.write_text(json.dumps(both, indent=1, sort_keys=True) + "\n")
