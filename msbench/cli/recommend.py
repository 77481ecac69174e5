"""`msbench recommend`."""

import click

from msbench.cli.inputs import Remarks, declared_question, read_columns
from msbench.cli.options import format_option, metric_option, results_argument
from msbench.cli.output import write


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
@format_option
def command(results: str, budget: str, task: str, metric: str, style: str) -> None:
    """Recommend strategies for a training budget.

    For each task: the best strategy and the runner-up, whether they are shown to differ, the worst
    seed, and what to try next.

    RESULTS: a folder or file of records, or the name of a suite.
    """
    from msbench.claims.recommend import budget as parse_budget
    from msbench.claims.recommend import recommend
    from msbench.report.advice import advice_lines, advice_tables
    from msbench.report.render import rendered

    unit, amount = parse_budget(budget)
    question = declared_question(results)
    columns = read_columns(results, metric, Remarks())
    found = recommend(columns, unit, amount, task=task, metric=metric, question=question)
    write(rendered(found, found.rows, advice_tables(found), advice_lines(found), style))
