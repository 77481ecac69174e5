"""What commands read: plugins and records."""

import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from msbench.cli.output import say, say_skipped

if TYPE_CHECKING:
    from msbench.api.reading import Remarks
    from msbench.compare.columns import Columns
    from msbench.compare.rows import Comparison
    from msbench.plugins.registry import Registry


def installed() -> "Registry":
    """The parts of all installed plugins; those that cannot be loaded are not mentioned."""
    from msbench.plugins.loading import ALLOW_LIST

    return _allowed(os.environ.get(ALLOW_LIST))


@cache
def _allowed(listed: str | None) -> "Registry":
    """Those that MSBENCH_PLUGINS allows, which is `listed` now."""
    from msbench.plugins.loading import load_plugins

    return load_plugins()


def load_registry(files: Sequence[str]) -> "Registry":
    """The parts of all installed plugins and of the given files.

    Prints a message for every installed plugin that cannot be loaded. PluginError names a file that
    cannot be.
    """
    from msbench.plugins.first_load import check_first_file
    from msbench.plugins.loading import ALLOW_LIST, load_plugins

    for file in files:
        check_first_file(file)
    registry = load_plugins(dict.fromkeys(files)) if files else installed()
    for name, reason in registry.broken.items():
        say(f"plugin {name} is not loaded: {reason}")
        say(
            f"without this message: pip uninstall {name}, {ALLOW_LIST} with the plugins to load, "
            f"or --no-plugins"
        )
    return registry


def read_columns(results: str, metric: str = "") -> "Columns":
    """The columns of a folder, a file or a suite's name; what is skipped is printed.

    metric: also keep its scores per example.
    """
    from msbench.api.reading import Remarks, read_columns

    remarks = Remarks()
    try:
        return read_columns(results, metric, remarks)
    finally:
        say_skipped(remarks.problems, remarks.unsealed)


def compare_results(*results: str, **options: Any) -> "tuple[Comparison, Remarks]":
    """The comparison of one or several results, and what was found while they were read, which is
    printed.

    options: those of `comparison_options`.
    """
    from msbench.api.reading import Remarks, compare_results

    remarks = Remarks()
    try:
        return compare_results(results, remarks, **options), remarks
    finally:
        say_skipped(remarks.problems, remarks.unsealed)
