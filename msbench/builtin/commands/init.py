"""`msbench init`: a suite for a file of the user's own."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from msbench import DataError, Task, load_suite, printable
from msbench.builtin.commands.reading import given, reading_options
from msbench.builtin.tasks.files import files
from msbench.builtin.tasks.forms import Form, Rows
from msbench.builtin.tasks.profile import columns_of, findings, guessed, length
from msbench.builtin.tasks.tables import read_rows

MODELS = {
    "classify": ('name = "bag"\nngrams = 2\ndropout = 0.5', "argmax"),
    "pairs": ('name = "encoder"', "argmax"),
    "tag": ('name = "encoder"', "argmax"),
    "seq2seq": ('name = "encoder-decoder"', "greedy", "beam"),
    "lm": ('name = "causal-lm"', "likelihood"),
}
"""By kind a model, and decoders. A bag of n-grams is better than a small transformer on labels of
texts, and much faster; it cannot compare two texts."""

BATCH, EPOCHS = 16, 10

LIMITS = (16, 32, 64, 128, 256, 512)
"""Tokens that are read; the first that nearly all texts fit into."""

SUITE = """\
description = {description}
seeds = 3
baseline = "adamw"

[training]
batch_size = {batch}
passes = {passes}

[[task]]
{task}

[[model]]
{model}

# What is compared: any of `msbench list optimizers`.
[[optimizer]]
name = "adamw"

[[optimizer]]
name = "lookahead"
base = {{ name = "adamw" }}

[[optimizer]]
name = "sam"
base = {{ name = "adamw" }}

{decoders}# What networks are held against, fitted once.
[[yardstick]]
name = "linear"

# Options are the defaults, and a difference may be one of learning rates. This searches them for
# every strategy alike, on the validation split; it takes some ten times as long.
# [tuning]
"""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@reading_options
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The suite to write.  [default: the file's name with .toml, here]",
)
def init(file: Path, out: Path | None, **options: str | None) -> None:
    """Look at FILE, say what is in it, and write a suite that trains on it.

    Columns, kind of task and encoding are guessed; what you say instead holds.
    """
    out = out or Path(f"{file.stem}.toml")
    if out.exists():
        raise DataError(f"{out} exists; give another name with --out, or remove it")
    form = guessed(file, given(options))
    rows = read_rows(file, form)
    found = findings(form, rows) if rows.good else ()
    for line in (*_read_as(file, form, rows), *found):
        click.echo(printable(line))
    table = task_table(file, form, rows)
    task = files(**{name: value for name, value in table.items() if name not in ("name", "label")})
    sizes = ", ".join(f"{len(split)} {name}" for name, split in task.splits.items())
    click.echo(f"splits: {sizes}; {task.metric} ranks strategies")
    out.write_text(suite_text(file, table, task), encoding="utf-8")
    load_suite(str(out))
    click.echo(printable(f"{out} is a suite for it; next: msbench run {out}"))


def _read_as(file: Path, form: Form, rows: Rows) -> Iterator[str]:
    count = len(rows.good) + len(rows.faults)
    how = f", encoding {form.encoding}" * (form.encoding != "utf-8")
    how += f", delimiter {form.delimiter!r}" * bool(form.delimiter)
    names = columns_of(file, form)
    columns = f" from column {form.source!r}" * bool(names)
    target = f" to {form.predicted!r}" * bool(columns and form.predicted)
    yield f"{file}: {count} rows{how}; read as {form.kind}{columns}{target}"
    if names:
        yield f"columns: {', '.join(names)}"


def task_table(file: Path, form: Form, rows: Rows) -> dict[str, Any]:
    """The options of the task, those that are not the defaults."""
    items = [item for _, item in rows.good]
    table: dict[str, Any] = {"name": "files", "label": file.stem, "kind": form.kind}
    table["train"] = file.as_posix()
    for name in ("source", "second", "target", "group", "delimiter", "encoding"):
        if getattr(form, name) != getattr(Form("lm"), name):
            table[name] = getattr(form, name)
    if rows.faults:
        table["on_bad_row"] = "skip"
    if form.kind != "lm":
        table["max_length"] = _limit(max(map(length, _parts(source))) for source, _ in items)
    if form.kind == "seq2seq":
        table["max_target"] = _limit(length(target) for _, target in items)
    return table


def _parts(source: Any) -> tuple[Any, ...]:
    return source if isinstance(source, tuple) else (source,)


def _limit(lengths: Any) -> int:
    """Tokens for the longest of nearly all texts: a word is one or two of them."""
    longest = sorted(lengths)
    wanted = 2 * longest[int(0.95 * (len(longest) - 1))]
    return next((limit for limit in LIMITS if limit >= wanted), LIMITS[-1])


def suite_text(file: Path, table: Mapping[str, Any], task: Task) -> str:
    """The suite as TOML, whose strings JSON's are."""
    model, *decoders = MODELS["pairs" if "second" in table else task.kind]
    passes = round(EPOCHS * len(task.train) / BATCH, -2)
    return SUITE.format(
        description=_toml(f"Three strategies on {file.name}, as msbench init wrote it."),
        batch=min(BATCH, len(task.train)),
        passes=int(min(1000, max(100, passes))),
        task="\n".join(f"{name} = {_toml(value)}" for name, value in table.items()),
        model=model,
        decoders="".join(f'[[decoder]]\nname = "{name}"\n\n' for name in decoders),
    )


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
