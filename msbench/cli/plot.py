"""`msbench plot`."""

from pathlib import Path
from typing import Any

import click

from msbench.cli.inputs import compare_results
from msbench.cli.options import Named, Place, comparison_options, results_argument
from msbench.cli.output import echo, write_file
from msbench.errors import MsbenchError
from msbench.spec import PICTURES, UNITS, Unit


@click.command("plot")
@results_argument
@click.option("--kind", type=Named(PICTURES), required=True, help="What is drawn.")
@click.option(
    "-o",
    "--out",
    type=Place(),
    required=True,
    metavar="FILE.svg|png|pdf",
    help="The file to write.",
)
@click.option(
    "--along",
    type=Named(UNITS),
    help="What learning curves are drawn against.  [default: passes]",
)
@click.option(
    "--theme",
    type=Named(["light", "dark"]),
    default="light",
    show_default=True,
    help="The colours.",
)
@comparison_options
def command(
    results: str,
    kind: str,
    out: Path,
    along: Unit | None,
    theme: str,
    **options: Any,
) -> None:
    """Draw one picture, and describe it in words.

    RESULTS: a folder or file of records, or the name of a suite.
    """
    from msbench.report.plots import PLOTS, picture
    from msbench.report.plots.svg import pdf, png, svg

    if out.suffix not in (".svg", ".png", ".pdf"):
        raise MsbenchError(f"{out}: a picture ends in .svg, .png or .pdf")
    if along and not PLOTS[kind].units:
        raise MsbenchError(f"--along is for learning curves (--kind curves), not for {kind}")
    comparison, _ = compare_results(results, **options)
    drawn = picture(comparison, PLOTS[kind], (), along or "passes")
    made = {".svg": lambda: svg(drawn, theme).encode(), ".png": lambda: png(drawn, theme)}
    write_file(out, made.get(out.suffix, lambda: pdf(drawn, theme))())
    echo(drawn.alt)
