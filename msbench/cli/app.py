"""The group of commands: which there are, what errors look like, and exit codes."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import click

from msbench.cli.inputs import installed
from msbench.cli.interrupts import farewell
from msbench.cli.output import INTERRUPTED, say
from msbench.cli.streams import CLOSED, drop_output, escape_what_cannot_be_printed, flush
from msbench.errors import (
    MsbenchError,
    PluginError,
    PluginWarning,
    StoreError,
    did_you_mean,
    printable,
)
from msbench.plugins.registry import Entry
from msbench.version import __version__

HELP = {
    "run": "Run a suite and say what came of it.",
    "results": "List what was run, and how complete it is.",
    "challenge": "Tune and run a new optimizer against the records of others.",
    "merge": "Put the records of several runs of one suite together.",
    "decode": "Decode again from kept weights, without training.",
    "compare": "Compare strategies: the answer, or the tables.",
    "outputs": "Show what strategies wrote, side by side.",
    "score": "Score kept outputs by another metric, without training.",
    "claims": "Test common claims about multi-step strategies.",
    "recommend": "Recommend strategies for a training budget.",
    "fit": "Train what is recommended on all data, and keep the model.",
    "bench": "Measure how fast a suite's strategies and decoders are.",
    "microbench": "Time every part alone, and name what became slower.",
    "report": "Write a page of verdicts, tables, pictures and failures.",
    "plot": "Draw one picture, and describe it in words.",
    "list": "List parts (tasks, models, optimizers, ...) and suites.",
    "check": "Check that parts of a plugin keep the contract.",
    "info": "Explain one part: idea, costs, options, data and licence.",
    "new": "Begin a plugin: a package with its test and a tiny suite.",
}
"""Our own commands, in the order they are used in. Their modules are imported when they run."""

RESUMED = ("run", "challenge", "decode")
"""Commands that go on where they were interrupted."""

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

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command of that name; if there is none, the nearest name is told."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            near = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"No such command {name!r}{near}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name and one line each, without importing any command."""
        others = installed().of("command")
        for entry in others:
            if entry.name in OWN:
                raise PluginError(
                    f"plugin {entry.plugin} claims the command {entry.name!r}, which is msbench's"
                )
        with formatter.section("Commands"):
            entries = (*OWN.values(), *others)
            formatter.write_dl([(printable(e.name), printable(e.idea)) for e in entries])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Turn errors into messages, wherever they arise, also while commands are listed."""
        escape_what_cannot_be_printed()
        with warnings.catch_warnings():
            warnings.showwarning = partial(_show_warning, warnings.showwarning)
            try:
                with _until_nobody_reads():
                    return self._flushed(*args, **extra)
            except MsbenchError as error:
                say(str(error))
                sys.exit(error.exit_code)
            except OSError as error:  # a full disk, a lost terminal: a traceback explains nothing
                drop_output()
                with suppress(OSError):
                    say(f"the system refused something: {error}")
                sys.exit(StoreError.exit_code)

    def _flushed(self, *args: Any, **extra: Any) -> Any:
        """As click does it, which leaves by SystemExit; the output is all written by then."""
        try:
            return super().main(*args, **extra)
        finally:
            flush()

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse our own options, of which --help and --version print something."""
        with _printable_usage(), _until_nobody_reads():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; that a signal ends it is not an error."""
        try:
            with _printable_usage(), _until_nobody_reads():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            with suppress(OSError):  # the terminal may be gone
                say(farewell() if ctx.invoked_subcommand in RESUMED else "interrupted")
            ctx.exit(getattr(error, "exit_code", INTERRUPTED))


@contextmanager
def _until_nobody_reads() -> Iterator[None]:
    """Whoever reads the output may have read enough, as `head` has: no error, and no more output.
    Within click, which would leave with 1."""
    try:
        yield
    except BrokenPipeError:
        drop_output()
        sys.exit(CLOSED)


@contextmanager
def _printable_usage() -> Iterator[None]:
    """What click says of wrong usage, without characters that a terminal would obey."""
    try:
        yield
    except click.ClickException as error:
        error.message = printable(error.message)  # type: ignore[misc]
        raise


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
