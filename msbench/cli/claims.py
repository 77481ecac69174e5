"""`msbench claims`."""

import sys
from typing import TYPE_CHECKING

import click

from msbench.cli.options import load_registry, plugin_option, stream_records
from msbench.spec import FORMATS

if TYPE_CHECKING:
    from msbench.claims.pairs import Declared
    from msbench.plugins.registry import Registry


@click.command()
@click.argument("results")
@click.option("--strategy", default="", metavar="NAME", help="Judge this one alone.")
@click.option("--metric", default="", metavar="NAME", help="Instead of each task's own.")
@click.option("--short", is_flag=True, help="Only the summaries.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
@plugin_option
def claims(
    results: str, strategy: str, metric: str, short: bool, style: str, plugins: tuple[str, ...]
) -> None:
    """Test what is said of multi-step strategies on RESULTS: a folder, a file or a suite's name.

    That they raise accuracy, improve generalization, reduce overfitting and lower compute, each
    against its single-step base at equal passes, steps and seconds.
    """
    from msbench.claims.assess import claims as claims_of
    from msbench.report.claim_tables import claim_legend, claim_tables
    from msbench.report.render import rendered

    declared = _declared(load_registry(plugins))
    with stream_records(results, []) as records:
        found = claims_of(records, declared, strategy=strategy, metric=metric)
    tables, lines = claim_tables(found, short=short), claim_legend(found)
    sys.stdout.write(rendered(found, found.rows, tables, lines, style) + "\n")


def _declared(registry: "Registry") -> "Declared":
    """What plugins say of how strategies are multi-step, as plain data."""
    return {key: (entry.steps, entry.base) for key, entry in registry.entries.items()}
