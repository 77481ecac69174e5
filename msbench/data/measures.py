"""Named metrics that are no task's own: what `register_metrics` registers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msbench.data.metrics import Metric
from msbench.data.task import Scores, Task
from msbench.errors import MsbenchError


@dataclass(frozen=True)
class Measure:
    """How predictions on any task of some kind are scored, in plain words."""

    score: Callable[[Sequence[Any], Sequence[Any]], Scores]
    """(predictions, references) -> Scores, both as `Task.readable` gives them: names of labels,
    lists of tags, or texts."""
    metrics: Mapping[str, Metric]
    """What the metrics mean that it gives, by name."""


def with_measures(task: Task, measures: Mapping[str, Measure]) -> Task:
    """The task, scored by these measures too, each by its name. What the task itself scores by a
    name stays as it is."""
    readable = task.readable
    if not measures:
        return task
    if readable is None:
        raise MsbenchError(
            f"this task has no `readable` predictions, so they cannot be measured by "
            f"{', '.join(measures)}"
        )

    def score(predictions: Sequence[Any], references: Sequence[Any]) -> Scores:
        own = task.score(predictions, references)
        plain = readable(predictions, references)
        found = [each.score(*plain) for each in measures.values()] if plain else []
        return _joined([*found, own])

    facts = {name: fact for each in measures.values() for name, fact in each.metrics.items()}
    more = [name for name in facts if name not in (task.metric, *task.also)]
    return replace(task, score=score, metrics={**facts, **task.metrics}, also=(*task.also, *more))


def _joined(scores: Sequence[Scores]) -> Scores:
    """All of them; of one name the last."""
    return Scores(
        {name: value for each in scores for name, value in each.metrics.items()},
        {name: values for each in scores for name, values in each.examples.items()},
        {name: text for each in scores for name, text in each.signatures.items()},
    )
