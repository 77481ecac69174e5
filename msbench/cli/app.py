"""The group of commands: which there are, what errors look like, and exit codes."""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from msbench.cli.inputs import installed
from msbench.cli.output import INTERRUPTED, say
from msbench.errors import MsbenchError, PluginError, PluginWarning
from msbench.plugins.registry import Entry
from msbench.version import __version__

HELP = {
    "run": "Run a suite and print its tables.",
    "decode": "Decode again from kept weights, without training.",
    "compare": "Compare strategies and print the tables.",
    "claims": "Test common claims about multi-step strategies.",
    "recommend": "Recommend strategies for a training budget.",
    "report": "Write a page of verdicts, tables, pictures and failures.",
    "plot": "Draw one picture, and describe it in words.",
    "list": "List parts (tasks, models, optimizers, ...) and suites.",
    "info": "Explain one part: idea, costs, options, data and licence.",
}
"""Our own commands, in the order they are used in. Their modules are imported when they run."""

OWN = {
    name: Entry("command", name, f"msbench.cli.{name}:command", "msbench", __version__, idea=idea)
    for name, idea in HELP.items()
}


class Commands(click.Group):
    """Our commands and those of plugins; errors become one message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our own first, then the plugins'."""
        return [*OWN, *(entry.name for entry in installed().of("command"))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported only now; our own need no plugins to be found."""
        entry = OWN.get(cmd_name) or installed().entries.get(("command", cmd_name))
        if entry is None:
            return None
        command: Any = entry.load()
        if not isinstance(command, click.Command):
            raise PluginError(f"command {cmd_name!r} of plugin {entry.plugin} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name and one line each, without importing any command."""
        others = installed().of("command")
        for entry in others:
            if entry.name in OWN:
                raise PluginError(
                    f"plugin {entry.plugin} claims the command {entry.name!r}, which is msbench's"
                )
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.idea) for entry in (*OWN.values(), *others)])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Turn errors into messages, wherever they arise, also while commands are listed."""
        with warnings.catch_warnings():
            warnings.showwarning = partial(_show_warning, warnings.showwarning)
            try:
                return super().main(*args, **extra)
            except MsbenchError as error:
                say(str(error))
                sys.exit(error.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C is not an error."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
            ctx.exit(INTERRUPTED)


def _show_warning(
    others: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any
) -> None:
    """What plugins did, without the place in the code where that was noticed."""
    if issubclass(category, PluginWarning):
        say(str(message))
    else:
        others(message, category, *where)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="msbench")
def main() -> None:
    """Find out which training and prediction strategy pays for your task and budget."""
