"""`msbench predict`: a file of the user's own, and what a fitted model says of it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

import msbench
from msbench import DataError, printable
from msbench.builtin.tasks.forms import OBJECTS, TABLES, Fault, Form
from msbench.builtin.tasks.tables import raw_rows

READ = ("source", "second", "delimiter", "encoding")
"""Options of the task `files` that say how a file is read."""

PREDICTION = "prediction"
"""The column of what is predicted."""

Row = Mapping[str, Any]


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.csv|tsv|jsonl|txt",
    help="Write all columns and the prediction; .txt has the predictions alone.",
)
@click.option("--source", metavar="COLUMN", help="The column of the text.")
@click.option("--second", metavar="COLUMN", help="The column of the text to match it with.")
@click.option("--delimiter", help="Between the cells of a CSV file.")
@click.option("--encoding", help="Such as utf-8 or cp1252.")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Also load this plugin.")
def predict(
    folder: str, file: Path, out: Path | None, plugins: tuple[str, ...], **options: str | None
) -> None:
    """Predict for every row of FILE with the model that `msbench fit` has left in DIR.

    FILE is read like the files that a task is made of (CSV, TSV, JSON lines, or a text on each
    line), but needs no column of answers. Columns are called as in training, else `text` and
    `second`. Without --out a prediction is printed for each row.
    """
    if out and out.suffix.lower() not in (*TABLES, *OBJECTS, ".txt"):
        raise DataError(f"{out}: predictions are written to .csv, .tsv, .jsonl or .txt")
    model = msbench.fitted(folder, plugins=plugins)
    given = {name: value for name, value in options.items() if value}
    form = form_of(model, given)
    rows = read(file, form, model.kind)
    found = model.predict([text for _, text in rows])
    told = [each if isinstance(each, str) else " ".join(each) for each in found]
    if out is None:
        for each in told:
            click.echo(printable(_one_line(each)))
        return
    table = [{**row, PREDICTION: each} for (row, _), each in zip(rows, told, strict=True)]
    try:
        out.write_text(written(table, out.suffix.lower()), encoding="utf-8", newline="")
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from error
    click.echo(printable(f"{len(table)} predictions: {out}"))


def form_of(model: "msbench.Fitted", given: Mapping[str, str]) -> Form:
    """How a file is read: as the model's own was, but without answers."""
    usual = {"source": "text", "second": "second" if model.pairs else ""}
    known = {name: model.options[name] for name in READ if model.options.get(name)}
    named = {**usual, **known, **given}
    if not model.pairs and named["second"]:
        raise DataError("this model reads one text, so there is no --second")
    return Form("lm", **{name: named[name] for name in READ if name in named})


def read(file: Path, form: Form, kind: str) -> list[tuple[Row, Any]]:
    """(row, what the model reads of it) of every row; DataError names the first that has nothing to
    read, since predictions must be as many as rows."""
    found = []
    for line, row in _rows(file, form, kind):
        if isinstance(row, Fault):
            raise DataError(f"{file}:{row.line}: {row.reason}")
        cells = [row.get(name) for name in (form.source, form.second) if name]
        for name, cell in zip((form.source, form.second), cells, strict=False):
            if cell is None and name not in row:
                there = ", ".join(map(str, row))
                raise DataError(
                    f"{file}:{line}: no column {name!r}; there is: {there} (--source names it)"
                )
            if not cell or not str(cell).strip():
                raise DataError(f"{file}:{line}: {name!r} is empty")
        texts = [cell if isinstance(cell, list) and kind == "tag" else str(cell) for cell in cells]
        found.append((row, texts[0] if len(texts) == 1 else tuple(texts)))
    if not found:
        raise DataError(f"{file} has no rows")
    return found


def _rows(file: Path, form: Form, kind: str) -> Iterator[tuple[int, Any]]:
    if file.suffix.lower() in (*TABLES, *OBJECTS):
        yield from raw_rows(file, form)
        return
    if form.second:
        raise DataError(f"{file}: plain text has no columns, and this model reads pairs of texts")
    for line, row in raw_rows(file, Form("lm", encoding=form.encoding)):
        if kind == "lm" or isinstance(row, Fault):
            yield line, row if isinstance(row, Fault) else {form.source: row[0]}
            continue
        for number, text in enumerate(row[0].split("\n"), start=line):
            if text.strip():
                yield number, {form.source: text.partition("\t")[0]}


def written(table: Sequence[Row], suffix: str) -> str:
    """The rows as the text of a file."""
    if suffix == ".txt":
        return "".join(f"{_one_line(row[PREDICTION])}\n" for row in table)
    if suffix in OBJECTS:
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in table)
    names = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    mark = "\t" if suffix == ".tsv" else ","
    writer = csv.DictWriter(text, names, delimiter=mark, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in row.items()} for row in table)
    return text.getvalue()


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
