"""Rows of CSV, TSV, JSON lines and plain text files, and every row that is not one."""

import codecs
import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msbench
from msbench import DataError, TaskKind

TARGETS: Mapping[TaskKind, str] = {"classify": "label", "tag": "tags", "seq2seq": "target"}
"""What the column to predict is called if nobody says so."""

DELIMITERS = (",", ";", "\t", "|")

TABLES, OBJECTS = (".csv", ".tsv"), (".jsonl", ".ndjson", ".json")
"""The names of files with columns end so; all others are plain text."""

BIO = re.compile(r"O|[BI]-.+")

Item = tuple[Any, Any]
"""What the builders take: (text, label), (words, tags), (text, text); for `lm` (text, "")."""

Grouped = tuple[str, Item]
"""(value of the group column, item)."""

Read = Iterator[tuple[int, Any]]
"""(line, what is there: a row, or a `Fault`)."""


@dataclass(frozen=True)
class Form:
    """How a file is read: what it is for, its columns and how it is written."""

    kind: TaskKind
    source: str = "text"
    second: str = ""
    target: str = ""
    group: str = ""
    spans: bool = True
    """Whether tags must be O, B-name and I-name."""
    delimiter: str = ""
    """Between cells; "" for a comma, or a tab in a .tsv file."""
    encoding: str = "utf-8"

    @property
    def predicted(self) -> str:
        """The column of the label, tags or target text; "" of `lm`."""
        return self.target or TARGETS.get(self.kind, "")

    @property
    def columns(self) -> list[str]:
        """All that must be there."""
        return [c for c in (self.source, self.second, self.predicted, self.group) if c]


@dataclass(frozen=True)
class Fault:
    """What is wrong at a line of a file."""

    line: int
    reason: str
    fatal: bool = False
    """Whether the rows after it cannot be told, so that it cannot be skipped."""


@dataclass
class Rows:
    """What a file has: rows, and what is wrong with it."""

    good: list[Grouped] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class Unfit(Exception):
    """A row that is none; the message says why."""


def read_rows(path: Path, form: Form) -> Rows:
    """Every row of a file, good or bad; DataError if it cannot be read as text at all."""
    rows = Rows()
    for line, row in raw_rows(path, form):
        if isinstance(row, Fault):
            rows.faults.append(row)
            continue
        try:
            grouped = _item(row, form) if isinstance(row, Mapping) else ("", row)
            if form.kind == "tag":
                _check_tags(grouped[1], form.spans)
        except Unfit as unfit:
            rows.faults.append(Fault(line, str(unfit)))
        else:
            rows.good.append(grouped)
    if not rows.good and not rows.faults:
        raise DataError(f"files: {path} has no rows")
    return rows


def raw_rows(path: Path, form: Form) -> Read:
    """Rows as mappings from columns to cells; of plain text as items."""
    text = text_of(path, form.encoding)
    suffix = path.suffix.lower()
    if suffix in TABLES:
        return _table(text, path, form)
    if suffix in OBJECTS:
        return _json_lines(text)
    for name in ("second", "group"):
        if getattr(form, name):
            raise DataError(f"files: {path} is plain text and has no columns: {name} is of no use")
    return _plain(text, form.kind)


def content(path: Path) -> bytes:
    """A file's bytes; DataError if it cannot be read."""
    try:
        return msbench.read_file(path)
    except OSError as error:
        raise DataError(f"files: {path} (from {Path.cwd()}): {error.strerror}") from error


