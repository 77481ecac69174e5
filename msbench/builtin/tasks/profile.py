"""What a file of the user's own holds: how it is written, what for, and what is odd in it."""

import codecs
import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import msbench
from msbench.builtin.tasks.drawing import identity
from msbench.builtin.tasks.encodings import content, text_of
from msbench.builtin.tasks.forms import BIO, DELIMITERS, OBJECTS, TABLES, TARGETS, Form, Item, Rows
from msbench.builtin.tasks.tables import raw_rows

SOURCES = ("text", "source", "sentence", "message", "review", "question", "document", "body")
PREDICTED = ("label", "tags", "target", "class", "category", "topic", "intent", "sentiment")
PREDICTED_TEXTS = ("summary", "answer", "translation", "headline", "title")
"""What columns are usually called, the likeliest first."""

SAMPLE = 2000
"""Rows that kinds, lengths and languages are told by."""

PLAIN = Form("lm", source="")
"""Reads any table, since it asks for no column."""


def guessed(path: Path, given: Mapping[str, Any]) -> Form:
    """How the file is likely to be read; what is given holds."""
    form = replace(PLAIN, encoding=given.get("encoding") or likely_encoding(path))
    if not has_columns(path):
        kind = given.get("kind") or _plain_kind(text_of(path, form.encoding))
        return replace(form, kind=kind, source="text", **_others(given))
    if path.suffix.lower() == ".csv":
        form = replace(form, delimiter=given.get("delimiter") or _likely_delimiter(path, form))
    columns = _columns(path, form)
    source = given.get("source") or _likely_source(columns, given.get("target", ""))
    rest = [name for name in columns if name != source]
    target = given.get("target") or _likely_target(columns, rest)
    kind = given.get("kind") or _likely_kind(columns, target)
    target = "" if kind == "lm" or target == TARGETS[kind] else target
    return replace(form, kind=kind, source=source, target=target, **_others(given))


def has_columns(path: Path) -> bool:
    """Whether rows have named cells; else it is plain text."""
    return path.suffix.lower() in (*TABLES, *OBJECTS)


def columns_of(path: Path, form: Form) -> list[str]:
    """The names of all columns."""
    any_column = replace(PLAIN, delimiter=form.delimiter, encoding=form.encoding)
    return list(_columns(path, any_column)) if has_columns(path) else []


def _others(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in ("second", "group") if given.get(name)}


def likely_encoding(path: Path) -> str:
    """UTF-8 if it is; else UTF-16 by its mark, or what Western Windows writes."""
    data = content(path)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8", "cp1252"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _likely_delimiter(path: Path, form: Form) -> str:
    """The one that cuts the header into most cells; "" for a comma."""
    header = text_of(path, form.encoding).partition("\n")[0]
    cells = {mark: len(next(csv.reader([header], delimiter=mark), [])) for mark in DELIMITERS}
    likely = max(DELIMITERS, key=lambda mark: cells[mark])
    return "" if likely == "," else likely


def _columns(path: Path, form: Form) -> dict[str, list[Any]]:
    """The first cells of every column that has texts, numbers or lists in it."""
    rows = [row for _, row in raw_rows(path, form) if isinstance(row, Mapping)][:SAMPLE]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row[name] for row in rows if row.get(name)] for name in names}
    return {name: cells for name, cells in columns.items() if cells}


def _likely_source(columns: Mapping[str, Sequence[Any]], target: str) -> str:
    """By its name, else the one with the longest cells."""
    named = [
        name for known in SOURCES for name in columns if name.lower() == known and name != target
    ]
    longest = max(columns, key=lambda name: _length(columns[name]) * (name != target), default="")
    return next(iter(named), longest)


def _likely_target(columns: Mapping[str, Sequence[Any]], rest: Sequence[str]) -> str:
    """By its name, else the one with the fewest different cells; "" if there is none."""
    known = (*PREDICTED, *PREDICTED_TEXTS)
    named = [name for each in known for name in rest if name.lower() == each]
    several = [name for name in rest if _variety(columns[name]) > 1]
    fewest = min(several, key=lambda name: _variety(columns[name]), default="")
    return next(iter(named), fewest)


def _likely_kind(columns: Mapping[str, Sequence[Any]], target: str) -> Any:
    if not target:
        return "lm"
    cells = columns[target]
    if isinstance(cells[0], list) or target.lower() == "tags":
        return "tag"
    return "classify" if 2 * _variety(cells) <= len(cells) else "seq2seq"


def _plain_kind(text: str) -> Any:
    lines = [line for line in text.split("\n") if line.strip()][:SAMPLE]
    pairs = [line.split("\t") for line in lines]
    if lines and all(len(pair) == 2 for pair in pairs):
        return _likely_kind({"second": [target for _, target in pairs]}, "second")
    cells = [line.split() for line in lines]
    tagged = sum(len(each) > 1 and bool(BIO.fullmatch(each[-1])) for each in cells)
    return "tag" if lines and tagged > 0.9 * len(lines) else "lm"


def _length(cells: Sequence[Any]) -> float:
    return sum(len(str(cell)) for cell in cells) / max(1, len(cells))


def _variety(cells: Sequence[Any]) -> int:
    return len(set(map(str, cells)))


def findings(form: Form, rows: Rows) -> Iterator[str]:
    """What a reader should know before training on these rows, a line each."""
    items = [item for _, item in rows.good]
    if form.kind == "classify":
        yield from _labels(items)
    yield _lengths([source for source, _ in items[:SAMPLE]], "length")
    if form.kind == "seq2seq":
        yield _lengths([target for _, target in items[:SAMPLE]], "length of targets")
    repeated = len(items) - len({(group, identity(item)) for group, item in rows.good})
    if repeated:
        yield f"duplicates: {repeated} rows repeat others"
    different = {identity(item): item for item in items}.values()
    several = Counter(identity(source) for source, _ in different)
    if form.kind == "classify" and (unsure := sum(count > 1 for count in several.values())):
        yield f"contradictions: {unsure} texts have several labels"
    written = msbench.bleu_tokenizer(_written(items))
    if written != "13a":
        yield (
            f"language: written without spaces between words, so every letter counts as a word, "
            f"and BLEU takes sacrebleu's tokenizer {written!r}"
        )
    if rows.faults:
        first = rows.faults[0]
        yield f"bad rows: {len(rows.faults)}, the first in line {first.line}: {first.reason}"


def _labels(items: Sequence[Item]) -> Iterator[str]:
    counts = Counter(identity(label) for _, label in items).most_common()
    (most, high), (least, low) = counts[0], counts[-1]
    yield f"labels: {len(counts)}, from {most!r} ({high} rows) to {least!r} ({low})"


def _lengths(texts: Sequence[Any], what: str) -> str:
    sizes = sorted(map(length, texts))
    return f"{what}: {median(sizes):g} words in the median, {sizes[-1]} at most"


def length(text: Any) -> int:
    """Words of a text, of a pair of texts, or of a list of words."""
    if isinstance(text, str):
        return len(msbench.words_of(text))
    return len(text) if isinstance(text, list) else sum(map(length, text))


def _written(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        for side in item:
            yield from [side] if isinstance(side, str) else side
