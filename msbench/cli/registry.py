"""The parts that a command can choose from."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from msbench.cli.output import say

if TYPE_CHECKING:
    from msbench.plugins.registry import Registry


@cache
def installed() -> "Registry":
    """The parts of all installed plugins; those that cannot be loaded are not mentioned."""
    from msbench.plugins.loading import load_plugins

    return load_plugins()


def load_registry(files: Sequence[str]) -> "Registry":
    """The parts of all installed plugins and of the given files.

    Prints a message for every installed plugin that cannot be loaded.
    """
    from msbench.plugins.loading import load_plugins

    registry = load_plugins(dict.fromkeys(files)) if files else installed()
    for name, reason in registry.broken.items():
        say(f"plugin {name} is not loaded: {reason}")
    return registry
