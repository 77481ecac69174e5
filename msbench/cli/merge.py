"""`msbench merge`."""

from pathlib import Path

import click

from msbench.cli.options import Place
from msbench.cli.output import echo, say_skipped


@click.command("merge")
@click.argument("results", nargs=-1, required=True)
@click.option(
    "-o", "--out", type=Place(), required=True, metavar="DIR", help="The new folder of records."
)
def command(results: tuple[str, ...], out: Path) -> None:
    """Put the records of several runs of one suite together.

    For `msbench run --shard` on machines that share no folder. A trial that is in several must have
    the same results in all. Speeds are measured afterwards, on one machine, by `msbench run`.

    RESULTS: folders of records.
    """
    from msbench.records.merge import merge
    from msbench.records.store import find_results

    merged = merge([find_results(name) for name in results], out)
    say_skipped(merged.problems)
    twice = f", {merged.twice} of them in several" if merged.twice else ""
    weights = f", and the weights of {merged.weights}" if merged.weights else ""
    outputs = f", and the outputs of {merged.outputs}" if merged.outputs else ""
    echo(f"{out}: {merged.records} records of {len(results)} runs{twice}{weights}{outputs}")
