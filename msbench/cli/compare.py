"""`msbench compare`."""

from typing import Any

import click

from msbench.cli.inputs import compare_results
from msbench.cli.options import (
    Named,
    comparison_options,
    format_option,
    given,
    several_results_argument,
    wide_option,
)
from msbench.cli.output import terminal_width, write, write_answer
from msbench.spec import TABLES


@click.command("compare")
@several_results_argument
@click.option(
    "--table",
    "shown",
    type=Named([*TABLES, "all"]),
    metavar="NAME",
    multiple=True,
    help=f"Print this table: {', '.join(TABLES)} or all (repeatable).",
)
@wide_option
@comparison_options
@format_option
@click.pass_context
def command(
    context: click.Context,
    /,
    results: tuple[str, ...],
    shown: tuple[str, ...],
    wide: bool,
    style: str,
    **options: Any,
) -> None:
    """Compare strategies: the answer, or the tables.

    Without --table the answer is printed; formats other than text have all tables. On a terminal
    the columns of tables that do not fit are left out, and named; in a pipe or a file there are
    all.

    RESULTS: a folder or file of records, or the name of a suite; of several, trials stand
    together.
    """
    from msbench.report.render import render

    comparison, _ = compare_results(*results, **options)
    if style == "text" and not shown:
        write_answer(comparison, results, given(context))
        return
    names = shown if shown and "all" not in shown else TABLES
    write(render(comparison, style, names, None if wide else terminal_width()))
