"""`msbench microbench`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msbench.cli.inputs import load_registry
from msbench.cli.options import Named, Seconds, Share, format_option, out_option, plugin_option
from msbench.cli.output import NOT_OK, leave, say, write
from msbench.errors import printable

if TYPE_CHECKING:
    from msbench.compare.microbench import Microbench

FOLDER = "microbench"


@click.command("microbench")
@click.option(
    "--only",
    multiple=True,
    metavar="KIND[:NAME]",
    help="Only this part, or parts of this kind (repeatable).",
)
@click.option("--device", type=Named(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--seconds",
    type=Seconds(),
    metavar="S",
    default=0.3,
    show_default=True,
    help="About how long to time each.",
)
@out_option("figures in DIR/microbench/")
@click.option(
    "--compare",
    "old",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Earlier figures.  [default: the last ones of this machine and device]",
)
@click.option(
    "--fail-over",
    type=Share(),
    metavar="SHARE",
    help="Exit with an error if a part is slower by more than this, such as 10%.",
)
@plugin_option
@format_option
def command(
    only: tuple[str, ...],
    device: str,
    seconds: float,
    out: Path,
    old: Path | None,
    fail_over: float | None,
    plugins: tuple[str, ...],
    style: str,
) -> None:
    """Time every part alone, and name what became slower.

    Of every plugin: an optimizer's step on models of three sizes, a loss forward and backward, a
    model forward and in its first cached steps, a decoder's prediction.
    """
    from msbench.run.device import limit_threads

    limit_threads(1)
    from msbench.compare.microbench import (
        LIMIT,
        Microbench,
        compared,
        new_file,
        newest,
        place,
        read_times,
    )
    from msbench.microbench.cases import cases
    from msbench.microbench.session import Session, run_session

    before = read_times(old) if old else None
    registry = load_registry(plugins)
    session = Session(cases(registry, only), registry, device, _progress())
    folder = out / FOLDER
    file = new_file(folder)
    run_session(session, file, seconds)
    now = read_times(file) if file.is_file() else {"benchmarks": []}
    if before is None and (last := newest(folder, now, file)):
        old, before = last, read_times(last)
    elif before is not None and place(before) != place(now):
        say(f"{old} is of another machine or device: what differs may be that")
    rows = compared(now, before, fail_over or LIMIT)
    found = Microbench(rows, str(old or ""), session.skipped, session.failed)
    _print(found, style)
    _leave_if_bad(found, fail_over)


def _progress() -> Callable[[str], Any]:
    """Tells on the terminal what is being timed, whatever becomes of the error stream."""
    terminal = sys.stderr
    return lambda name: terminal.isatty() and terminal.write(f"{printable(name)}\n")


def _print(found: "Microbench", style: str) -> None:
    from msbench.report.microbench_tables import microbench_legend, microbench_tables
    from msbench.report.render import rendered

    tables, lines = microbench_tables(found), microbench_legend(found)
    write(rendered(found, found.rows, tables, lines, style))


def _leave_if_bad(found: "Microbench", fail_over: float | None) -> None:
    if found.failed:
        leave(NOT_OK, f"{len(found.failed)} could not be timed: {', '.join(found.failed)}")
    if fail_over is not None and found.slower:
        worst = max(found.slower, key=lambda row: row["change"])
        names = ", ".join(row["case"] for row in found.slower)
        leave(
            NOT_OK, f"slower by more than {fail_over:.0%}: {names} (up to {worst['change']:+.0%})"
        )
