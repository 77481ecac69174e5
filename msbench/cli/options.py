"""Options that several commands share, and what commands do alike."""

import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from msbench.errors import MsbenchError, StoreError, printable
from msbench.spec import COMPARED

if TYPE_CHECKING:
    from msbench.compare.rows import Comparison
    from msbench.compare.targets import Target
    from msbench.plugins.registry import Registry
    from msbench.records.record import Record


Command = TypeVar("Command", bound=Callable[..., Any])


NOT_OK, INTERRUPTED = 3, 130


plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE",
    help="Load a plugin file that is not installed (may be given more than once).",
)


comparing_options = (
    click.option(
        "--by",
        type=click.Choice(COMPARED),
        default="optimizer",
        show_default=True,
        help="What is compared: strategies that are equal but for it.",
    ),
    click.option("--baseline", default="", metavar="NAME", help="The one to compare with."),
    click.option("--metric", default="", metavar="NAME", help="Shown instead of each task's own."),
    click.option(
        "--target",
        default="auto",
        metavar="VALUE|auto|SUITE",
        show_default=True,
        help="Validation loss to reach: a number, the median of the baseline's best, or a suite's.",
    ),
    click.option(
        "--margin",
        type=float,
        metavar="SIZE",
        help="Differences within it are equivalent, in the metric's unit.  [default: 0.01 of "
        "shares, 1 of 100, 1 % of losses]",
    ),
)


def comparing(command: Command) -> Command:
    """The options that say what is compared with what."""
    for option in reversed(comparing_options):
        command = option(command)
    return command


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and Ctrl-C end what is inside: workers are ended, records are kept."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def quit_at_once(*_: Any) -> NoReturn:
    """What SIGINT does while there is nothing to save."""
    os.write(2, b"msbench: interrupted\n")
    os._exit(INTERRUPTED)


def compared(results: str, asked: dict[str, Any]) -> "tuple[Comparison, list[str]]":
    """(the comparison, a sentence for every line that was skipped)."""
    from msbench.compare.comparison import compare as compare_records

    problems: list[str] = []
    target = parse_target(asked.pop("target"))
    with stream_records(results, problems) as records:
        return compare_records(records, target=target, **asked), problems


def write_file(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def stream_records(results: str, problems: list[str]) -> Iterator["Iterator[Record]"]:
    """The records of a folder, a file or a suite's name as they are read; then what was skipped is
    printed, and is in `problems`."""
    from msbench.records.store import find_results, stream

    try:
        yield stream(find_results(results), problems)
    finally:
        print_problems(problems)


def print_problems(problems: Sequence[str]) -> None:
    """The first ten lines that were skipped, and how many more there are."""
    for problem in problems[:10]:
        click.echo(f"msbench: {printable(problem)}", err=True)
    if len(problems) > 10:
        click.echo(f"msbench: and {len(problems) - 10} more lines were skipped", err=True)


def parse_target(text: str) -> "Target":
    """What `--target` says: none is automatic."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        from msbench.plan.suite import load_suite

        targets = load_suite(text).targets
        if not targets:
            raise MsbenchError(f"suite {text!r} has no [target]") from None
        return targets
    if not math.isfinite(value):
        raise MsbenchError(f"a target is a finite validation loss, not {text}")
    return value


def leave(code: int, message: str) -> NoReturn:
    click.echo(f"msbench: {message}", err=True)
    click.get_current_context().exit(code)


@cache
def installed() -> "Registry":
    """What is installed, for the commands of plugins."""
    from msbench.plugins.loading import load_plugins

    return load_plugins()


def load_registry(plugins: Sequence[str]) -> "Registry":
    """What is installed and the given files, with a line for every plugin set aside."""
    from msbench.plugins.loading import load_plugins

    registry = load_plugins(dict.fromkeys(plugins)) if plugins else installed()
    for name, reason in registry.broken.items():
        click.echo(f"msbench: {printable(f'plugin {name} is not loaded: {reason}')}", err=True)
    return registry
