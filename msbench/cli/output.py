"""What commands write: results to the output, messages to the error stream, files; exit codes."""

import codecs
import io
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from msbench.errors import StoreError, printable

NOT_OK, INTERRUPTED, CLOSED = 3, 130, 141
"""Exit codes besides those of `msbench.errors`; CLOSED is what SIGPIPE would leave."""

SHOWN = 10
"""Problems that are listed one by one."""


def escape_what_cannot_be_printed() -> None:
    """Let both streams write what their encoding lacks as JSON escapes (`\\u00e9`): in ASCII or
    latin-1, and of names that are no Unicode, they would end the command with a traceback."""
    codecs.register_error("msbench", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="msbench")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import json  # late: msbench --help loads this file

    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def flush() -> None:
    """Write what is left of the output now, while it can still be said that it cannot be."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def drop_output() -> None:
    """Write no more: a closed pipe or a full disk would be an error again when Python ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


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
