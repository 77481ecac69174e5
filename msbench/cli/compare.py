"""`msbench compare`."""

from typing import Any

import click

from msbench.cli.inputs import compare_results
from msbench.cli.options import comparison_options, format_option, results_argument
from msbench.cli.output import write


@click.command("compare")
@results_argument
@comparison_options
@format_option
def command(results: str, style: str, **options: Any) -> None:
    """Compare strategies and print the tables.

    RESULTS: a folder or file of records, or the name of a suite.
    """
    from msbench.report.render import render

    comparison, _ = compare_results(results, **options)
    write(render(comparison, style))
