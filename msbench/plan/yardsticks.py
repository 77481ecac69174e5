"""What strategies are held against: models that bring everything else themselves, fitted once."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msbench.errors import PluginError
from msbench.plan.known import resolved_part
from msbench.plan.resolve import Parts, Resolved, fits, kind_fits, resolve, task_kinds
from msbench.plugins.registry import Entry, Registry
from msbench.spec import Choice, Kind, Part, Suite, Training, Trial, display_name

ONCE = Training(passes=1, validations=1)
"""A yardstick is fitted in one step; what a suite says of training is for strategies."""


def yardstick_problems(suite: Suite, registry: Registry, parts: Parts) -> list[str]:
    """What is wrong with a suite's yardsticks."""
    problems = []
    names = [display_name(choice) for choice in suite.yardsticks]
    if len(set(names)) < len(names):
        problems.append(f"{suite.path}: yardstick: two have one name; give each a label of its own")
    for choice in suite.yardsticks:
        resolved, found = resolve(registry, "model", choice)
        problems += found
        for each in resolved:
            problems += _misfits(each, parts["task"], registry)
    return problems


def yardstick_cells(
    suite: Suite, registry: Registry, parts: Parts, fingerprint: Callable[[Part], str]
) -> Iterator[partial[Trial]]:
    """A trial but for its seed of every yardstick on every task that it fits."""
    for choice in suite.yardsticks:
        entry = registry.find("model", choice.name)
        model = Resolved(choice, entry, resolved_part(registry, "model", choice))
        for task in parts["task"]:
            if fits(model, task):
                yield partial(
                    Trial,
                    task=task.part,
                    model=model.part,
                    **_own_parts(registry, entry.learner),
                    decoders=_decoders(registry, entry.learner, task),
                    learner=resolved_part(registry, "learner", Choice(entry.learner)),
                    training=ONCE,
                    device="cpu",
                    threads=suite.threads,
                    dtype=suite.dtype,
                    data=fingerprint(task.part),
                    yardstick=True,
                )


def _own_parts(registry: Registry, learner: str) -> dict[str, Any]:
    """The loss and the optimizer of a learner that has one of each, and the plain schedule."""
    own: dict[str, Any] = {
        kind: resolved_part(registry, kind, Choice(_of(registry, kind, learner)[0].name))
        for kind in ("loss", "optimizer")
    }
    return own | {"schedule": resolved_part(registry, "schedule", Choice("constant"))}


def _decoders(registry: Registry, learner: str, task: Resolved) -> tuple[Part, ...]:
    entries = [each for each in _of(registry, "decoder", learner) if kind_fits(each, task)]
    return tuple(resolved_part(registry, "decoder", Choice(each.name)) for each in entries)


def _of(registry: Registry, kind: Kind, learner: str) -> list[Entry]:
    return [entry for entry in registry.of(kind) if entry.learner == learner]


def _misfits(model: Resolved, tasks: list[Resolved], registry: Registry) -> list[str]:
    """That a model is no yardstick, or is one on none of the tasks."""
    entry, where = model.entry, model.choice.where
    if any(len(_of(registry, kind, entry.learner)) != 1 for kind in ("loss", "optimizer")):
        return [
            f"{where}: model {entry.name!r} is for {entry.learner}, where losses and optimizers "
            f"are to be chosen: a yardstick brings its own (msbench list models: linear)"
        ]
    if not any(fits(model, task) for task in tasks):
        kinds = sorted({kind for task in tasks for kind in task_kinds(task.entry, task.part)})
        return [f"{where}: model {entry.name!r} fits no task of this suite ({', '.join(kinds)})"]
    if not _of(registry, "decoder", entry.learner):
        raise PluginError(f"learner {entry.learner!r} has no decoder")
    return []
