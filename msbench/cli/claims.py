"""`msbench claims`."""

from typing import TYPE_CHECKING

import click

from msbench.cli.inputs import load_registry, read_columns
from msbench.cli.options import (
    format_option,
    metric_option,
    plugin_option,
    results_argument,
    wide_option,
)
from msbench.cli.output import terminal_width, write

if TYPE_CHECKING:
    from msbench.claims.pairs import Declared


@click.command("claims")
@results_argument
@click.option("--strategy", default="", metavar="NAME", help="Show only this strategy.")
@metric_option
@click.option("--short", is_flag=True, help="Print only the summaries.")
@wide_option
@format_option
@plugin_option
def command(
    results: str,
    strategy: str,
    metric: str,
    short: bool,
    wide: bool,
    style: str,
    plugins: tuple[str, ...],
) -> None:
    """Test common claims about multi-step strategies.

    The claims: they raise accuracy, improve generalization, reduce overfitting and lower compute.
    Each strategy is judged against its single-step base at equal passes, steps and seconds.

    RESULTS: a folder or file of records, or the name of a suite.
    """
    from msbench.api.reading import declared_question
    from msbench.claims.assess import claims
    from msbench.report.claim_tables import SPARE, claim_legend, claim_tables
    from msbench.report.render import rendered

    entries = load_registry(plugins).entries
    declared: Declared = {key: (entry.steps, entry.base) for key, entry in entries.items()}
    question = declared_question(results)
    columns = read_columns(results, metric)
    found = claims(columns, declared, strategy=strategy, metric=metric, question=question)
    tables, lines = claim_tables(found, short=short), claim_legend(found)
    width = None if wide else terminal_width()
    write(rendered(found, found.rows, tables, lines, style, width=width, spare=SPARE))
