"""What commands write: results to the output, messages to the error stream, files; exit codes."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from msbench.errors import StoreError, printable

NOT_OK, INTERRUPTED = 3, 130
"""Exit codes besides those of `msbench.errors`."""

SHOWN = 10
"""Problems that are listed one by one."""


def echo(line: str, err: bool = False) -> None:
    """Print a line without characters that a terminal would obey, whoever wrote them."""
    click.echo(printable(line), err=err)


def say(message: str) -> None:
    """Print a message on the error stream, each of its lines marked as msbench's."""
    for line in message.split("\n"):
        echo(f"msbench: {line}", err=True)


def say_skipped(problems: Sequence[str], unsealed: Sequence[str] = ()) -> None:
    """Print the first lines of records that were skipped, and how many more there are.

    unsealed: what is said of files without checksums, where some of a folder is damaged.
    """
    for problem in problems[:SHOWN]:
        say(problem)
    if len(problems) > SHOWN:
        say(f"and {len(problems) - SHOWN} more lines were skipped")
    for sentence in unsealed if problems else ():
        say(sentence)


def leave(code: int, message: str) -> NoReturn:
    """End the command with a message and an exit code."""
    say(message)
    click.get_current_context().exit(code)


def write(text: str) -> None:
    """Print results exactly as they are: `click.echo` would strip escape sequences from names."""
    sys.stdout.write(text + "\n")


def write_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a plain table with the rows' keys as its header; nothing if there are no rows."""
    from tabulate import tabulate

    cells = [{name: printable(str(value)) for name, value in row.items()} for row in rows]
    if cells:
        click.echo(tabulate(cells, "keys", tablefmt="simple", disable_numparse=True))


def write_file(path: Path, content: bytes) -> None:
    """Write a file; StoreError if that fails."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
