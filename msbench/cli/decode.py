"""`msbench decode`."""

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msbench.cli.inputs import load_registry
from msbench.cli.interrupts import Stop, quit_on_interrupt
from msbench.cli.options import (
    Seconds,
    optimizers_option,
    plugin_option,
    results_argument,
    seeds_option,
    tasks_option,
    workers_option,
)
from msbench.cli.output import NOT_OK, leave, say, say_skipped, write_table
from msbench.spec import Choice, Suite

if TYPE_CHECKING:
    from msbench.plugins.registry import Registry
    from msbench.records.record import Record
    from msbench.run.redecode import Redecoding


@click.command("decode")
@results_argument
@click.option(
    "--decoder",
    "decoders",
    multiple=True,
    required=True,
    metavar="NAME[: OPTIONS]",
    help="A decoder, with options as in a suite: 'beam: width = [4, 8]' (repeatable).",
)
@tasks_option
@optimizers_option
@seeds_option
@click.option(
    "--limit",
    type=Seconds(),
    metavar="SECONDS",
    default=Suite.limit,
    show_default=True,
    help="Longest time that decoding one trial may take.",
)
@workers_option
@plugin_option
def command(
    results: str,
    decoders: tuple[str, ...],
    tasks: tuple[str, ...],
    optimizers: tuple[str, ...],
    seeds: tuple[int, ...],
    limit: float,
    workers: int | None,
    plugins: tuple[str, ...],
) -> None:
    """Decode again from kept weights, without training.

    Scores are printed and added to the records, so that `msbench compare` shows them beside the
    others.

    RESULTS: a folder or file of records, the name of a suite, or the first digits of a trial's
    key.
    """
    from msbench.data.download import fetch_with_bar
    from msbench.plan.suite import choice_of
    from msbench.records.store import prepare_folder, read
    from msbench.run.device import limit_threads
    from msbench.run.driver import cache_by_part, fingerprint_of
    from msbench.run.redecode import chosen, redecoding, rows
    from msbench.run.weights import FOLDER

    limit_threads(1)
    quit_on_interrupt()
    choices = [choice_of(text, f"--decoder {text!r}") for text in decoders]
    registry = load_registry(plugins)
    path, key = _find(results)
    folder = path if path.is_dir() else path.parent
    stored = read(path)
    say_skipped(stored.problems, stored.unsealed)
    records = chosen(stored.records, key=key, seeds=seeds, tasks=tasks, optimizers=optimizers)
    fingerprint = cache_by_part(partial(fingerprint_of, registry, fetch=fetch_with_bar))
    todo = redecoding(records, choices, folder / FOLDER, registry, fingerprint)
    if todo.skipped:
        say(f"{todo.skipped} of {len(records)} trials have no kept weights, or no such decoder")
    prepare_folder(folder)
    decoded = _decode(todo, registry, folder, workers=workers or 0, limit=limit)
    write_table([_cells(row) for row in rows(decoded, todo.names)])
    if failed := len(todo.trials) - len(decoded):
        leave(NOT_OK, f"{failed} of {len(todo.trials)} could not be decoded")


def _find(results: str) -> tuple[Path, str]:
    """The records to decode from, and the trial's key if only one was asked for."""
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


def _decode(
    todo: "Redecoding", registry: "Registry", folder: Path, *, workers: int, limit: float
) -> "list[Record]":
    """Decode all trials; the records of those that went well, which are in the folder, too."""
    from msbench.cli.progress import show_progress
    from msbench.records.leases import Leases
    from msbench.run.driver import entries_of, launch_jobs, preload_modules
    from msbench.run.job import redecode_job
    from msbench.run.redecode import completed

    finished: list[Record] = []

    def complete(record: "Record") -> "Record | None":
        # A failure to decode must not stand for the trial, whose training went well.
        if record.status != "ok":
            return None
        return completed(record, todo.originals[record.key])

    trials, stop = list(todo.trials.values()), Stop()
    with Leases(folder) as leases:
        events = launch_jobs(
            registry,
            trials,
            Choice("processes", {"workers": workers}),
            "decoding",
            run=partial(redecode_job, weights=todo.weights, files=tuple(registry.files)),
            leases=leases,
            complete=complete,
            limit=limit,
            preload=preload_modules(registry, entries_of(registry, trials)),
            stopping=stop.is_wanted,
        )
        show_progress(events, stop, finished.append)
    return [record for record in finished if record.status == "ok"]


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of the table."""

    def number(value: Any) -> str:
        return "" if value is None or math.isnan(value) else f"{value:,.4g}"

    return {
        "trial": row["trial"][:8],
        **{name: str(row[name]) for name in ("task", "optimizer", "seed", "decoder")},
        "metrics": ", ".join(f"{name} {number(value)}" for name, value in row["metrics"].items()),
        "steps": f"{row['model_steps']:,}",
        "tokens/s": f"{row['tokens_per_second']:,.0f}",
        "length ratio": number(row["length_ratio"]),
        "log-probability": number(row["log_probability"]),
        "empty": number(row["empty"]),
    }
