"""What a run will not leave behind, said before it begins."""

from collections.abc import Sequence

from msbench.plan.resolve import task_kinds
from msbench.plugins.registry import Registry
from msbench.spec import Suite, Trial


def kept_notes(suite: Suite, trials: Sequence[Trial], registry: Registry) -> list[str]:
    """That other decoders will need weights, where outputs are written in many ways and the trials
    to come keep none."""
    parts = {trial.task.name: trial.task for trial in trials if not trial.yardstick}
    kinds = {k for name, p in parts.items() for k in task_kinds(registry.find("task", name), p)}
    if suite.keep_weights or not kinds & {"seq2seq", "lm"}:
        return []
    return [
        "weights are not kept, so msbench decode cannot try other decoders afterwards "
        "(-o keep_weights=true keeps them)"
    ]