def text_of(path: Path, encoding: str = "utf-8") -> str:
    """A file's text with \\n as its line ends; DataError with the likely encoding otherwise."""
    data = content(path)
    try:
        utf8 = codecs.lookup(encoding).name == "utf-8"
    except LookupError as error:
        raise DataError(f"files: there is no encoding {encoding!r}") from error
    if utf8 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(_wrong(f"{path}:1", "UTF-16, not UTF-8", "utf-16"))
    try:
        text = data.decode("utf-8-sig" if utf8 else encoding)
    except UnicodeError as error:
        raise DataError(_undecodable(path, data, encoding, error)) from error
    if 4 * text.count("\0") > len(text):
        little = data[1:2] == b"\0"
        likely = "utf-16-le" if little else "utf-16-be"
        raise DataError(_wrong(f"{path}:1", f"not {encoding}: every other byte is 0", likely))
    return str(io.IncrementalNewlineDecoder(None, translate=True).decode(text, final=True))


def _undecodable(path: Path, data: bytes, encoding: str, error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return f"files: {path} is not {encoding}: {error}"
    line = data.count(b"\n", 0, error.start) + 1
    byte = data[error.start : error.start + 1]
    seen = byte.decode("cp1252", errors="replace")
    what = f"not {encoding}: its byte 0x{byte.hex()} would be {seen!r} in Western European text"
    return _wrong(f"{path}:{line}", what, "cp1252")


def _wrong(where: str, what: str, likely: str) -> str:
    return f'files: {where} is {what}; set encoding = "{likely}", or save the file as UTF-8'


def _table(text: str, path: Path, form: Form) -> Read:
    """A table with a header. A line whose quotes are wrong is a fault, and reading goes on behind
    it; where a quote is never closed, it ends."""
    tabs = path.suffix.lower() == ".tsv" and not form.delimiter
    shape: dict[str, Any] = {"delimiter": "\t" if tabs else form.delimiter or ",", "strict": True}
    shape |= {"quoting": csv.QUOTE_NONE} if tabs else {}
    lines = list(io.StringIO(text, newline=""))
    records = _records(lines, shape)
    _, header = next(records, (1, []))
    if isinstance(header, Fault) or (fault := _bad_header(header, lines, shape, form)):
        yield 1, header if isinstance(header, Fault) else fault
        return
    for line, cells in records:
        if isinstance(cells, Fault):
            yield line, cells
        elif len(cells) > len(header):
            mark = shape["delimiter"]
            yield (
                line,
                Fault(line, f"more cells than its header; quote cells with {mark!r} in them"),
            )
        elif cells:
            yield line, dict(zip(header, [*cells, *[""] * len(header)], strict=False))


def _records(lines: Sequence[str], shape: Mapping[str, Any]) -> Read:
    """(line it begins in, cells) of each record, or what is wrong with it."""
    start, before = 0, csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        while start < len(lines):
            reader = csv.reader(lines[start:], **shape)
            fault: Fault | None = None
            while fault is None:
                begin = start + reader.line_num + 1
                try:
                    yield begin, next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    unclosed = start + reader.line_num >= len(lines) and "end of data" in str(error)
                    fault = _bad_quote(begin, start + reader.line_num, unclosed, error)
            yield fault.line, fault
            start = len(lines) if fault.fatal else fault.line
    finally:
        csv.field_size_limit(before)


def _bad_quote(begin: int, end: int, unclosed: bool, error: csv.Error) -> Fault:
    how = 'double quotes that are part of a text (""), or write a .tsv file, which has no quoting'
    if unclosed:
        return Fault(begin, f"a quote is opened and never closed; {how}", fatal=True)
    cell = "" if begin == end else f", in a quoted cell that goes on to line {end}"
    return Fault(begin, f"{error}{cell}; {how}")


def _bad_header(
    header: Sequence[str], lines: Sequence[str], shape: Mapping[str, Any], form: Form
) -> Fault | None:
    """What is wrong with the names of the columns."""
    if len(set(header)) < len(header):
        return Fault(1, f"two columns of one name: {', '.join(header)}", fatal=True)
    missing = [name for name in form.columns if name not in header]
    if not missing or not header:
        return None
    reason = f"no column {missing[0]!r}; there is: {', '.join(header)}"
    for mark in DELIMITERS:
        if mark != shape["delimiter"] and mark in lines[0] and len(header) == 1:
            mark = mark.replace("\t", "\\t")
            reason += f'; cells seem to be separated by "{mark}": set delimiter = "{mark}"'
            break
    return Fault(1, reason, fatal=True)


def _json_lines(text: str) -> Read:
    if text.lstrip()[:1] == "[":
        yield 1, Fault(1, 'not a JSON object such as {"text": ""} on each line', fatal=True)
        return
    for number, line in enumerate(text.split("\n"), start=1):  # other line ends may be in a text
        if line.strip():
            try:
                row = json.loads(line)
                line.encode(), json.dumps(row, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                yield number, Fault(number, f"not JSON: {error}")
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                yield number, Fault(number, 'not a JSON object such as {"text": ""}')


def _plain(text: str, kind: TaskKind) -> Read:
    """Documents, words with tags, or text, tab, label or target."""
    if kind not in ("lm", "tag"):
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield number, _pair(number, line)
        return
    for number, block in _blocks(text):
        yield number, (block.strip("\n"), "") if kind == "lm" else _tagged(number, block)


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """(first line, text) of what empty lines separate."""
    number = 1
    for part in re.split(r"(\n[ \t]*\n)", text):
        if part.strip():
            yield number + len(part) - len(part.lstrip("\n")), part
        number += part.count("\n")


def _pair(number: int, line: str) -> Item | Fault:
    cells = line.strip(" ").split("\t")
    if len(cells) < 2:
        return Fault(number, f"a line without a tab: {line[:60]!r}")
    if len(cells) > 2 or not all(cell.strip() for cell in cells):
        return Fault(number, f"a line is not text, tab, label or target: {cells}")
    return cells[0], cells[1]


def _tagged(number: int, block: str) -> Item | Fault:
    lines = [line for line in block.split("\n") if line.strip()]
    rows = [re.split(r"[ \t]+", line.strip(" ")) for line in lines]
    for at, cells in enumerate(rows):
        if len(cells) < 2:
            return Fault(number + at, f"a line without a word and its tag: {lines[at][:60]!r}")
    return [cells[0] for cells in rows], [cells[-1] for cells in rows]


def _item(row: Mapping[str, Any], form: Form) -> Grouped:
    """What the builders take; Unfit if the row has not all of it."""
    group = _text(row, form.group) if form.group else ""
    if form.kind == "lm":
        return group, (_text(row, form.source), "")
    if form.kind == "tag":
        return group, (_words(row, form.source), _words(row, form.predicted))
    source = _text(row, form.source)
    second = (_text(row, form.second),) if form.second else ()
    return group, ((source, *second) if second else source, _text(row, form.predicted))


def _check_tags(item: Item, spans: bool) -> None:
    """Unfit unless each word has a tag, and each is one of spans, if there must be spans."""
    words, tags = item
    if len(words) != len(tags):
        raise Unfit(f"{len(words)} words and {len(tags)} tags: {' '.join(words[:8])[:60]}...")
    if spans and (strange := [tag for tag in tags if not BIO.fullmatch(tag)]):
        raise Unfit(
            f"spans are tagged O, B-name and I-name, not {strange[0]!r}; for other tags set "
            f'metric = "tag_accuracy"'
        )


def _cell(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise Unfit(f"no column {column!r}; there is: {', '.join(map(str, row))}")
    cell = row[column]
    if cell is None or not str(cell).strip() or cell == []:
        raise Unfit(f"{column!r} is empty")
    return cell


def _text(row: Mapping[str, Any], column: str) -> str:
    cell = _cell(row, column)
    if isinstance(cell, list | dict):
        raise Unfit(f"{column!r} is not one text: {str(cell)[:60]}")
    return str(cell)


def _words(row: Mapping[str, Any], column: str) -> list[str]:
    cell = _cell(row, column)
    return [str(word) for word in cell] if isinstance(cell, list) else str(cell).split()
