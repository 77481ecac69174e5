"""What the yardstick `linear` scores on every task, and on the tasks of every shipped suite.

    python studies/yardsticks.py [TASK ...]

Keeps what it finds in results/reference/yardsticks.json, by the fingerprint of the data: what is
there already is not done again. docs/tasks.md is made from it. A task whose archive has not been
fetched is left out.
"""

import json
import os
import sys
from pathlib import Path
from time import process_time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from msbench import (
    Choice,
    DataError,
    Scores,
    Split,
    Task,
    derive,
    evaluation_batches,
    load_plugins,
    load_suite,
)
from msbench.builtin.linear import ngrams, pairs, rules, table, texts, windows  # noqa: F401
from msbench.builtin.linear.parts import linear
from msbench.plan.shipped import shipped_suites

OUT = Path(__file__).parent.parent / "results/reference/yardsticks.json"


def predictions(model: Any, split: Split, write: bool = False) -> list[Any]:
    """What the model predicts on a split, or writes, in the split's order."""
    found: dict[int, Any] = {}
    draw = np.random.default_rng(derive(0, "decoding"))
    for batch in evaluation_batches(split, 64):
        outputs = model.write(batch, draw) if write else model.predict(batch)
        found.update(zip(batch.rows.tolist(), outputs, strict=True))
    return [found[row] for row in range(len(split))]


def facts(task: Task) -> dict[str, Any]:
    """Scores on the test split, and what fitting took."""
    start, model = process_time(), linear(task)
    model.fit()
    seconds = process_time() - start
    scores: list[Scores] = [task.score(predictions(model, task.test), task.test.references)]
    if task.kind == "lm":
        scores.append(task.score(predictions(model, task.test, write=True), task.test.references))
    metrics = {name: value for each in scores for name, value in each.metrics.items()}
    return {
        "metric": task.metric,
        "score": metrics[task.metric],
        "metrics": metrics,
        "rule": getattr(model, "name", ""),
        "fit_cpu_seconds": round(seconds, 1),
        "references": task.notes.get("references", {}),
    }


def choices() -> dict[str, Choice]:
    """All tasks with their defaults, then those of suites, by what they are called here."""
    found = {
        entry.name: Choice(entry.name)
        for entry in load_plugins().of("task")
        if entry.name not in ("files", "mixture")
    }
    for suite in map(load_suite, sorted(shipped_suites())):
        for choice in suite.tasks:
            if choice.name != "mixture":
                found[f"{suite.name}/{choice.label or choice.name}"] = choice
    return found


if __name__ == "__main__":
    registry = load_plugins()
    every = choices()
    known: dict[str, Any] = json.loads(OUT.read_text()) if OUT.is_file() else {}
    for name in sys.argv[1:] or every:
        try:
            part = registry.resolve("task", every[name])
            task: Task = registry.build("task", part)()
        except DataError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        data = task.fingerprint()
        if data not in known:
            about = {"task": name, **facts(task)}
            known = {**(json.loads(OUT.read_text()) if OUT.is_file() else {}), data: about}
            OUT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        about = known[data]
        took = f"{about['rule']:8} {about['fit_cpu_seconds']:6.1f} s"
        print(f"{name:36} {about['metric']:14} {about['score']:7.3f} {took}", flush=True)
