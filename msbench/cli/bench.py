"""`msbench bench`."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from msbench.cli.inputs import load_registry
from msbench.cli.interrupts import Stop, quit_on_interrupt
from msbench.cli.options import (
    Seconds,
    Share,
    device_option,
    format_option,
    optimizers_option,
    out_option,
    plugin_option,
    suite_argument,
    tasks_option,
)
from msbench.cli.output import NOT_OK, leave, say, say_skipped, write
from msbench.paths import inside
from msbench.spec import Throughput

if TYPE_CHECKING:
    from msbench.records.record import Record


@click.command("bench")
@suite_argument
@out_option("records in DIR/SUITE/")
@device_option
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Instead of the suite's.")
@tasks_option
@optimizers_option
@click.option(
    "--rounds",
    type=click.IntRange(min=2),
    metavar="N",
    default=200,
    show_default=True,
    help="At most so many.",
)
@click.option(
    "--seconds",
    type=Seconds(),
    metavar="S",
    default=30.0,
    show_default=True,
    help="Begin no round after so long: for each task and model, of training and then of decoding.",
)
@click.option(
    "--narrow",
    type=Share(),
    metavar="SHARE",
    default="1%",
    show_default=True,
    help="Stop when all ratios are known up to this share.",
)
@plugin_option
@format_option
def command(
    suite: str,
    out: Path,
    device: str | None,
    threads: int | None,
    tasks: tuple[str, ...],
    optimizers: tuple[str, ...],
    rounds: int,
    seconds: float,
    narrow: float,
    plugins: tuple[str, ...],
    style: str,
) -> None:
    """Measure how fast a suite's strategies and decoders are.

    Nothing else of msbench runs beside them. They take turns in random order; ratios are formed
    within a round, and the baseline runs twice, to show how large chance is. Every measurement
    leaves a record.

    SUITE: the name of a shipped suite, or a path.
    """
    from msbench.cli.progress import show_progress
    from msbench.data.download import fetch_with_bar
    from msbench.plan.modes import mode_notes
    from msbench.plan.suite import load_suite
    from msbench.plan.trials import with_overrides
    from msbench.run.bench import planned, run_bench
    from msbench.run.device import limit_threads
    from msbench.run.driver import cache_by_part, fingerprint_of, stored_in

    limit_threads(threads or 1)
    quit_on_interrupt()
    registry = load_registry(plugins)
    chosen = with_overrides(load_suite(suite), seeds=None, device=device, workers=None)
    chosen = replace(chosen, threads=threads or chosen.threads)
    folder = inside(out, chosen.name)
    stored = stored_in(folder)
    say_skipped(stored.problems, stored.unsealed)
    jobs = planned(
        chosen,
        registry,
        stored.records,
        cache_by_part(partial(fingerprint_of, registry, fetch=fetch_with_bar)),
        Throughput(rounds, chosen.throughput.steps, seconds, narrow, details=True),
        tasks=tasks,
        optimizers=optimizers,
    )
    for note in mode_notes([trial for job in jobs for trial in job.strategies], registry):
        say(note)
    stop, records = Stop(), list["Record"]()
    show_progress(run_bench(chosen, registry, folder, jobs, stop.is_wanted), stop, records.append)
    _print(records, style)
    if bad := len(jobs) - sum(record.status == "ok" for record in records):
        leave(NOT_OK, f"{bad} of {len(jobs)} measurements did not end ok")


def _print(records: "list[Record]", style: str) -> None:
    from msbench.compare.bench import bench
    from msbench.report.bench_tables import bench_legend, bench_tables
    from msbench.report.render import rendered

    measured = bench(records)
    if measured.training:
        tables, lines = bench_tables(measured), bench_legend(measured)
        write(rendered(measured, measured.training, tables, lines, style))
