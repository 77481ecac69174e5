"""`msbench list`."""

from collections.abc import Iterator
from typing import Any

import click

from msbench.cli.inputs import load_registry
from msbench.cli.options import Named, plugin_option
from msbench.cli.output import write, write_table
from msbench.errors import printable_json
from msbench.kinds import KINDS, kind_of
from msbench.version import __version__

FACTS = ("kind", "name", "plugin", "version", "idea", "steps", "passes", "fits")
"""What `--format json` says of a part; see `msbench.plugins.hookspecs.Register`."""

TABLE = ("kind", "name", "plugin", "idea")


@click.command("list")
@click.argument("kind", required=False)
@click.option("--format", "style", type=Named(["text", "json"]), default="text", show_default=True)
@plugin_option
def command(kind: str | None, style: str, plugins: tuple[str, ...]) -> None:
    """List parts (tasks, models, optimizers, ...) and suites.

    KIND: only these: tasks, models, losses, optimizers, schedules, decoders, metrics, learners,
    launchers, observers, commands or suites.
    """
    suites = kind in ("suite", "suites")
    kinds = KINDS if kind is None else () if suites else (kind_of(kind),)
    registry = load_registry(plugins)
    rows = [
        {fact: getattr(entry, fact) for fact in FACTS}
        for each in kinds
        for entry in registry.of(each)
    ]
    if kind is None or suites:
        rows += _suites()
    if style == "json":
        import json

        write(printable_json(json.dumps(rows, indent=1, ensure_ascii=False)))
    else:
        write_table([{column: row[column] for column in TABLE} for row in rows])


def _suites() -> Iterator[dict[str, Any]]:
    """The shipped suites, with the facts of parts."""
    from msbench.plan.shipped import described, shipped_suites

    for name, path in shipped_suites().items():
        facts: tuple[Any, ...] = ("suite", name, "msbench", __version__, described(path), "", 1, [])
        yield dict(zip(FACTS, facts, strict=True))
