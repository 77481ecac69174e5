"""The user's own data: CSV, TSV, JSON lines or plain text, as a task of any kind."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msbench
from msbench import DataError, TaskKind, linked, mislabel, shuffled, take
from msbench.builtin.tasks.grouping import split_by
from msbench.builtin.types import FilePath, Size

METRICS: Mapping[TaskKind, Sequence[str]] = {
    "classify": ("accuracy", "macro_f1", "nll", "calibration"),
    "tag": ("span_f1", "exact", "precision", "recall", "tag_accuracy"),
    "seq2seq": ("bleu", *(name for name in msbench.TEXT_SCORES if name != "bleu")),
    "lm": ("bits_per_byte", "perplexity"),
}
"""Metrics that can rank strategies; the first is the default."""

_BIO = re.compile(r"O|[BI]-.+")

Columns = Mapping[str, str]
Item = tuple[Any, Any]
"""What the builders take: (text, label), (words, tags), (text, text); for `lm` (text, "")."""
Grouped = tuple[str, Item]
"""(value of the group column, item)."""


def files(
    kind: TaskKind,
    train: FilePath,
    validation: str = "",
    test: str = "",
    source: str = "text",
    second: str = "",
    target: str = "",
    group: str = "",
    split_seed: int = 0,
    metric: str = "",
    max_length: Size = 128,
    max_target: Size = 64,
    prompt: Size = 16,
    vocabulary: Size = 4000,
    train_size: int = 0,
    label_noise: float = 0.0,
) -> msbench.Task:
    """A task from files of your own.

    kind: `classify`, `tag`, `seq2seq` or `lm`. train, validation, test: paths of .csv, .tsv, .jsonl
    or plain text files, relative to the folder that msbench runs in. Without test (or validation):
    a tenth of the training rows, drawn by split_seed; duplicate rows are then kept once, and rows
    with the same text, or the same value in the column `group`, stay together. source, second,
    target: columns of the text, of the text to match it with, and of the label, tags or target text
    (default: label, tags, target). metric: what ranks strategies (default: accuracy, span_f1, bleu,
    bits_per_byte). max_length, max_target: tokens that are read; for `lm` max_length is the block,
    and prompt what generation continues. train_size, label_noise: as in other tasks.

    Plain text: for `lm` documents separated by empty lines; for `tag` a word and its tag on each
    line, an empty line between texts; else text, tab, label or target. Words and tags in a column:
    a list in JSON, else separated by spaces. A .tsv file has no quoting.
    """
    metric = metric or METRICS[kind][0]
    if metric not in METRICS[kind]:
        known = ", ".join(METRICS[kind])
        raise DataError(f"files: a {kind} task has no metric {metric!r}, it has: {known}")
    if label_noise and kind != "classify":
        raise DataError(f"files: label_noise is for classify, not for {kind}")
    if second and kind != "classify":
        raise DataError(f"files: second is for classify, not for {kind}")
    names = {"classify": "label", "tag": "tags", "seq2seq": "target", "lm": ""}
    columns = {"source": source, "second": second, "target": target or names[kind], "group": group}
    paths = {"train": train, "validation": validation, "test": test}
    rows = {name: _rows(kind, Path(path), columns) for name, path in paths.items() if path}
    if kind == "tag" and metric != "tag_accuracy":
        _check_spans(rows)
    splits = take(_splits(rows, split_seed), train_size)
    trained = {repr(source) for source, _ in splits["train"]}
    leaked = {n: sum(repr(s) in trained for s, _ in splits[n]) for n in ("validation", "test")}
    hashes = {n: hashlib.sha256(_content(Path(p))).hexdigest() for n, p in paths.items() if p}
    if kind == "classify":
        task = msbench.classification(
            mislabel(splits, label_noise),
            metric=metric,
            max_length=max_length,
            vocabulary=vocabulary,
        )
    elif kind == "tag":
        task = msbench.tagging(splits, metric=metric, max_length=max_length, vocabulary=vocabulary)
    elif kind == "seq2seq":
        task = msbench.translation(
            splits,
            score=msbench.TEXT_SCORES[metric],
            metric=metric,
            max_source=max_length,
            max_target=max_target,
            vocabulary=vocabulary,
        )
    else:
        documents = {name: [text for text, _ in part] for name, part in splits.items()}
        task = msbench.language_modelling(
            documents, metric=metric, block=max_length, prompt=prompt, vocabulary=vocabulary
        )
    return replace(task, notes={**task.notes, "sha256": hashes, "also_in_train": leaked})


def _splits(rows: Mapping[str, list[Grouped]], seed: int) -> dict[str, Sequence[Item]]:
    """The files as they are; splits without a file are drawn from the training rows.

    Training rows are shuffled in any case, so that the first of them are a fair sample.
    """
    parts: dict[str, Sequence[Item]] = {
        name: [item for _, item in each] for name, each in rows.items()
    }
    missing = [name for name in ("validation", "test") if name not in rows]
    if not missing:
        return {**parts, "train": shuffled(parts["train"], "train size")}
    unique = list({repr(row): row for row in rows["train"]}.values())
    keys = [{f"text {item[0]!r}", *([f"group {group}"] if group else [])} for group, item in unique]
    drawn = split_by(linked(keys), [item for _, item in unique], seed=seed)
    rest = [name for name in drawn if name not in missing]
    return {
        **parts,
        "train": [item for name in rest for item in drawn[name]],
        **{name: drawn[name] for name in missing},
    }


def _check_spans(rows: Mapping[str, list[Grouped]]) -> None:
    for part in rows.values():
        for _, (_, tags) in part:
            if strange := [tag for tag in tags if not _BIO.fullmatch(tag)]:
                raise DataError(
                    f"files: spans are tagged O, B-name and I-name, not {strange[0]!r}; for other "
                    f'tags set metric = "tag_accuracy"'
                )


def _rows(kind: TaskKind, path: Path, columns: Columns) -> list[Grouped]:
    """Every row of a file."""
    try:
        text = io.TextIOWrapper(io.BytesIO(_content(path)), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise DataError(f"files: {path} is not UTF-8: {error}") from error
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        rows = _table(text, path, tabs=suffix == ".tsv")
    elif suffix in (".jsonl", ".ndjson", ".json"):
        rows = _json_lines(text, path)
    else:
        for name in ("second", "group"):
            if columns[name]:
                raise DataError(
                    f"files: {path} is plain text and has no columns: {name} is of no use"
                )
        return [("", item) for item in _plain(kind, text, path)]
    items = [_row(kind, row, columns, f"{path}:{line}") for line, row in rows]
    if not items:
        raise DataError(f"files: {path} has no rows")
    return items


def _content(path: Path) -> bytes:
    try:
        return msbench.read_file(path)
    except OSError as error:
        raise DataError(f"files: {path} (from {Path.cwd()}): {error.strerror}") from error


def _row(kind: TaskKind, row: Mapping[str, Any], columns: Columns, where: str) -> Grouped:
    def value(column: str) -> Any:
        if column not in row:
            raise DataError(
                f"files: {where} has no {column!r}; there is: {', '.join(map(str, row))}"
            )
        if row[column] is None or row[column] == "":
            raise DataError(f"files: {where}: {column!r} is empty")
        return row[column]

    def text(column: str) -> str:
        cell = value(column)
        if isinstance(cell, list | dict):
            raise DataError(f"files: {where}: {column!r} is not one text: {str(cell)[:60]}")
        return str(cell)

    def words(column: str) -> list[str]:
        cell = value(column)
        return [str(word) for word in cell] if isinstance(cell, list) else str(cell).split()

    group = text(columns["group"]) if columns["group"] else ""
    if kind == "lm":
        return group, (text(columns["source"]), "")
    if kind == "tag":
        return group, (words(columns["source"]), words(columns["target"]))
    if columns["second"]:
        pair = text(columns["source"]), text(columns["second"])
        return group, (pair, text(columns["target"]))
    return group, (text(columns["source"]), text(columns["target"]))


def _table(text: str, path: Path, tabs: bool) -> Iterator[tuple[int, Mapping[str, Any]]]:
    stream = io.StringIO(text, newline="")
    if tabs:
        reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.DictReader(stream, strict=True)
    names = list(reader.fieldnames or [])
    if len(set(names)) < len(names):
        raise DataError(f"files: {path} has two columns of one name: {', '.join(names)}")
    try:
        for row in reader:
            if None in row:
                more = "more cells than its header; quote cells with commas in them"
                raise DataError(f"files: {path}:{reader.line_num} has {more}")
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"files: {path}:{reader.line_num}: {error}") from error


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):  # other line ends may be in a text
        if line.strip():
            try:
                row = json.loads(line)
                line.encode(), json.dumps(row, ensure_ascii=False).encode()
            except ValueError as error:
                raise DataError(f"files: {path}:{number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise DataError(
                    f'files: {path}:{number} is not a JSON object such as {{"text": ""}}'
                )
            yield number, row


def _plain(kind: TaskKind, text: str, path: Path) -> list[Item]:
    blocks = [block for block in re.split(r"\n[ \t]*\n", text) if block.strip()]
    if not blocks:
        raise DataError(f"files: {path} is empty")
    if kind == "lm":
        return [(block.strip("\n"), "") for block in blocks]
    if kind == "tag":
        lines = [[_cells(line, path, r"[ \t]+") for line in _lines(block)] for block in blocks]
        return [([cells[0] for cells in block], [cells[-1] for cells in block]) for block in lines]
    pairs = [_cells(line, path, "\t") for line in _lines(text)]
    for pair in pairs:
        if len(pair) > 2 or not all(pair):
            raise DataError(f"files: {path}: a line is not text, tab, {kind} target: {pair}")
    return [(left, right) for left, right in pairs]


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _cells(line: str, path: Path, separator: str) -> list[str]:
    cells = re.split(separator, line.strip(" "))
    if len(cells) < 2:
        missing = "a tab" if separator == "\t" else "a word and its tag"
        raise DataError(f"files: {path}: a line without {missing}: {line[:60]!r}")
    return cells
