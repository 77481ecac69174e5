"""`msbench report`."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from msbench.cli.inputs import compare_results, installed
from msbench.cli.kept import highlighted
from msbench.cli.options import Place, comparison_options, several_results_argument
from msbench.cli.output import write_file


@click.command("report")
@several_results_argument
@click.option(
    "-o",
    "--out",
    type=Place(),
    default=Path("report.html"),
    metavar="FILE.html",
    show_default=True,
    help="The file to write.",
)
@click.option("--no-outputs", is_flag=True, help="Without examples of data and outputs.")
@comparison_options
def command(results: tuple[str, ...], out: Path, no_outputs: bool, **options: Any) -> None:
    """Write a page of verdicts, tables, pictures and failures.

    One HTML file that needs no other, with the provenance of all it shows.

    RESULTS: a folder or file of records, or the name of a suite; of several, trials stand
    together.
    """
    from msbench.api.reading import licences
    from msbench.report.page import report

    comparison, remarks = compare_results(*results, **options)
    page = report(
        comparison,
        title=", ".join(Path(name).stem for name in results),
        command=shlex.join(["msbench", *sys.argv[1:]]),
        problems=remarks.problems,
        unsealed=remarks.unsealed,
        outputs=None
        if no_outputs
        else highlighted(results, comparison, installed(), options["seeds"]),
        licences=licences(comparison, installed()),
    )
    write_file(out, page.encode())
