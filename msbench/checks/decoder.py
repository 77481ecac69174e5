"""Decoders: predictions that come from the model and the source, and from nothing else.

Each check tries every kind of task that the decoder fits, with a small model that was trained a
little, through a learner as in a trial.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from msbench.checks.endless import Endless
from msbench.checks.findings import Skipped, Wrong
from msbench.checks.learning import need_kinds, trained
from msbench.checks.subject import Subject
from msbench.data.task import BEGIN, END, PAD, Batch, Task
from msbench.data.withheld import blind, without_test
from msbench.microbench.tasks import task_of
from msbench.plugins.options import supplied
from msbench.spec import TaskKind

TRAINED = 30
"""Steps of the model, so that predictions differ."""

ROWS = 9


@dataclass
class Case:
    """The decoder on one kind of task."""

    subject: Subject
    kind: TaskKind
    learner: Any

    @property
    def task(self) -> Task:
        """The small task."""
        return task_of(self.kind)

    @cached_property
    def batch(self) -> Batch:
        """Some test examples of several lengths."""
        order = np.argsort(np.sum(self.task.test.lengths, axis=0), kind="stable")
        return self.task.test.batch(order[:: max(1, len(order) // ROWS)][:ROWS])

    def predictions(self, batch: Batch, task: Task | None = None, seed: str = "check") -> list[Any]:
        """What the decoder, made anew, predicts. task: what it is told of, if not the real one."""
        decoder = supplied(self.subject.make, task=task or self.task)
        self.learner.mode(training=False)
        self.learner.reseed("calibrate")
        self.learner.calibrate(decoder)
        self.learner.reseed(seed)
        found = list(self.learner.predict(batch, decoder))
        if self.kind != "tag" or len(found) != len(batch.rows):
            return found
        sizes = (np.asarray(batch.source) != PAD).sum(axis=1).tolist()  # what counts of each
        return [list(tags)[:size] for tags, size in zip(found, sizes, strict=True)]

    @cached_property
    def usual(self) -> list[Any]:
        """The predictions for the batch."""
        return self.predictions(self.batch)

    @cached_property
    def draws(self) -> bool:
        """Whether its predictions are drawn at random."""
        return not same(self.usual, self.predictions(self.batch, seed="another"))


def can_be_made(subject: Subject) -> None:
    """It gives one prediction for each example."""
    for case in _cases(subject):
        if (got := len(case.usual)) != (size := len(case.batch.rows)):
            raise Wrong(f"on {case.kind} it gives {got} predictions for {size} examples")


def predicts_what_is_scored(subject: Subject) -> None:
    """Predictions have the form that tasks score.

    `classify`: a class id, or log-probabilities of all classes, which add up to 1. `tag`: a label
    id for each token. `seq2seq`, `lm`: token ids without PAD, BEGIN and END; of `lm` also a number,
    the log-probability of the text."""
    for case in _cases(subject):
        for each in case.usual:
            if wrong := _malformed(case, each):
                raise Wrong(f"on {case.kind} {wrong}: {each!r:.100}")


def repeats_itself(subject: Subject) -> None:
    """With the same seed it predicts the same; what it draws comes from the learner's stream."""
    for case in _cases(subject):
        if not same(case.usual, case.predictions(case.batch)):
            raise Wrong(f"on {case.kind} two predictions with one seed differ")


def ignores_its_neighbours(subject: Subject) -> str:
    """An example's prediction is the same alone as in a batch: the batch size is no option."""
    drawn = False
    for case in _cases(subject):
        if case.draws:
            drawn = True
            continue
        for place in range(0, len(case.batch.rows), 2):
            alone = case.task.test.batch(case.batch.rows[[place]])
            if not same(case.predictions(alone), case.usual[place : place + 1], 1e-4):
                raise Wrong(
                    f"on {case.kind} an example's prediction depends on the others in its batch"
                )
    return "not compared where it draws at random" if drawn else ""


