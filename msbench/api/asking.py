"""A suite with what is asked of it besides: parts, seeds, workers, a device."""

from collections.abc import Sequence

from msbench.errors import MsbenchError
from msbench.plan.overrides import restricted
from msbench.plan.trials import with_overrides
from msbench.plugins.registry import Registry
from msbench.spec import MAX_SEEDS, Suite


def asked_suite(
    suite: Suite,
    registry: Registry,
    *,
    tasks: Sequence[str] = (),
    models: Sequence[str] = (),
    optimizers: Sequence[str] = (),
    seeds: int | None = None,
    until_verdict: bool = False,
    max_seeds: int | None = None,
    workers: int | None = None,
    device: str | None = None,
) -> Suite:
    """The suite as it is run. MsbenchError if seeds are asked for in two ways, SuiteError if it has
    no such parts."""
    if (max_seeds and not until_verdict) or (until_verdict and seeds):
        raise MsbenchError("max_seeds goes with until_verdict, and neither with seeds")
    only = {"task": tasks, "model": models, "optimizer": optimizers}
    chosen = restricted(suite, only, registry)
    if until_verdict:
        max_seeds = max_seeds or chosen.question.max_seeds or MAX_SEEDS
    return with_overrides(chosen, seeds=seeds, device=device, workers=workers, max_seeds=max_seeds)
