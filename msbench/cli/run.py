"""`msbench run`."""

import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msbench.cli.options import (
    NOT_OK,
    interruptible,
    leave,
    load_registry,
    plugin_option,
    print_problems,
    quit_at_once,
)
from msbench.errors import printable
from msbench.spec import Suite

if TYPE_CHECKING:
    from msbench.records.record import Record
    from msbench.run.driver import Planned


@click.command()
@click.argument("suite")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    metavar="DIR",
    help="Where records go: DIR/SUITE/.  [default: results]",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Trials at once.  [default: one a core]"
)
@click.option("--seeds", type=click.IntRange(min=1), help="Use the seeds 0 to N-1.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Instead of the suite's.")
@plugin_option
@click.option("--dry-run", is_flag=True, help="Say what would be run, and run nothing.")
@click.option("--retry", is_flag=True, help="Also do trials again that did not end ok.")
def run(
    suite: str,
    out: Path,
    workers: int | None,
    seeds: int | None,
    device: str | None,
    plugins: tuple[str, ...],
    dry_run: bool,
    retry: bool,
) -> None:
    """Run a SUITE (a name or a path) and print its tables.

    What is already done is not done again: an interrupted run goes on where it was.
    """
    from msbench.cli.progress import show_progress
    from msbench.data.sources import fetch_with_bar
    from msbench.plan.suite import load_suite
    from msbench.plan.trials import with_overrides
    from msbench.run.device import limit_threads
    from msbench.run.driver import Done, Planned, run_suite

    limit_threads(1)
    # Until workers run there is nothing to save, and an exception would tear imports apart.
    signal.signal(signal.SIGINT, quit_at_once)
    registry = load_registry(plugins)
    chosen = with_overrides(load_suite(suite), seeds=seeds, device=device, workers=workers)
    folder = out / chosen.name
    fetch = None if dry_run else fetch_with_bar
    with closing(run_suite(chosen, registry, folder, retry=retry, fetch=fetch)) as events:
        planned = next(events)
        assert isinstance(planned, Planned)
        print_problems(planned.problems)
        if dry_run:
            _print_plan(chosen, planned)
            return
        total = len(planned.expected)
        if planned.trials or planned.measurements:
            done = total - len(planned.trials)
            click.echo(f"{done} of {total} trials are done already", err=True)
        else:
            click.echo(f"all {total} trials are done already: {folder}", err=True)
        with interruptible(), show_progress() as display:
            for event in events:
                display.show(event)
    assert isinstance(event, Done)
    if event.lost:
        every = len(event.records) + event.lost
        leave(NOT_OK, f"{event.lost} of {every} left no record: the launcher lost them")
    _print_tables(event.records, baseline=_baseline(chosen), target=chosen.targets or None)
    if problem := _without_weights(chosen, folder, event.records):
        click.echo(f"msbench: {problem}", err=True)
    bad = [record for record in event.records if record.status != "ok" and not record.is_search]
    if bad:
        leave(NOT_OK, f"{len(bad)} of {len(event.records)} did not end ok (msbench run --retry)")


def _without_weights(suite: Suite, folder: Path, records: "Sequence[Record]") -> str:
    """Empty, or how many trials of a suite that keeps weights have left none."""
    from msbench.run.weights import FOLDER, weights_file

    trained = [r for r in records if r.is_trial and not r.is_search and r.status == "ok"]
    lacking = [r for r in trained if not weights_file(folder / FOLDER, r.key).is_file()]
    if not suite.keep_weights or not lacking:
        return ""
    return (
        f"{len(lacking)} of {len(trained)} trials have no kept weights: done before they were "
        f"asked for, or not to be written; another folder (--out) does them again"
    )


def _print_plan(suite: Suite, planned: "Planned") -> None:
    trials = planned.trials
    for trial in trials:
        parts = (trial.task, trial.model, trial.loss, trial.optimizer, trial.schedule)
        names = " ".join(part.label or part.name for part in parts)
        click.echo(printable(f"{trial.key}  {names}  seed {trial.seed}"))
    missing = sorted({trial.task.name for trial in trials if not trial.data})
    said = (
        f"{suite.name}: {len(trials)} of {len(planned.expected)} trials to do, "
        f"{len(planned.measurements)} throughput measurements"
    )
    if any(trial.is_search for trial in trials):
        said += "; then the winners' trials and their throughput"
    click.echo(said)
    if missing:
        click.echo(f"data not fetched yet, so nothing counts as done: {', '.join(missing)}")


def _print_tables(records: "Iterable[Record]", **asked: Any) -> None:
    from msbench.compare.comparison import compare as compare_records
    from msbench.report.render import render

    # Written as it is: `echo` would take escape sequences out of names.
    sys.stdout.write(render(compare_records(records, **asked)) + "\n")


def _baseline(suite: Suite) -> str:
    first = suite.optimizers[0]
    return suite.baseline or first.label or first.name