def sees_no_answers(subject: Subject) -> str:
    """With targets and references withheld, as in trials, it predicts the same.

    They are withheld in the batch, in its split and in the task's test split. A decoder that sees
    what it is scored against would win everything. One that is registered with `reads_targets`
    scores texts, and needs them."""
    if subject.entry.reads_targets:
        raise Skipped("it is registered with reads_targets")
    for case in _cases(subject):
        try:
            found = case.predictions(blind(case.batch), without_test(case.task))
        except Exception as error:
            raise Wrong(
                f"on {case.kind} it fails where targets and references are withheld: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not same(case.usual, found):
            raise Wrong(
                f"on {case.kind} it predicts otherwise where targets and references are withheld: "
                f"it reads what it is scored against"
            )
    return ""


def keeps_within_limits(subject: Subject) -> str:
    """No output is longer than the model's `max_length`, even if the model would never end."""
    tried = False
    for case in _cases(subject):
        limit = int(getattr(getattr(case.learner, "model", None), "max_length", 0))
        if case.kind not in ("seq2seq", "lm") or not limit or isinstance(case.usual[0], float):
            continue
        tried = True
        longest = max(map(len, case.usual))
        if subject.is_torch:
            longest = max(longest, _longest_without_end(case))
        if longest > limit:
            raise Wrong(f"on {case.kind} an output has {longest} tokens; max_length is {limit}")
    if not tried:
        raise Skipped("it generates nothing")
    return ""


def leaves_the_model_alone(subject: Subject) -> None:
    """Weights, the mode of the model and the batch are as before, also where it calibrates."""
    for case in _cases(subject):
        learner, before = case.learner, case.learner.checksum()
        kept = case.batch.map(lambda array: array.copy())
        case.predictions(case.batch)
        if learner.checksum() != before:
            raise Wrong(f"on {case.kind} it changes the model's weights")
        if getattr(getattr(learner, "model", None), "training", False):
            raise Wrong(f"on {case.kind} it leaves the model in training")
        for name in ("source", "input", "target", "words"):
            old, new = getattr(kept, name), getattr(case.batch, name)
            if old is not None and not np.array_equal(old, new):
                raise Wrong(f"on {case.kind} it changes batch.{name}; work on a copy")


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    predicts_what_is_scored,
    repeats_itself,
    ignores_its_neighbours,
    sees_no_answers,
    keeps_within_limits,
    leaves_the_model_alone,
)


def same(one: Sequence[Any], other: Sequence[Any], close: float = 0.0) -> bool:
    """Whether predictions are equal; numbers may differ by so much."""
    if len(one) != len(other):
        return False
    for a, b in zip(one, other, strict=True):
        if close and _is_numbers(a) and _is_numbers(b):
            if not np.allclose(a, b, rtol=close, atol=close):
                return False
        elif a != b:
            return False
    return True


def _is_numbers(value: Any) -> bool:
    return isinstance(value, float) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], float)
    )


def _malformed(case: Case, prediction: Any) -> str:
    """What is wrong with the form of a prediction; "" if nothing is."""
    classes, vocabulary = case.task.classes, case.task.vocabulary
    if case.kind == "classify":
        if isinstance(prediction, int):
            return "" if 0 <= prediction < classes else f"no class from 0 to {classes - 1}"
        if not isinstance(prediction, list) or len(prediction) != classes:
            return f"neither a class id nor {classes} log-probabilities"
        total = sum(math.exp(value) for value in prediction if value <= 50)
        return "" if abs(total - 1) < 1e-3 else f"probabilities that add up to {total:.4g}, not 1"
    if case.kind == "lm" and isinstance(prediction, float):
        return "" if prediction <= 0 else "a log-probability above 0"
    if not isinstance(prediction, list) or not all(isinstance(each, int) for each in prediction):
        return "not a list of ids"
    limit = classes if case.kind == "tag" else vocabulary
    if any(not 0 <= each < limit for each in prediction):
        return f"an id that is not from 0 to {limit - 1}"
    if case.kind != "tag" and {PAD, BEGIN, END} & {*prediction}:
        return "PAD, BEGIN or END within the output"
    return ""


def _longest_without_end(case: Case) -> int:
    """Tokens of the longest output where END is never likely."""
    decoder = supplied(case.subject.make, task=case.task)
    case.learner.mode(training=False)
    case.learner.calibrate(decoder)
    outputs = case.learner.predict(
        case.batch, lambda model, batch: decoder(Endless(model, END), batch)
    )
    return max(map(len, outputs))


def _cases(subject: Subject) -> Iterator[Case]:
    """The decoder on every kind of task it fits; models are trained once."""
    need_kinds(subject)
    for kind in subject.kinds:
        if kind not in subject.kept:
            learner = subject.learner(kind)
            trained(learner, TRAINED)
            subject.kept[kind] = Case(subject, kind, learner)
        yield subject.kept[kind]
