"""`msbench report`."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msbench.cli.inputs import compare_results, installed, outputs_of
from msbench.cli.options import Place, comparison_options, several_results_argument
from msbench.cli.output import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msbench.compare.outputs import Outputs
    from msbench.compare.rows import Comparison


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
    from msbench.report.page import report

    comparison, remarks = compare_results(*results, **options)
    page = report(
        comparison,
        title=", ".join(Path(name).stem for name in results),
        command=shlex.join(["msbench", *sys.argv[1:]]),
        problems=remarks.problems,
        unsealed=remarks.unsealed,
        licences=_licences(comparison),
        outputs=None if no_outputs else _outputs(results, comparison, options["seeds"]),
    )
    write_file(out, page.encode())


def _outputs(
    results: "Sequence[str]", comparison: "Comparison", seeds: "Sequence[int]"
) -> "Outputs | None":
    """Examples of what strategies wrote, if it was kept; nothing is fetched for them."""
    from msbench.compare.outputs import Examples, Outputs, Writer, chosen_rows, highlights
    from msbench.errors import MsbenchError
    from msbench.records.outputs import folder_of
    from msbench.records.store import find_results
    from msbench.run.examples import examples_of

    if not any(folder_of(find_results(name)).is_dir() for name in results):
        return None
    missing: dict[str, str] = {}

    def ask(writer: Writer) -> Examples | None:
        try:
            return examples_of(writer.record, installed(), fetch=None)
        except MsbenchError as error:
            missing[writer.axes["task"]] = str(error)
            return None

    try:
        found, problems = outputs_of(results, comparison, seeds=seeds)
    except MsbenchError as error:
        return Outputs((), str(error).splitlines())
    outputs = chosen_rows(found, highlights, ask)
    lost = [f"{task}: no sources and references: {why}" for task, why in missing.items()]
    return replace(outputs, notes=[*problems, *lost])


def _licences(comparison: "Comparison") -> dict[str, list[str]]:
    """Licences of the data of every task whose plugin is installed here."""
    tasks = {row["name"] for row in comparison.parts if row["kind"] == "task"}
    return {
        entry.name: [f"{source.package} {source.version}: {source.licence}" for source in sources]
        for entry in installed().of("task")
        if entry.name in tasks and (sources := entry.sources)
    }
