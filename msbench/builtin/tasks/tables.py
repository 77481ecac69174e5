"""Rows of CSV, TSV, JSON lines and plain text files, and every row that is not one."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msbench import DataError
from msbench.builtin.tasks.encodings import text_of
from msbench.builtin.tasks.forms import (
    BIO,
    DELIMITERS,
    OBJECTS,
    TABLES,
    Fault,
    Form,
    Grouped,
    Item,
    Rows,
)
from msbench.builtin.tasks.plain_text import plain_rows

Read = Iterator[tuple[int, Any]]
"""(line, what is there: a row, or a `Fault`)."""


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
    return plain_rows(text, form.kind)


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
            reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), **shape)
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
