"""`msbench decode`."""

import math
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
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
from msbench.spec import Choice, Suite

if TYPE_CHECKING:
    from msbench.records.record import Record


@click.command()
@click.argument("results")
@click.option(
    "--decoder",
    "decoders",
    multiple=True,
    required=True,
    metavar="NAME[: OPTIONS]",
    help="What to decode with, such as 'beam: width = [4, 8]', with options as in a suite (may be "
    "given more than once).",
)
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only trials of this task.")
@click.option("--optimizer", "optimizers", multiple=True, metavar="NAME", help="Only of this one.")
@click.option("--seed", "seeds", multiple=True, type=int, metavar="N", help="Only of this seed.")
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True),
    default=Suite.limit,
    show_default=True,
    help="Seconds that decoding one trial may take.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    help="Trials at once.  [default: one a core]",
)
@plugin_option
def decode(
    results: str,
    decoders: tuple[str, ...],
    tasks: tuple[str, ...],
    optimizers: tuple[str, ...],
    seeds: tuple[int, ...],
    limit: float,
    workers: int,
    plugins: tuple[str, ...],
) -> None:
    """Decode again from kept weights, without training.

    RESULTS: a folder, the name of a suite or the first digits of a trial's key. What comes out is
    printed and added to the records, so that `msbench compare` shows it beside the rest.
    """
    from msbench.cli.progress import show_progress
    from msbench.data.sources import fetch_with_bar
    from msbench.plan.suite import choice_of
    from msbench.records.store import append, prepare_folder, read
    from msbench.run.device import limit_threads
    from msbench.run.driver import (
        cache_by_part,
        entries_of,
        fingerprint_of,
        launch_jobs,
        preload_modules,
    )
    from msbench.run.job import redecode_job
    from msbench.run.redecode import chosen, completed, redecoding, rows
    from msbench.run.weights import FOLDER

    limit_threads(1)
    signal.signal(signal.SIGINT, quit_at_once)
    choices = [choice_of(text, f"--decoder {text!r}") for text in decoders]
    registry = load_registry(plugins)
    source, key = _decodable(results)
    folder = source if source.is_dir() else source.parent
    stored = read(source)
    print_problems(stored.problems)
    records = chosen(stored.records, key=key, seeds=seeds, tasks=tasks, optimizers=optimizers)
    fingerprint = cache_by_part(partial(fingerprint_of, registry, fetch=fetch_with_bar))
    again = redecoding(records, choices, folder / FOLDER, registry, fingerprint)
    if again.skipped:
        said = f"{again.skipped} of {len(records)} trials have no kept weights, or no such decoder"
        click.echo(f"msbench: {said}", err=True)
    prepare_folder(folder)
    made: list[Record] = []

    def keep(record: "Record") -> None:
        # What went wrong in decoding must not stand for the trial, whose training went well.
        if record.status == "ok":
            made.append(completed(record, again.originals[record.key]))
            append(folder, made[-1])

    trials = list(again.trials.values())
    events = launch_jobs(
        registry,
        trials,
        Choice("processes", {"workers": workers}),
        "decoding",
        run=partial(redecode_job, weights=again.weights, files=tuple(registry.files)),
        keep=keep,
        limit=limit,
        preload=preload_modules(registry, entries_of(registry, trials)),
    )
    with closing(events), interruptible(), show_progress() as display:
        for event in events:
            display.show(event)
    _print_decoded(rows(made, again.names))
    if len(made) < len(trials):
        leave(NOT_OK, f"{len(trials) - len(made)} of {len(trials)} could not be decoded")


def _decodable(results: str) -> tuple[Path, str]:
    """The records to decode from, and the key of the only one if that was asked for."""
    from msbench.errors import RecordsError
    from msbench.records.store import find_results
    from msbench.run.weights import find_weights

    try:
        return find_results(results), ""
    except RecordsError:
        if not re.fullmatch("[0-9a-f]{4,20}", results):
            raise
    file = find_weights(results, Path("results"))
    return file.parent.parent, file.stem


def _print_decoded(rows: Sequence[Mapping[str, Any]]) -> None:
    from tabulate import tabulate

    def number(value: Any) -> str:
        return "" if value is None or math.isnan(value) else f"{value:,.4g}"

    shown = [
        {
            "trial": row["trial"][:8],
            **{
                name: printable(str(row[name])) for name in ("task", "optimizer", "seed", "decoder")
            },
            "metrics": ", ".join(f"{name} {number(x)}" for name, x in row["metrics"].items()),
            "steps": f"{row['model_steps']:,}",
            "tokens/s": f"{row['tokens_per_second']:,.0f}",
            "length ratio": number(row["length_ratio"]),
            "log-probability": number(row["log_probability"]),
            "empty": number(row["empty"]),
        }
        for row in rows
    ]
    if shown:
        click.echo(tabulate(shown, "keys", tablefmt="simple", disable_numparse=True))
