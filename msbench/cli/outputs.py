"""`msbench outputs`."""

from typing import TYPE_CHECKING, Any

import click

from msbench.cli.inputs import compare_results, load_registry
from msbench.cli.kept import examples_by, outputs_of
from msbench.cli.options import (
    format_option,
    metric_option,
    models_option,
    optimizers_option,
    plugin_option,
    seeds_option,
    several_results_argument,
    tasks_option,
)
from msbench.cli.output import say_skipped, terminal_width, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msbench.compare.outputs import Writer
    from msbench.compare.side_by_side import Picks

NUMBER, WIDTH = 5, 80
"""Examples of a task, and characters of a line where no terminal says how many."""


@click.command("outputs")
@several_results_argument
@tasks_option
@models_option
@optimizers_option
@click.option(
    "--decoder", "decoders", multiple=True, metavar="NAME", help="Only this decoder (repeatable)."
)
@seeds_option
@metric_option
@click.option(
    "--between",
    nargs=2,
    metavar="A B",
    help="Where these two wrote something else, the largest difference of scores first.",
)
@click.option(
    "--worst",
    type=click.IntRange(min=1),
    metavar="N",
    help="The N examples of each task with the lowest mean score.",
)
@click.option(
    "--number",
    type=click.IntRange(min=1),
    default=NUMBER,
    metavar="N",
    show_default=True,
    help="Otherwise the first N examples of each task, or of those between A and B.",
)
@click.option("--whole", is_flag=True, help="Texts as long as they are.")
@click.option("--no-sources", is_flag=True, help="Without sources and references, which need data.")
@plugin_option
@format_option
def command(
    results: tuple[str, ...],
    decoders: tuple[str, ...],
    seeds: tuple[int, ...],
    metric: str,
    between: tuple[str, str] | None,
    worst: int | None,
    number: int,
    whole: bool,
    no_sources: bool,
    plugins: tuple[str, ...],
    style: str,
    **only: Any,
) -> None:
    """Show what strategies wrote, side by side.

    Beside each output stand its source and reference, which are read from the task again: its data
    must be those of the trials. Of several seeds one is shown.

    RESULTS: a folder or file of records, or the name of a suite; of several, trials stand
    together.
    """
    from msbench.compare.side_by_side import between as apart
    from msbench.compare.side_by_side import check_names, chosen_rows, first
    from msbench.compare.side_by_side import worst as lowest
    from msbench.report.outputs import LONGEST, outputs_cells, outputs_text
    from msbench.report.render import rendered

    if between and worst:
        raise click.UsageError("--between and --worst choose examples in two ways: give one")
    registry = load_registry(plugins)
    comparison, _ = compare_results(*results, **only)
    asked = {"decoders": decoders, "seeds": seeds, "metric": metric}
    found, problems = outputs_of(results, comparison, **asked)
    say_skipped(problems)

    def pick(of_task: "Sequence[Writer]") -> "Picks":
        if between:
            return apart(of_task, *between, number)
        return lowest(of_task, worst) if worst else first(of_task, number)

    if between:
        check_names(found, between)
        found = [w for w in found if any(map(w.is_called, between))]
    ask = (lambda writer: None) if no_sources else examples_by(registry)
    outputs = chosen_rows(found, pick, ask)
    most = 0 if whole else LONGEST
    if style == "text":
        write(outputs_text(outputs, terminal_width() or WIDTH, most))
        return
    write(rendered(outputs, outputs.rows, outputs_cells(outputs, most), outputs.notes, style))
