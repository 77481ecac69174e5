"""What a predictor that learns nothing scores on every task: the least a model must beat.

python benchmarks/trivial.py [--write]

--write: into results/reference/trivial.json, from which docs/tasks.md is made.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msbench import IGNORE, PAD, Choice, DataError, Registry, Scores, Task, load_plugins, load_suite
from msbench.plan.suite import shipped_suites

OUT = Path(__file__).parent.parent / "results/reference/trivial.json"

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


def facts(task: Task) -> dict[str, Any]:
    """What docs/tasks.md tells of a task: sizes, metrics, and its trivial predictors."""
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


def told(registry: Registry, choice: Choice) -> dict[str, Any] | None:
    """`facts` of a suite's task; nothing if its archive is not here."""
    try:
        task: Task = registry.build("task", registry.resolve("task", choice))()
    except DataError as error:
        print(f"{choice.name}: {error}", file=sys.stderr)
        return None
    return facts(task)


if __name__ == "__main__":
    registry = load_plugins()
    names = [e.name for e in registry.of("task") if e.name not in ("files", "mixture")]
    known = {"tasks": {name: told(registry, Choice(name)) for name in names}, "suites": {}}
    for suite in map(load_suite, sorted(shipped_suites())):
        if not any(choice.name == "mixture" for choice in suite.tasks):
            known["suites"][suite.name] = {
                choice.label or choice.name: told(registry, choice) for choice in suite.tasks
            }
    for name, each in known["tasks"].items():
        for way, scores in (each or {}).get("scores", {}).items():
            shown = " ".join(f"{metric}={value:.3f}" for metric, value in scores.items())
            print(f"{name:16} {way:26} {shown}")
    if "--write" in sys.argv:
        OUT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
