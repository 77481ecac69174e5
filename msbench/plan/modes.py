"""How training steps are computed: whether a learner can do it, and what it will do instead."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msbench.plan.resolve import Parts, task_kinds
from msbench.plugins.registry import Registry
from msbench.spec import Kind, Part, Suite, Trial, display_name

Why = Callable[[Any, Kind, Part, str], str]
"""(learner, kind, part, kind of task) -> why its steps cannot be captured; empty if they can."""


def mode_problems(suite: Suite, registry: Registry, parts: Parts) -> list[str]:
    """Settings of training that a learner of this suite does not know."""
    wanted = dict.fromkeys(name for each in suite.training.values() for name in each.modes)
    return [
        f"{suite.path}: training.{name}: learner {learner!r} cannot be told a {name}"
        for learner in sorted({each.entry.learner for each in parts["model"]})
        for name in wanted
        if name not in inspect.signature(registry.find("learner", learner).load()).parameters
    ]


def mode_notes(trials: Sequence[Trial], registry: Registry) -> list[str]:
    """What learners do otherwise than the suite says, and why; each sentence once."""
    special = [trial for trial in trials if trial.training.modes]
    why: Why = _cached_why(registry)
    return list(dict.fromkeys(note for trial in special for note in _notes(trial, registry, why)))


def _cached_why(registry: Registry) -> Why:
    """Why a learner cannot capture the steps of a part on a kind of task; asked once per part."""
    known: dict[tuple[str, ...], str] = {}

    def why(learner: Any, kind: Kind, part: Part, task: str) -> str:
        question = (kind, part.json, task)
        if question not in known:
            known[question] = learner.why_eager(kind, registry.build(kind, part), task)
        return known[question]

    return why


def _notes(trial: Trial, registry: Registry, why: Why) -> Iterator[str]:
    learner: Any = registry.find("learner", trial.learner.name).load()
    if hasattr(learner, "mode_notes"):
        yield from learner.mode_notes(trial.training.modes, trial.device)
    if not trial.training.graph or trial.device == "cpu" or not hasattr(learner, "why_eager"):
        return
    task = next(iter(task_kinds(registry.find("task", trial.task.name), trial.task)), "")
    for kind, part in _trained(trial):
        if reason := why(learner, kind, part, task):
            yield f"{kind} {display_name(part)} trains eagerly in spite of graph = true: {reason}"


def _trained(trial: Trial) -> Iterator[tuple[Kind, Part]]:
    yield "model", trial.model
    for phase in trial.stages():
        yield "loss", phase.loss
        yield "optimizer", phase.optimizer
