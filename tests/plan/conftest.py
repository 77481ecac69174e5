"""Planning the tiny suite with changes, for its trials or for what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from msbench.errors import SuiteError
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.spec import Part, Trial


@pytest.fixture
def planned(write_suite: Callable[..., Path], registry: Registry) -> Callable[..., list[Trial]]:
    """The trials of the tiny suite, changed as `write_suite` says."""

    def planned(plugins: Registry = registry, **changes: str) -> list[Trial]:
        return plan(load_suite(str(write_suite(**changes))), plugins, (), lambda part: "data")

    return planned


@pytest.fixture
def problems(write_suite: Callable[..., Path], registry: Registry) -> Callable[..., list[str]]:
    """What is wrong with the tiny suite after the changes, without its path."""

    def no_data(part: Part) -> str:
        raise AssertionError("data was read although the suite is wrong")

    def problems(plugins: Registry = registry, **changes: str) -> list[str]:
        path = write_suite(**changes)
        with pytest.raises(SuiteError) as caught:
            plan(load_suite(str(path)), plugins, (), no_data)
        assert all(line.startswith(f"{path}: ") for line in caught.value.problems)
        return [line.removeprefix(f"{path}: ") for line in caught.value.problems]

    return problems
