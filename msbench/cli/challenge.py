"""`msbench challenge`."""

import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from msbench.cli.inputs import load_registry
from msbench.cli.interrupts import Stop, quit_on_interrupt
from msbench.cli.options import Place, out_option, plugin_option, workers_option
from msbench.cli.output import NOT_OK, echo, leave, write_table

if TYPE_CHECKING:
    from msbench.spec import Suite
from msbench.paths import inside


@click.command("challenge")
@click.argument("file", metavar="FILE.py")
@click.option(
    "--suite", "name", default="optimizers", metavar="SUITE", show_default=True, help="To run."
)
@click.option(
    "--records",
    type=Place(),
    metavar="DIR",
    help="The records of the others.  [default: results/SUITE, else results/reference/SUITE]",
)
@click.option(
    "--replicate",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Take records of other versions, too, if N of their trials give the same again.",
)
@out_option("the challenge in DIR/challenges/")
@workers_option
@plugin_option
def command(
    file: str,
    name: str,
    records: Path | None,
    replicate: int,
    out: Path,
    workers: int | None,
    plugins: tuple[str, ...],
) -> None:
    """Tune and run a new optimizer against the records of others.

    The newcomer alone is trained: as often tuned as the others were, on their seeds and batches.
    Records of other versions of code or libraries are refused, unless --replicate shows that these
    give the same.

    FILE.py: a plugin file that registers an optimizer.
    """
    from msbench.cli.progress import show_progress
    from msbench.compare.comparison import compare
    from msbench.compare.relatives import relatives
    from msbench.data.download import fetch_with_bar
    from msbench.plan.suite import load_suite
    from msbench.plan.trials import with_overrides
    from msbench.records.question import read_question
    from msbench.records.store import find_results
    from msbench.report.challenge import kinship, over_tasks, standing
    from msbench.run.challenge import (
        check_replicated,
        find_records,
        newcomers,
        put_records,
        with_newcomers,
    )
    from msbench.run.device import limit_threads
    from msbench.run.driver import cache_by_part, fingerprint_of, run_suite
    from msbench.run.events import Done
    from msbench.spec import Throughput

    limit_threads(1)
    quit_on_interrupt()
    registry = load_registry((file, *plugins))
    names = newcomers(registry, file)
    own = with_overrides(load_suite(name), seeds=None, device=None, workers=workers)
    own = replace(own, throughput=Throughput(rounds=0))  # speeds of other times are not compared
    suite = with_newcomers(own, names, file)
    others = records or find_results(suite.name)
    folder = inside(out / "challenges", f"{suite.name}-{Path(file).stem}")
    fingerprint = cache_by_part(partial(fingerprint_of, registry, fetch=fetch_with_bar))
    taken = find_records(own, registry, fingerprint, others, replicate)
    stop = Stop()

    def run(suite: "Suite", folder: Path) -> Done:
        events = run_suite(suite, registry, folder, fetch=fetch_with_bar, stopping=stop.is_wanted)
        done = show_progress(events, stop)
        assert isinstance(done, Done)
        return done

    if taken.again:
        again = {trial.key for trial in taken.again}
        rest = [record for record in taken.records if record.key not in again]
        put_records(folder / "replication", rest, others)
        repeated = run(own, folder / "replication").records
        echo(check_replicated(taken, repeated, others))
    put_records(folder, taken.records, others)
    done = run(suite, folder)
    mine = [r for r in done.records if r.is_trial and r.trial["optimizer"]["name"] in names]
    question = read_question(folder)
    comparison = compare(done.records, target=suite.targets or None, question=question)
    echo(f"against {others}, on the same seeds and batches")
    write_table(standing(comparison, names))
    for line in over_tasks(comparison, names):
        echo(line)
    for each in names:
        its = [record for record in mine if record.trial["optimizer"]["name"] == each]
        for line in kinship(each, relatives(its, taken.records)):
            echo(line)
    page = shlex.join(["msbench", "report", str(folder), "--out", f"{folder.name}.html"])
    echo(f"To publish: {page} makes a page of it; {folder} holds the records that it rests on.")
    if bad := [record for record in mine if record.status != "ok" and not record.is_search]:
        leave(NOT_OK, f"{len(bad)} of {len(mine)} trials did not end ok")
