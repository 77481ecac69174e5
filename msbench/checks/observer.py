"""Observers: what is told all events of a run."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msbench.checks.findings import Wrong
from msbench.checks.subject import Subject
from msbench.plugins.options import supplied


def can_be_made(subject: Subject) -> None:
    """With all options at their defaults it gives a function of an event."""
    with tempfile.TemporaryDirectory() as folder:
        if not callable(supplied(subject.make, folder=Path(folder))):
            raise Wrong("its factory returns nothing that can be called with an event")


CHECKS: tuple[Callable[[Subject], Any], ...] = (can_be_made,)
