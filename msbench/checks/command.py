"""Commands."""

from collections.abc import Callable
from typing import Any

import click
from click.testing import CliRunner

from msbench.checks.findings import Wrong
from msbench.checks.subject import Subject


def can_be_made(subject: Subject) -> None:
    """It is a click command."""
    command = subject.entry.load()
    if not isinstance(command, click.Command):
        raise Wrong(f"it is {type(command).__name__}, not a click command")


def helps(subject: Subject) -> None:
    """`--help` explains it, without doing anything."""
    command: Any = subject.entry.load()
    done = CliRunner().invoke(command, ["--help"])
    if done.exit_code:
        raise Wrong(f"--help ends with exit code {done.exit_code}: {done.output.strip()[-200:]}")
    if not (command.help or "").strip():
        raise Wrong("--help says nothing: give the command a docstring")


CHECKS: tuple[Callable[[Subject], Any], ...] = (can_be_made, helps)
