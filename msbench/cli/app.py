"""The command line: the group of commands, what errors look like, and exit codes."""

import sys
from typing import Any

import click

import msbench
from msbench.cli.claims import claims
from msbench.cli.compare import compare
from msbench.cli.decode import decode
from msbench.cli.info import info
from msbench.cli.list import list_parts
from msbench.cli.options import INTERRUPTED, installed
from msbench.cli.plot import plot
from msbench.cli.recommend import recommend
from msbench.cli.report import report
from msbench.cli.run import run
from msbench.errors import MsbenchError, PluginError, printable


class Commands(click.Group):
    """Our commands and those of plugins; errors become one message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our own in the order they are used in, then the plugins'."""
        return [*self.commands, *(e.name for e in installed().of("command"))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Ours first; a plugin's is only imported when it is called."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        entry = installed().entries.get(("command", cmd_name))
        command: Any = None if entry is None else entry.load()
        if entry is not None and not isinstance(command, click.Command):
            raise PluginError(f"command {cmd_name!r} of plugin {entry.plugin} is no click command")
        return command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name and one line each, without importing any plugin's command."""
        own = [(name, each.get_short_help_str(80)) for name, each in self.commands.items()]
        others = [(e.name, e.idea) for e in installed().of("command")]
        for name, _ in others:
            if name in self.commands:
                plugin = installed().find("command", name).plugin
                raise PluginError(
                    f"plugin {plugin} claims the command {name!r}, which is msbench's"
                )
        with formatter.section("Commands"):
            formatter.write_dl([*own, *others])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Say what went wrong in one message, wherever it did, the list of commands included."""
        try:
            return super().main(*args, **extra)
        except MsbenchError as error:
            click.echo(
                "\n".join(f"msbench: {printable(s)}" for s in str(error).split("\n")), err=True
            )
            sys.exit(error.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C is no error of anybody's."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("msbench: interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(msbench.__version__, prog_name="msbench")
def main() -> None:
    """Learn which training and prediction strategy pays for your task and budget."""


for command in (run, decode, compare, claims, recommend, report, plot, list_parts, info):
    main.add_command(command)
