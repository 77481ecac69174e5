"""Whether trials of a suite can go on from checkpoints, told before any compute."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from msbench.cache import known
from msbench.plan.known import FACTS, rules
from msbench.plan.resolve import Parts, fits, resolve, task_kinds
from msbench.plugins.registry import Entry, Registry
from msbench.spec import Kind, Part, Suite

TRIED: tuple[Kind, ...] = ("model", "loss", "optimizer")
"""What has state in training."""


def checkpoint_problems(suite: Suite, registry: Registry, parts: Parts) -> list[str]:
    """Learners that keep no checkpoints, and parts that would go on from one differently."""
    if not suite.checkpoint:
        return []
    names = sorted({each.entry.learner for each in parts["model"]})
    learners: dict[str, Any] = {name: registry.find("learner", name).load() for name in names}
    problems = [
        f"{suite.path}: checkpoint: learner {name!r} keeps no checkpoints"
        for name, learner in learners.items()
        if not hasattr(learner, "why_no_checkpoint")
    ]
    if problems:
        return problems
    for where, entry, part, task in _tried(suite, registry, parts):
        if entry.learner in learners and (
            reason := _reason(registry, learners[entry.learner], entry, part, task, suite.dtype)
        ):
            problems.append(f"{where}: checkpoint: {entry.kind} {entry.name!r}: {reason}")
    return list(dict.fromkeys(problems))


def _tried(
    suite: Suite, registry: Registry, parts: Parts
) -> Iterator[tuple[str, Entry, Part, str]]:
    """Every part with state: where it stands, and a kind of task that it works on."""
    phases = [
        (kind, resolved)
        for phase in suite.phases
        for kind, choice in phase.parts().items()
        for resolved in resolve(registry, kind, choice)[0]
    ]
    listed = [(kind, each) for kind in TRIED for each in parts[kind]]
    for kind, each in [*listed, *phases]:
        fitting = [task for task in parts["task"] if fits(each, task)]
        kinds = dict.fromkeys(k for task in fitting for k in task_kinds(task.entry, task.part)[:1])
        for task in list(kinds)[:1] if kind == "optimizer" else kinds:
            yield each.choice.where, each.entry, each.part, task


def _reason(
    registry: Registry, learner: Any, entry: Entry, part: Part, task: str, dtype: str
) -> str:
    """Why the part does not go on to the last bit; asked once, since steps are taken for it."""
    make = registry.build(entry.kind, part)
    find = partial(learner.why_no_checkpoint, entry.kind, make, task, dtype)
    version = registry.find("learner", entry.learner).full_version
    about = [rules(), "checkpoint", entry.kind, part.json, version, task, dtype]
    found: str = known(FACTS, about, find)
    return found
