"""The suite itself, for pytest with pytest-benchmark: a test for every case.

`msbench microbench` runs it; the cases come from there.
"""

from collections.abc import Callable
from typing import Any

import pytest

from msbench.errors import MsbenchError
from msbench.microbench.cases import Case, prepared
from msbench.plugins.registry import Registry


def test_part(benchmark: Any, case: Case, registry: Registry, device: str) -> None:
    """Time one case; what cannot be run alone is skipped, with the reason."""
    try:
        learner, work = prepared(case, registry, device)
    except MsbenchError as error:
        pytest.skip(str(error))
    benchmark.extra_info["parameters"] = learner.parameters()
    benchmark(_finished(work, learner.synchronize))


def _finished(work: Callable[[], Any], synchronize: Callable[[], None]) -> Callable[[], None]:
    """The work until the device has done it."""

    def run() -> None:
        work()
        synchronize()

    return run
