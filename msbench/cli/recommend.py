"""`msbench recommend`."""

import sys

import click

from msbench.cli.options import stream_records
from msbench.spec import FORMATS


@click.command()
@click.argument("results")
@click.option(
    "--budget",
    "allowed",
    required=True,
    metavar="AMOUNT",
    help="What training may take: 500passes, 200steps, 60s or 1e12flops.",
)
@click.option("--task", default="", metavar="NAME", help="This task alone.")
@click.option("--metric", default="", metavar="NAME", help="Instead of each task's own.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
def recommend(results: str, allowed: str, task: str, metric: str, style: str) -> None:
    """Say which strategy to use at a budget, by RESULTS: a folder, a file or a suite's name.

    With the runner-up, the worst seed, whether the two are shown to differ, and what to try next.
    """
    from msbench.claims.recommend import budget
    from msbench.claims.recommend import recommend as recommended
    from msbench.report.advice import advice_lines, advice_tables
    from msbench.report.render import rendered

    unit, amount = budget(allowed)
    with stream_records(results, []) as records:
        found = recommended(records, unit, amount, task=task, metric=metric)
    text = rendered(found, found.rows, advice_tables(found), advice_lines(found), style)
    sys.stdout.write(text + "\n")
