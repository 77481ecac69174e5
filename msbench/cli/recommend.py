"""`msbench recommend`."""

import click

from msbench.cli.inputs import read_columns
from msbench.cli.options import format_option, metric_option, results_argument, wide_option
from msbench.cli.output import terminal_width, write


@click.command("recommend")
@results_argument
@click.option(
    "--budget",
    required=True,
    metavar="AMOUNT",
    help="What training may cost: 500passes, 200steps, 60s or 1e12flops.",
)
@click.option("--task", default="", metavar="NAME", help="Only this task.")
@metric_option
@wide_option
@format_option
def command(results: str, budget: str, task: str, metric: str, wide: bool, style: str) -> None:
    """Recommend strategies for a training budget.

    For each task first a sentence: what to use, the runner-up, and what they cost. Then the
    evidence, whether the two are shown to differ, the worst seed, and what to try next.

    RESULTS: a folder or file of records, or the name of a suite.
    """
    from msbench.api.reading import declared_question
    from msbench.claims.recommend import budget as parse_budget
    from msbench.claims.recommend import recommend
    from msbench.report.advice import SPARE, advice_first, advice_reasons, advice_tables
    from msbench.report.render import rendered

    unit, amount = parse_budget(budget)
    question = declared_question(results)
    columns = read_columns(results, metric)
    found = recommend(columns, unit, amount, task=task, metric=metric, question=question)
    write(
        rendered(
            found,
            found.rows,
            advice_tables(found),
            advice_reasons(found),
            style,
            first=advice_first(found),
            width=None if wide else terminal_width(),
            spare=SPARE,
        )
    )
