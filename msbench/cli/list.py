"""`msbench list`."""

from typing import TYPE_CHECKING, Any

import click

import msbench
from msbench.cli.options import load_registry, plugin_option
from msbench.errors import printable
from msbench.spec import KINDS

if TYPE_CHECKING:
    from msbench.plugins.registry import Registry


@click.command("list")
@click.argument("kind", required=False)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@plugin_option
def list_parts(kind: str | None, style: str, plugins: tuple[str, ...]) -> None:
    """List what there is: all, or one KIND (task, model, loss, optimizer, schedule, decoder,
    learner, launcher, command, suite)."""
    rows = _list_rows(load_registry(plugins), kind)
    if style == "json":
        import json

        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from tabulate import tabulate

    shown = ("kind", "name", "plugin", "idea")
    cells = [[printable(row[column]) for column in shown] for row in rows]
    headers = ["kind", "name", "plugin", "idea"]
    click.echo(tabulate(cells, headers, tablefmt="simple", disable_numparse=True))


def _list_rows(registry: "Registry", kind: str | None) -> list[dict[str, Any]]:
    from msbench.plugins.registry import kind_of

    wanted = KINDS if kind is None else () if kind in ("suite", "suites") else (kind_of(kind),)
    rows = [
        {
            "kind": entry.kind,
            "name": entry.name,
            "plugin": entry.plugin,
            "version": entry.version,
            "idea": entry.idea,
            "steps": entry.steps,
            "passes": entry.passes,
            "fits": list(entry.fits),
        }
        for each in wanted
        for entry in registry.of(each)
    ]
    if kind is None or kind in ("suite", "suites"):
        rows += _suite_rows()
    return rows


def _suite_rows() -> list[dict[str, Any]]:
    import tomllib

    from msbench.plan.suite import shipped_suites

    return [
        {
            "kind": "suite",
            "name": name,
            "plugin": "msbench",
            "version": msbench.__version__,
            "idea": tomllib.loads(path.read_text(encoding="utf-8")).get("description", ""),
            "steps": "",
            "passes": 1,
            "fits": [],
        }
        for name, path in shipped_suites().items()
    ]
