"""Whether trials of a suite can be trained by several processes, told before any compute."""

import inspect
from collections.abc import Iterator
from typing import Any

from msbench.errors import MsbenchError
from msbench.plan.resolve import Parts, resolve
from msbench.plugins.registry import Registry
from msbench.spec import Suite


def processes_problems(suite: Suite, registry: Registry, parts: Parts) -> list[str]:
    """Learners that train in one process, and settings and optimizers that need one."""
    if suite.processes == 1:
        alone = f"{suite.path}: sharded = true needs several processes (processes = N)"
        return [alone] if suite.sharded else []
    problems = list(_of_settings(suite))
    learners = {each.entry.learner for each in parts["model"]}
    made: dict[str, Any] = {name: registry.find("learner", name).load() for name in learners}
    for name, learner in sorted(made.items()):
        if "processes" not in inspect.signature(learner).parameters:
            problems.append(f"{suite.path}: processes: learner {name!r} trains in one process")
        elif suite.sharded and "sharded" not in inspect.signature(learner).parameters:
            problems.append(f"{suite.path}: sharded: learner {name!r} splits no weights")
        elif suite.checkpoint and not hasattr(learner, "told_by_all"):
            problems.append(
                f"{suite.path}: processes: learner {name!r} keeps checkpoints of one process alone"
            )
    phases = [
        resolved
        for phase in suite.phases
        if (choice := phase.parts().get("optimizer"))
        for resolved in resolve(registry, "optimizer", choice)[0]
    ]
    for each in [*parts["optimizer"], *phases]:
        check = getattr(made.get(each.entry.learner), "check_processes", None)
        try:
            if check is not None:
                sharded = {"sharded": True} if suite.sharded else {}
                check(registry.build("optimizer", each.part), suite.processes, **sharded)
        except MsbenchError as error:
            problems.append(f"{each.choice.where}: processes: {each.entry.name!r}: {error}")
    return problems


def processes_notes(suite: Suite) -> list[str]:
    """What is left out where several processes train a trial."""
    if suite.processes == 1 or not suite.throughput.rounds:
        return []
    return [f"throughput: not measured, since trials train in {suite.processes} processes"]


def _of_settings(suite: Suite) -> Iterator[str]:
    for name, training in suite.training.items():
        if training.batch_size < suite.processes:
            yield (
                f"{suite.path}: processes: a batch of {training.batch_size} examples ({name}) has "
                f"no share for each of {suite.processes}"
            )
        for mode in ("compile", "graph"):
            if getattr(training, mode):
                yield f"{suite.path}: processes: {mode} = true ({name}) is for one process"
        if training.seconds:
            yield f"{suite.path}: processes: a budget in seconds ({name}) is for one process"
    if ":" in suite.device:
        yield (
            f"{suite.path}: processes: device {suite.device!r} is one, and each process needs its "
            f"own: say 'cuda'"
        )
