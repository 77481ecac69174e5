"""Options of commands that say how a file of the user's own is read."""

from collections.abc import Callable, Mapping
from typing import Any

import click

OPTIONS = {
    "kind": "What it is for: classify, tag, seq2seq or lm.",
    "source": "The column of the text.",
    "second": "The column of the text to match it with.",
    "target": "The column of the label, tags or target text.",
    "group": "The column whose equal values stay in one split.",
    "delimiter": "Between the cells of a CSV file.",
    "encoding": "Such as utf-8 or cp1252.",
}


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with these options, each guessed if it is not given."""
    for name, help in reversed(OPTIONS.items()):
        kinds = click.Choice(["classify", "tag", "seq2seq", "lm"]) if name == "kind" else str
        command = click.option(f"--{name}", type=kinds, help=f"{help}  [guessed]")(command)
    return command


def given(options: Mapping[str, str | None]) -> dict[str, str]:
    """Those that were given."""
    return {name: value for name, value in options.items() if value}
