"""Tasks: data that are the same everywhere, splits that share nothing, scores that mean something.

A task is made with its default options; archives that it reads are fetched.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from msbench.checks.findings import Skipped, Wrong
from msbench.checks.subject import Subject
from msbench.data.batches import training_batches
from msbench.data.task import BEGIN, END, IGNORE, PAD, Scores, Split, Task
from msbench.run.seeds import stream

SCORED = 200
"""Test examples that are scored."""

LEAKED = 0.0
"""Share of the test examples that may be in training."""


def can_be_made(subject: Subject) -> None:
    """Its three splits have examples, and batches can be cut from them."""
    task = _task(subject)
    if not isinstance(task, Task):
        raise Wrong(f"its factory returns {type(task).__name__}, not a msbench.Task")
    if subject.entry.fits and task.kind not in subject.entry.fits:
        raise Wrong(
            f"it is of the kind {task.kind!r} and registered with fits={subject.entry.fits}"
        )
    for name, split in task.splits.items():
        if not len(split):
            raise Wrong(f"its {name} split is empty")
    next(training_batches(task.train, 8, stream(0, "check")))


def has_ids_in_range(subject: Subject) -> None:
    """Token ids are below the vocabulary's size and labels below the number of classes.

    `input` begins with BEGIN, and every target ends with END or has been cut (`seq2seq`)."""
    task = _task(subject)
    for name, split in task.splits.items():
        for what, array in (("source", split.source), ("input", split.input)):
            if array is not None and not (array.min() >= 0 and array.max() < task.vocabulary):
                raise Wrong(f"{name}: {what} has ids outside of 0 to {task.vocabulary - 1}")
        limit = task.classes if task.kind in ("classify", "tag") else task.vocabulary
        used = split.target[split.target != IGNORE]
        if not used.size or used.min() < 0 or used.max() >= limit:
            raise Wrong(f"{name}: targets are not all from 0 to {limit - 1}")
        if split.input is not None and not bool((split.input[:, 0] == BEGIN).all()):
            raise Wrong(f"{name}: input does not begin with BEGIN ({BEGIN})")


def is_the_same_everywhere(subject: Subject) -> None:
    """Made in another process, where sets have another order, it has the same data.

    Otherwise resumed trials would read other data under one name."""
    here = _task(subject).fingerprint()
    code = (
        "import sys; from msbench.checks.task import told; "
        "told(sys.argv[1], sys.argv[2], sys.argv[3:])"
    )
    file = [f for f in subject.registry.files if os.path.basename(f) == subject.entry.plugin]  # noqa: PTH119
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-P", "-c", code, subject.entry.name, subject.entry.plugin, *file],
        env={**os.environ, "PYTHONHASHSEED": "1234", "MSBENCH_PREPARED": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    there = done.stdout.strip().rpartition("\n")[2]
    if done.returncode:
        raise Wrong(f"in another process it cannot be made: {done.stderr.strip()[-300:]}")
    if here != there:
        raise Wrong(
            "made in another process its data differ: sort what comes from sets, folders and "
            "dictionaries of others, and draw from msbench.stream"
        )


def keeps_its_splits_apart(subject: Subject) -> None:
    """No test or validation example is in training: compared without case, spaces and punctuation.

    An example is its source and its reference; of `lm` the text."""
    task = _task(subject)
    known = {*examples_of(task.train)}
    for name in ("validation", "test"):
        found = examples_of(getattr(task, name))
        twice = [each for each in found if each in known]
        if len(twice) > LEAKED * len(found):
            raise Wrong(
                f"{len(twice)} of {len(found)} {name} examples are in the training split, too; "
                f"msbench.split with msbench.linked keeps what is alike together"
            )


def covers_its_labels(subject: Subject) -> None:
    """Every label of validation and test occurs in training (`classify`, `tag`)."""
    task = _task(subject)
    if task.kind not in ("classify", "tag"):
        raise Skipped("it has no labels")
    known = {*np.unique(task.train.target).tolist(), IGNORE}
    for name in ("validation", "test"):
        if more := {*np.unique(getattr(task, name).target).tolist()} - known:
            raise Wrong(f"labels {sorted(more)} of {name} do not occur in training")


def scores_within_bounds(subject: Subject) -> None:
    """`score` gives the metric that ranks, all metrics are numbers within their bounds, and
    per-example scores have one value for each example."""
    task, split = _task(subject), _part(_task(subject).test)
    for what, predictions in _predictions(task, split).items():
        scores = _scored(task, predictions, split.references)
        facts = task.metric_facts(scores.metrics)
        if task.metric not in scores.metrics:
            raise Wrong(f"score gives {sorted(scores.metrics)}, without its metric {task.metric!r}")
        for name, value in scores.metrics.items():
            low, high = facts[name].low, facts[name].high
            if not low - 1e-9 <= value <= high + 1e-9:
                raise Wrong(f"{name} of {what} is {value}, not from {low:g} to {high:g}")
        for name, values in scores.examples.items():
            if len(values) != len(predictions):
                raise Wrong(f"{len(values)} scores by {name} for {len(predictions)} examples")


def scores_answers_best(subject: Subject) -> str:
    """The references themselves score better than empty, constant and exchanged predictions.

    Nearly the best that is possible, too, where the metric has a bound and texts are not cut."""
    task, split = _task(subject), _part(_task(subject).test)
    metric = task.metric
    fact = task.metric_facts([metric])[metric]
    values = {
        what: _scored(task, predictions, split.references).metrics[metric]
        for what, predictions in _predictions(task, split).items()
    }
    best = values.pop("the references")
    sign = -1 if fact.lower_is_better else 1
    for what, value in values.items():
        if not sign * best > sign * value:
            raise Wrong(f"{metric} of the references is {best:.4g}, and of {what} {value:.4g}")
    bound = fact.low if fact.lower_is_better else fact.high
    whole = not any("cut" in str(note) for note in task.notes)
    if np.isfinite(bound) and whole and abs(best - bound) > 0.1 * abs(bound or 1):
        raise Wrong(f"{metric} of the references is {best:.4g}, far from the best, {bound:g}")
    return f"{metric} of the references is {best:.4g}, of others at most {max(values.values()):.4g}"


def scores_in_any_order(subject: Subject) -> None:
    """Predictions and references in another order score the same."""
    task, split = _task(subject), _part(_task(subject).test)
    predictions = _predictions(task, split)["exchanged references"]
    turn = np.random.default_rng(0).permutation(len(split)).tolist()
    one = _scored(task, predictions, split.references)
    other = _scored(
        task, [predictions[i] for i in turn], [split.references[i] for i in turn]
    )  # fmt: skip
    for name, value in one.metrics.items():
        if abs(value - other.metrics[name]) > 1e-6 * max(1.0, abs(value)):
            raise Wrong(
                f"{name} depends on the order of the examples: {value}, {other.metrics[name]}"
            )
    for name, values in one.examples.items():
        if not np.allclose(np.asarray(values)[turn], other.examples[name], equal_nan=True):
            raise Wrong(f"an example's score by {name} depends on the order of the examples")


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    has_ids_in_range,
    is_the_same_everywhere,
    keeps_its_splits_apart,
    covers_its_labels,
    scores_within_bounds,
    scores_answers_best,
    scores_in_any_order,
)


def told(name: str, plugin: str, files: Sequence[str]) -> None:
    """Prints the digest of a task's data; what another process is asked for."""
    from msbench.plugins.loading import load_plugins

    only = [plugin, *(os.path.basename(file) for file in files)]  # noqa: PTH119
    registry = load_plugins(files, only=only)
    print(_task(Subject(registry, registry.find("task", name))).fingerprint())


