"""`msbench plot`."""

from pathlib import Path
from typing import Any

import click

from msbench.cli.options import compared, comparing, write_file
from msbench.errors import MsbenchError, printable
from msbench.spec import PICTURES, UNITS, Unit


@click.command()
@click.argument("results")
@click.option("--kind", type=click.Choice(PICTURES), required=True, help="What is drawn.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.svg|png",
    help="Where the picture goes; how it ends says what it is.",
)
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only these tasks.")
@click.option(
    "--along",
    type=click.Choice(UNITS),
    help="What learning curves are drawn against.  [default: passes]",
)
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@comparing
def plot(
    results: str,
    kind: str,
    out: Path,
    tasks: tuple[str, ...],
    along: Unit | None,
    theme: str,
    **asked: Any,
) -> None:
    """Draw one picture of RESULTS, and print what it shows in words."""
    from msbench.report.plots import PLOTS, picture
    from msbench.report.plots.svg import png, svg

    if out.suffix not in (".svg", ".png"):
        raise MsbenchError(f"{out}: a picture ends in .svg or .png")
    if along and not PLOTS[kind].units:
        raise MsbenchError(f"--along is for learning curves (--kind curves), not for {kind}")
    comparison, _ = compared(results, asked)
    drawn = picture(comparison, PLOTS[kind], tasks, along or "passes")
    write_file(out, svg(drawn, theme).encode() if out.suffix == ".svg" else png(drawn, theme))
    click.echo(printable(drawn.alt))
