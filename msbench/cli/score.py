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
    from collections.abc import Sequence

    from msbench.compare.rows import Comparison


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
    question = question_of(results)
    values = [value for value in measure.values if value in found.given]
    told = [compare(found.records, metric=v, question=question, **options) for v in values]
    only = {"task": tasks, "model": models, "optimizer": optimizers}
    comparison = shown(_joined(told, values, found.without), only)
    tables = ("accuracy", "secondary")
    write(render(comparison, style, tables, None if wide else terminal_width()))


def _joined(told: "Sequence[Comparison]", values: "Sequence[str]", without: int) -> "Comparison":
    """What comparisons by one metric each say of it, and what was left out."""
    rows: dict[str, Any] = {
        name: [
            row
            for value, each in zip(values, told, strict=True)
            for row in getattr(each, name)
            if row["metric"] == value
        ]
        for name in ("accuracy", "yardsticks", "against")
    }
    lost = [f"{without} trials have kept no outputs: they are left out"] * bool(without)
    notes = [note for note in told[0].notes if all(note in each.notes for each in told)]
    return replace(told[0], **rows, notes=[*notes, *lost])