def examples_of(split: Split) -> list[tuple[Any, ...]]:
    """What makes two examples the same: the tokens of the source, and the reference as words."""
    sides = [side for side in (split.source, split.input) if side is not None]
    if split.prompted:
        sides = sides[1:]
    return [
        (*(tuple(side[row][side[row] != PAD].tolist()) for side in sides[:1]), _plain(reference))
        for row, reference in enumerate(split.references)
    ]


def _plain(reference: Any) -> str:
    """Without case, spaces and punctuation."""
    return re.sub(r"[\W_]+", " ", str(reference).casefold()).strip()


def _task(subject: Subject) -> Task:
    """The task, made once."""
    if "task" not in subject.kept:
        subject.kept["task"] = subject.make()
    task: Task = subject.kept["task"]
    return task


def _part(split: Split) -> Split:
    """The first test examples."""
    if len(split) <= SCORED:
        return split

    def cut(array: Any) -> Any:
        return None if array is None else array[:SCORED]

    return Split(
        cut(split.source),
        cut(split.target),
        list(split.references[:SCORED]),
        cut(split.input),
        split.prompted,
        cut(split.words),
    )


def _predictions(task: Task, split: Split) -> dict[str, list[Any]]:
    """Perfect and poor predictions, in the form that decoders give."""
    best = _answers(task, split)
    poor: dict[str, Any] = {"exchanged references": [*best[1:], best[0]]}
    if task.kind == "classify":
        common = Counter(task.train.target.tolist()).most_common(1)[0][0]
        poor["the commonest label"] = [common] * len(best)
    elif task.kind == "tag":
        used = task.train.target[task.train.target != IGNORE]
        common = Counter(used.tolist()).most_common(1)[0][0]
        poor["the commonest label"] = [[common] * len(each) for each in best]
    else:
        poor["nothing"] = [[] for _ in best]
    return {"the references": best, **poor}


def _answers(task: Task, split: Split) -> list[Any]:
    """What a perfect model would predict."""
    if task.kind == "classify":
        return [int(label) for label in split.target]
    if task.kind == "tag":
        return [[max(0, int(label)) for label in row] for row in split.target]
    outputs = []
    for row in range(len(split)):
        target = [int(t) for t in split.target[row] if t not in (IGNORE, END)]
        prompt = int((split.source[row] != PAD).sum()) if split.prompted else 0  # type: ignore[index]
        outputs.append(target[prompt:])
    return outputs


def _scored(task: Task, predictions: Sequence[Any], references: Sequence[Any]) -> Scores:
    scores = task.score(predictions, references)
    if not isinstance(scores, Scores):
        raise Wrong(f"score returns {type(scores).__name__}, not msbench.Scores")
    return scores
