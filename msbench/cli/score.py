"""`msbench score`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from msbench.cli.inputs import load_registry
from msbench.cli.kept import kept_records, question_of
from msbench.cli.options import (
    format_option,
    judging_options,
    plugin_option,
    several_results_argument,
    wide_option,
)
from msbench.cli.output import say_skipped, terminal_width, write

if TYPE_CHECKING:
    from msbench.compare.rows import Comparison
    from msbench.run.rescore import Rescored


@click.command("score")
@several_results_argument
@click.option(
    "--metric",
    required=True,
    metavar="NAME[: OPTIONS]",
    help="A registered metric (msbench list metrics), or a value that one gives, such as rougeL.",
)
@judging_options
@wide_option
@plugin_option
@format_option
def command(
    results: tuple[str, ...],
    metric: str,
    tasks: tuple[str, ...],
    models: tuple[str, ...],
    optimizers: tuple[str, ...],
    wide: bool,
    plugins: tuple[str, ...],
    style: str,
    **options: Any,
) -> None:
    """Score kept outputs by another metric, without training.

    Intervals and verdicts are those of any other metric. References are read from the task again:
    its data must be those of the trials. No record is changed.

    RESULTS: a folder or file of records, or the name of a suite; of several, trials stand
    together.
    """
    from msbench.compare.comparison import compare
    from msbench.compare.shown import shown
    from msbench.data.download import fetch_with_bar
    from msbench.plan.suite import choice_of
    from msbench.report.render import render
    from msbench.run.examples import references_of, tested
    from msbench.run.rescore import rescored, wanted
    from msbench.spec import Trial

    registry = load_registry(plugins)
    measure = wanted(registry, choice_of(metric, f"--metric {metric!r}"))
    found = rescored(
        kept_records(results),
        measure,
        lambda r: references_of(tested(Trial.of(r.job), registry, fetch_with_bar)),
    )
    say_skipped(found.problems)
    whole = _of(
        compare(found.records, question=question_of(results), **options), measure.values, found
    )
    comparison = shown(whole, {"task": tasks, "model": models, "optimizer": optimizers})
    tables = ("accuracy", "secondary")
    write(render(comparison, style, tables, None if wide else terminal_width()))


def _of(comparison: "Comparison", values: Any, found: "Rescored") -> "Comparison":
    """What the metric says, and what was left out."""
    notes = [f"{found.without} trials have kept no outputs: they are left out"] * bool(
        found.without
    )
    rows: dict[str, Any] = {
        name: [row for row in getattr(comparison, name) if row["metric"] in values]
        for name in ("accuracy", "yardsticks", "against")
    }
    return replace(comparison, **rows, notes=[*comparison.notes, *notes])
