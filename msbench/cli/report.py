"""`msbench report`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msbench.cli.options import compared, comparing, installed, write_file

if TYPE_CHECKING:
    from msbench.compare.rows import Comparison


@click.command()
@click.argument("results")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    metavar="FILE.html",
    show_default=True,
    help="Where the page goes.",
)
@comparing
def report(results: str, out: Path, **asked: Any) -> None:
    """Write one page about RESULTS: verdicts, tables, pictures, failures, provenance."""
    from msbench.report.page import report as page

    comparison, problems = compared(results, asked)
    command = shlex.join(["msbench", *sys.argv[1:]])
    text = page(
        comparison,
        title=Path(results).stem,
        command=command,
        problems=problems,
        licences=_licences(comparison),
    )
    write_file(out, text.encode())


def _licences(comparison: "Comparison") -> dict[str, list[str]]:
    """Licences of the data of every task whose plugin is installed here."""
    tasks = {row["name"] for row in comparison.parts if row["kind"] == "task"}
    return {
        entry.name: [f"{source.package} {source.version}: {source.licence}" for source in sources]
        for entry in installed().of("task")
        if entry.name in tasks and (sources := entry.sources)
    }
