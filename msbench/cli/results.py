"""`msbench results`."""

from pathlib import Path

import click

from msbench.cli.options import format_option, wide_option
from msbench.cli.output import terminal_width, write


@click.command("results")
@click.argument("folder", default="results", type=click.Path(path_type=Path), metavar="[DIR]")
@wide_option
@format_option
def command(folder: Path, wide: bool, style: str) -> None:
    """List what was run, and how complete it is.

    A row for each folder of records, the newest first: when it was run, and with what.

    DIR: where to look, in all folders below it, too.  [default: results]
    """
    from msbench.compare.overview import overview
    from msbench.report.overview_tables import SPARE, overview_cells
    from msbench.report.render import rendered

    found = overview(folder)
    width = None if wide else terminal_width()
    lines = [
        "Trials: of the suite as it was run last; missing ones have no record yet. Times are UTC.",
        *found.notes,
    ]
    titled = [("Results", overview_cells(found))]
    write(rendered(found, found.rows, titled, lines, style, width=width, spare=SPARE))
