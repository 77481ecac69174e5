"""`msbench run`."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from msbench.cli.inputs import load_registry
from msbench.cli.interrupts import Stop, quit_on_interrupt
from msbench.cli.options import (
    ShardName,
    device_option,
    given,
    models_option,
    optimizers_option,
    out_option,
    plugin_option,
    suite_argument,
    tasks_option,
    workers_option,
)
from msbench.cli.output import NOT_OK, SHOWN, echo, leave, say, say_skipped, write_answer
from msbench.paths import inside
from msbench.spec import AXES, FIRST_LOOK, MAX_SEEDS, display_name

if TYPE_CHECKING:
    from msbench.compare.rows import Comparison
    from msbench.plan.shards import Shard
    from msbench.records.record import Record
    from msbench.run.events import Planned
    from msbench.spec import Suite

REPEATED = ("settings", "tasks", "models", "optimizers", "out", "device", "plugins")
"""Options without which the same suite would not be run again."""


@click.command("run")
@suite_argument
@out_option("records in DIR/SUITE/")
@workers_option
@click.option(
    "-o",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Instead of what the suite says, as optimizer.adamw.lr=3e-3 (repeatable).",
)
@tasks_option
@models_option
@optimizers_option
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use the seeds 0 to N-1 instead of the suite's.",
)
@click.option(
    "--until-verdict",
    is_flag=True,
    help="Begin with 3 seeds and add more where there is no verdict yet.",
)
@click.option(
    "--max-seeds",
    type=click.IntRange(min=FIRST_LOOK + 1, max=100),
    metavar="N",
    help=f"Add seeds up to N in all.  [default: {MAX_SEEDS}]",
)
@click.option(
    "--shard",
    type=ShardName(),
    help="Run this part of the trials alone, as 2/8; `msbench merge` puts records together.",
)
@device_option
@plugin_option
@click.option(
    "--observe",
    "observers",
    multiple=True,
    metavar="NAME",
    help="Tell this observer what happens, such as json-lines (repeatable).",
)
@click.option("--dry-run", is_flag=True, help="List the trials to run, and run nothing.")
@click.option("--retry", is_flag=True, help="Run trials again that did not end ok.")
@click.pass_context
def command(
    context: click.Context,
    /,
    suite: str,
    out: Path,
    workers: int | None,
    settings: tuple[str, ...],
    tasks: tuple[str, ...],
    models: tuple[str, ...],
    optimizers: tuple[str, ...],
    seeds: int | None,
    until_verdict: bool,
    max_seeds: int | None,
    shard: "Shard | None",
    device: str | None,
    plugins: tuple[str, ...],
    observers: tuple[str, ...],
    dry_run: bool,
    retry: bool,
) -> None:
    """Run a suite and say what came of it.

    The end is an answer in a few lines; `msbench compare` has the tables.

    Trials that have a record are not run again, so an interrupted run resumes where it stopped.

    SUITE: the name of a shipped suite, or a path.
    """
    from msbench.api.asking import asked_suite
    from msbench.cli.progress import show_progress
    from msbench.data.download import fetch_with_bar
    from msbench.plan.suite import choice_of, load_suite
    from msbench.plan.trials import with_overrides
    from msbench.run.device import limit_threads
    from msbench.run.driver import modules_of, run_suite
    from msbench.run.events import Done, Planned
    from msbench.run.job import run_job
    from msbench.run.observers import build_observers, observed
    from msbench.run.torchrun import check_world, leading, leads, serve, world_size

    if (max_seeds and not until_verdict) or (until_verdict and seeds):
        raise click.UsageError("--max-seeds goes with --until-verdict, and neither with --seeds")
    limit_threads(1)
    quit_on_interrupt()
    registry = load_registry(plugins)
    chosen = asked_suite(
        load_suite(suite, settings),
        registry,
        tasks=tasks,
        models=models,
        optimizers=optimizers,
        seeds=seeds,
        until_verdict=until_verdict,
        max_seeds=max_seeds,
        workers=workers,
        device=device,
    )
    folder = inside(out, chosen.name)
    if world_size() > 1 and not dry_run:
        check_world(chosen)
        if not leads():
            take_part = partial(run_job, weights=None)  # the first process alone keeps them
            serve(folder, take_part, modules_of(chosen, registry))
            return
        context.with_resource(leading(folder))
        chosen = with_overrides(chosen, seeds=None, device=None, workers=1)  # all take part in it
    fetch = None if dry_run else fetch_with_bar
    stop = Stop()
    watching = [choice_of(text, "--observe") for text in observers]
    told = build_observers(registry, watching, folder)
    run = run_suite(
        chosen,
        registry,
        folder,
        retry=retry,
        fetch=fetch,
        stopping=stop.is_wanted,
        shard=shard,
    )
    events = observed(run, told)
    planned = next(events)
    assert isinstance(planned, Planned)
    say_skipped(planned.problems, planned.unsealed)
    _say_replaced(planned)
    for note in planned.notes:
        say(note)
    if dry_run:
        _print_plan(chosen, planned)
        return
    _print_progress_before(planned, folder)
    done = show_progress(events, stop, trials=planned.expected)
    assert isinstance(done, Done)
    if shard:
        echo(f"shard {shard.number} of {shard.of} is done: {folder}")
        echo("when all are: msbench merge FOLDER ... -o DIR, then msbench run to measure speeds")
    if done.lost:
        total = len(done.records) + done.lost
        leave(NOT_OK, f"{done.lost} of {total} left no record: the launcher lost them")
    _print_answer(context, chosen, folder, done.records)
    _warn_of_missing_weights(chosen, folder, done.records)
    _leave_unless_ok(done.records)


def _print_plan(suite: "Suite", planned: "Planned") -> None:
    """A line for every trial to run, and how much there is to do."""
    trials = planned.trials
    for trial in trials:
        names = " ".join(display_name(getattr(trial, axis)) for axis in AXES)
        echo(f"{trial.key}  {names}  seed {trial.seed}")
    later = any(trial.is_search for trial in trials)
    most = suite.question.max_seeds
    echo(
        f"{suite.name}: {len(trials)} of {len(planned.expected)} trials to do, "
        f"{len(planned.measurements)} throughput measurements"
        + (
            "; then what the search decides, the winners' trials and their throughput"
            if later
            else ""
        )
        + (f"; then more seeds, up to {most}, where there is no verdict yet" if most else "")
    )
    missing = sorted({trial.task.name for trial in trials if not trial.data})
    if missing:
        echo(f"data not fetched yet, so nothing counts as done: {', '.join(missing)}")


def _say_replaced(planned: "Planned") -> None:
    """How much runs again because code or libraries changed, and which."""
    from msbench.plan.versions import changed_libraries, changed_parts
    from msbench.run.device import machine

    if planned.replaced:
        parts = changed_parts(planned.replaced)
        what = ", ".join(parts[:SHOWN]) + (", ..." if len(parts) > SHOWN else "")
        libraries = changed_libraries(planned.replaced, machine()["versions"])
        say(
            f"{len(planned.replaced)} records here were made by other versions of {what}"
            + (f" ({'; '.join(libraries)})" if libraries else "")
            + ": their trials run again, and msbench compare shows both, apart"
        )


def _print_progress_before(planned: "Planned", folder: Path) -> None:
    """How much is done already."""
    total = len(planned.expected)
    if planned.trials or planned.measurements:
        done = total - len(planned.trials)
        echo(f"{done} of {total} trials are done already", err=True)
    else:
        echo(f"all {total} trials are done already: {folder}", err=True)


def _print_answer(
    context: click.Context, suite: "Suite", folder: Path, records: "Sequence[Record]"
) -> None:
    from msbench.compare.comparison import compare
    from msbench.records.question import read_question

    question = read_question(folder)
    comparison = compare(records, target=suite.targets or None, question=question)
    words = given(context, REPEATED)
    again = ["run", context.params["suite"], *words, "--until-verdict"]
    if needed := _seeds_needed(comparison):
        again += ["--max-seeds", str(needed)]
    results = suite.name if context.params["out"] == Path("results") else str(folder)
    write_answer(comparison, [results], again=[] if suite.question.max_seeds else again)


def _seeds_needed(comparison: "Comparison") -> int:
    """Seeds that would decide the comparison that needs the fewest; 0 if the usual do."""
    needed = [row["seeds_needed"] for row in comparison.accuracy if row["decides"]]
    least = min((seeds for seeds in needed if math.isfinite(seeds)), default=0)
    return min(100, math.ceil(least)) if least > MAX_SEEDS else 0


def _leave_unless_ok(records: "Sequence[Record]") -> None:
    """Say how many did not end ok. That a search diverged at some point is among its results; that
    a trial of it was pruned is its purpose."""
    bad = [record for record in records if record.is_lost]
    if not bad:
        return
    searched = sum(record.is_search for record in bad)
    of_a_search = f", {searched} of them of a search" if searched else ""
    sentence = f"{len(bad)} of {len(records)} did not end ok{of_a_search} (msbench run --retry)"
    if all(record.is_search and record.status == "diverged" for record in bad):
        say(sentence)
    else:
        leave(NOT_OK, sentence)


def _warn_of_missing_weights(suite: "Suite", folder: Path, records: "Sequence[Record]") -> None:
    """Say how many trials of a suite that keeps weights have left none."""
    from msbench.run.weights import FOLDER, weights_file

    trained = [r for r in records if r.is_trained and r.status == "ok"]
    lacking = [r for r in trained if not weights_file(folder / FOLDER, r.key).is_file()]
    if suite.keep_weights and lacking:
        say(
            f"{len(lacking)} of {len(trained)} trials have no kept weights: they ran before these "
            f"were asked for, or could not write them; another folder (--out) runs them again"
        )
