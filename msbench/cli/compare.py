"""`msbench compare`."""

import sys
from typing import Any

import click

from msbench.cli.options import compared, comparing
from msbench.spec import FORMATS


@click.command()
@click.argument("results")
@comparing
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
def compare(results: str, style: str, **asked: Any) -> None:
    """Print the tables of RESULTS: a folder, a file or the name of a suite."""
    from msbench.report.render import render

    comparison, _ = compared(results, asked)
    # Written as it is: `echo` would take escape sequences out of names.
    sys.stdout.write(render(comparison, style) + "\n")
