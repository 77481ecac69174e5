"""Observers of a run, such as trackers: each is told every event, and none can stop it."""

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from msbench.errors import PluginWarning
from msbench.plugins.options import supplied
from msbench.plugins.registry import Registry
from msbench.run.events import Event
from msbench.spec import Choice

Observer = Callable[[Event], None]


def build_observers(
    registry: Registry, choices: Sequence[Choice], folder: Path
) -> dict[str, Observer]:
    """Observers by their names; PluginError if one cannot be made. folder: of the results."""
    made = {}
    for choice in choices:
        build = registry.build("observer", registry.resolve("observer", choice))
        made[choice.label or choice.name] = supplied(build, folder=folder)
    return made


def observed(
    events: Generator[Event, None, None], observers: Mapping[str, Observer]
) -> Generator[Event, None, None]:
    """The events, each told to all observers before it is handed on.

    An observer that fails is named in a warning and told nothing more.
    """
    left = dict(observers)
    with closing(events):
        for event in events:
            for name in list(left):
                try:
                    left[name](event)
                except Exception as error:
                    del left[name]
                    reason = f"{type(error).__name__}: {error}"
                    message = f"observer {name!r} failed, and is told no more: {reason}"
                    warnings.warn(message, PluginWarning, stacklevel=2)
            yield event
