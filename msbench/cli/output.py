"""What commands write: results to the output, messages to the error stream, files; exit codes."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NoReturn

import click

from msbench.errors import StoreError, printable

if TYPE_CHECKING:
    from msbench.compare.rows import Comparison

NOT_OK, INTERRUPTED = 3, 130
"""Exit codes besides those of `msbench.errors`."""

SHOWN = 10
"""Problems that are listed one by one."""


def echo(line: str, err: bool = False) -> None:
    """Print a line without characters that a terminal would obey, whoever wrote them."""
    click.echo(printable(line), err=err)


def echo_wrapped(line: str) -> None:
    """Print a line; on a terminal it is broken between words, and goes on where it began."""
    width = terminal_width()
    if width is None or len(line) <= width:
        echo(line)
        return
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    for piece in wrap(line, width, subsequent_indent=indent, break_on_hyphens=False):
        echo(piece)


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


def terminal_width() -> int | None:
    """Columns of the terminal that results are printed on; None in a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write_answer(
    comparison: "Comparison",
    results: Sequence[str],
    options: Sequence[str] = (),
    again: Sequence[str] = (),
) -> None:
    """Print the answer and the three commands to go on with.

    results: names of what was compared. options: how, in words of the command line. again: the
    command that adds seeds until there is a verdict, if something is undecided; else a
    recommendation is the third command.
    """
    from msbench.report.answer import answer

    rows = [row for row in comparison.accuracy if row["decides"]] or comparison.accuracy
    is_open = any(row["verdict"] == "undecided" and not row["stopped"] for row in rows)
    passes = max((row["passes"] for row in rows if row["passes"] > 0), default=100)
    third = (
        ("Until decided:", again)
        if again and is_open
        else ("For a budget: ", ["recommend", results[0], "--budget", f"{passes:.0f}passes"])
    )
    commands = [
        ("The numbers:  ", ["compare", *results, *options, "--table", "accuracy"]),
        ("All on a page:", ["report", *results, *options]),
        third,
    ]
    lines = [f"{what} {shlex.join(['msbench', *words])}" for what, words in commands]
    write("\n".join(answer(comparison, lines)))


def write_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a plain table with the rows' keys as its header; nothing if there are no rows."""
    from tabulate import tabulate

    cells = [{name: printable(str(value)) for name, value in row.items()} for row in rows]
    if cells:
        most = _last_column(cells)
        click.echo(
            tabulate(cells, "keys", tablefmt="simple", disable_numparse=True, maxcolwidths=most)
        )


def _last_column(cells: Sequence[Mapping[str, str]]) -> list[int | None] | None:
    """How wide columns may be: on a terminal the last one, which has the longest texts, is broken
    between words."""
    width = terminal_width()
    if width is None:
        return None
    *others, _ = cells[0]
    taken = sum(max(len(name) + 2, *(len(row[name]) for row in cells)) + 2 for name in others)
    return [*[None] * len(others), max(20, width - taken)]


def write_file(path: Path, content: bytes) -> None:
    """Write a file; StoreError if that fails."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
