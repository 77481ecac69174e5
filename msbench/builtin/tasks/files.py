"""The user's own data: CSV, TSV, JSON lines or plain text, as a task of any kind."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msbench
from msbench import DataError, TaskKind, mislabel, split, take

METRICS: Mapping[TaskKind, Sequence[str]] = {
    "classify": ("accuracy", "macro_f1", "nll", "calibration"),
    "tag": ("span_f1", "exact", "precision", "recall", "tag_accuracy"),
    "seq2seq": ("bleu", *(name for name in msbench.TEXT_SCORES if name != "bleu")),
    "lm": ("bits_per_byte", "perplexity"),
}
"""What can rank strategies; the first is the default."""

Columns = Mapping[str, str]
Item = tuple[Any, Any]
"""What the builders take: (text, label), (words, tags), (text, text); for `lm` (text, "")."""


def files(
    kind: TaskKind,
    train: str,
    validation: str = "",
    test: str = "",
    source: str = "text",
    second: str = "",
    target: str = "",
    group: str = "",
    split_seed: int = 0,
    metric: str = "",
    max_length: int = 128,
    max_target: int = 64,
    prompt: int = 16,
    vocabulary: int = 4000,
    train_size: int = 0,
    label_noise: float = 0.0,
) -> msbench.Task:
    """A task from files of your own.

    kind: `classify`, `tag`, `seq2seq` or `lm`. train, validation, test: paths of .csv, .tsv, .jsonl
    or plain text, seen from the folder that msbench runs in. Without test (or validation): a tenth
    of the training rows, drawn by split_seed; rows that recur are then kept once, and rows that are
    equal in the column `group` stay together. source, second, target: columns of the text, of the
    text to match it with, and of the label, tags or target text (left out: label, tags, target).
    metric: what ranks strategies (left out: accuracy, span_f1, bleu, bits_per_byte). max_length,
    max_target: tokens that are read; for `lm` max_length is the block, and prompt what generation
    goes on from. train_size, label_noise: as in other tasks.

    Plain text: for `lm` documents with an empty line between them; for `tag` a word and its tag
    on a line, an empty line between texts; else text, tab, label or target. Words and tags in a
    column: a list in JSON, else parted by spaces.
    """
    metric = metric or METRICS[kind][0]
    if metric not in METRICS[kind]:
        raise DataError(f"files: a {kind} task has no metric {metric!r}, but {METRICS[kind]}")
    if label_noise and kind != "classify":
        raise DataError(f"files: label_noise is for classify, not for {kind}")
    names = {"classify": "label", "tag": "tags", "seq2seq": "target", "lm": ""}
    columns = {"source": source, "second": second, "target": target or names[kind], "group": group}
    paths = {"train": train, "validation": validation, "test": test}
    read = {name: _rows(kind, Path(path), columns) for name, path in paths.items() if path}
    splits = take(_splits(read, split_seed), train_size)
    seen = {repr(source) for source, _ in splits["train"]}
    again = {n: sum(repr(s) in seen for s, _ in splits[n]) for n in ("validation", "test")}
    hashes = {n: hashlib.sha256(Path(p).read_bytes()).hexdigest() for n, p in paths.items() if p}
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
    return replace(task, notes={**task.notes, "sha256": hashes, "also_in_train": again})


def _splits(read: Mapping[str, list[tuple[str, Item]]], seed: int) -> dict[str, Sequence[Item]]:
    """The files as they are; what has no file is drawn from the training rows."""
    parts: dict[str, Sequence[Item]] = {n: [item for _, item in rows] for n, rows in read.items()}
    missing = [name for name in ("validation", "test") if name not in read]
    if missing:
        unique = {repr(item): (group, item) for group, item in read["train"]}
        drawn = split(list(unique.items()), group=lambda each: each[1][0] or each[0], seed=seed)
        rest = [n for n in drawn if n not in missing]
        parts["train"] = [item for name in rest for _, (_, item) in drawn[name]]
        for name in missing:
            parts[name] = [item for _, (_, item) in drawn[name]]
    return parts


def _rows(kind: TaskKind, path: Path, columns: Columns) -> list[tuple[str, Item]]:
    """(value of the group column, item) of every row of a file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"files: {path} (from {Path.cwd()}): {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"files: {path} is not UTF-8: {error}") from error
    if path.suffix in (".csv", ".tsv"):
        rows = _table(text, "," if path.suffix == ".csv" else "\t")
    elif path.suffix in (".jsonl", ".json"):
        rows = _json_lines(text, path)
    else:
        return [("", item) for item in _plain(kind, text, path)]
    found = [_row(kind, row, columns, f"{path}:{line}") for line, row in rows]
    if not found:
        raise DataError(f"files: {path} has no rows")
    return found


def _row(kind: TaskKind, row: Mapping[str, Any], columns: Columns, where: str) -> tuple[str, Item]:
    def value(column: str) -> Any:
        if row.get(column) is None:
            raise DataError(
                f"files: {where} has no {column!r}; there is: {', '.join(map(str, row))}"
            )
        return row[column]

    group = str(value(columns["group"])) if columns["group"] else ""
    source = value(columns["source"])
    if kind == "lm":
        return group, (str(source), "")
    target = value(columns["target"])
    if kind == "tag":
        words, tags = (v if isinstance(v, list) else str(v).split() for v in (source, target))
        return group, (words, tags)
    if columns["second"]:
        source = (str(source), str(value(columns["second"])))
    return group, (source if columns["second"] else str(source), str(target))


def _table(text: str, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    for row in reader:
        yield reader.line_num, row


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, each in enumerate(text.splitlines(), start=1):
        if each.strip():
            try:
                row = json.loads(each)
            except ValueError as error:
                raise DataError(f"files: {path}:{line} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise DataError(f'files: {path}:{line} is not a JSON object such as {{"text": ""}}')
            yield line, row


def _plain(kind: TaskKind, text: str, path: Path) -> list[Item]:
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block.strip()]
    if not blocks:
        raise DataError(f"files: {path} is empty")
    if kind == "lm":
        return [(block.strip("\n"), "") for block in blocks]
    if kind == "tag":
        return [_pair(list(zip(*_cells(block, path, None), strict=True))) for block in blocks]
    return [(left, right) for left, right in _cells(text, path, "\t")]


def _pair(columns: list[tuple[str, ...]]) -> Item:
    return list(columns[0]), list(columns[1])


def _cells(text: str, path: Path, separator: str | None) -> list[tuple[str, str]]:
    """First and last column of every line."""
    found = []
    for line in filter(str.strip, text.splitlines()):
        cells = line.split(separator)
        if len(cells) < 2:
            what = "a tab" if separator else "a word and its tag"
            raise DataError(f"files: {path}: a line without {what}: {line[:60]!r}")
        found.append((cells[0], cells[-1]))
    return found
