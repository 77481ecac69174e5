"""Every format parses back to what was compared, whatever things are called."""

import csv
import io
import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from msbench.compare.comparison import compare
from msbench.compare.rows import Comparison
from msbench.errors import printable
from msbench.records.record import Record
from msbench.records.store import read
from msbench.report.render import render
from msbench.report.tables import tables

HOSTILE = [
    "a|b",
    "0012",
    "x_y & 5% $z$ #1 ~^{}",
    "*bold* `code` ~~gone~~",
    "\x1b[31mred\x1b]0;title\x07",
    "<script>alert(1)</script>",
    "&lt;script&gt;",
    "[here](javascript:alert(1))",
    "new\nline\r\n",
    "a\\b\\",
    "=cmd|'/c calc'!A0",
    "+1",
    "-1+2",
    "@SUM(A1)",
    '"quoted", and, commas',
    "\u202egnp.exe",
    "\x9b31m",
    "inf",
    "nan",
    "n" * 300,
    "\\input{/etc/passwd}",
]


@pytest.fixture(scope="module")
def records() -> tuple[Record, ...]:
    return read(Path("tests/kept/quick")).records


@pytest.fixture(params=HOSTILE)
def comparison(records: tuple[Record, ...], request: pytest.FixtureRequest) -> Comparison:
    """The trials with adamw called by a hostile name."""
    renamed = []
    for record in records:
        if record.is_trial and record.job["optimizer"]["name"] == "adamw":
            optimizer = {**record.job["optimizer"], "label": request.param}
            job = {**record.job, "optimizer": optimizer}
            record = replace(record, job=job, group=record.group + "x")
        if record.is_trial:
            renamed.append(record)
    return compare(renamed, request.param)


def as_json(value: Any) -> Any:
    """What JSON should hold: NaN as null, infinity as text."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def from_csv(cell: str, like: Any) -> Any:
    if isinstance(like, str):
        return json.loads(cell) if cell.startswith('"') else cell
    if isinstance(like, bool):
        return cell == "True"
    if isinstance(like, list):
        return json.loads(cell)
    return type(like)(cell or "nan")


def test_json_holds_everything(comparison: Comparison) -> None:
    text = render(comparison, "json")
    assert all(char.isprintable() or char == "\n" for char in text)
    parsed = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert parsed == as_json(asdict(comparison))
    assert any(row["passes"] == "inf" for row in parsed["targets"])


def test_csv_holds_every_row_of_accuracy(comparison: Comparison) -> None:
    text = render(comparison, "csv")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    back = [
        {key: from_csv(row[key], value) for key, value in like.items()}
        for row, like in zip(rows, comparison.accuracy, strict=True)
    ]
    assert as_json(back) == as_json(comparison.accuracy)
    for row in rows:
        assert not row["optimizer"].startswith(tuple("=+-@"))
        assert row["optimizer"].isprintable()


def unescaped_markdown(cell: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell.strip())


LATEX = {
    r"\^{}": "^",
    r"\textasciitilde{}": "~",
    r"\textbackslash{}": "\\",
    r"\ensuremath{<}": "<",
    r"\ensuremath{>}": ">",
    **{"\\" + char: char for char in "&%$#_{}"},
}


def unescaped_latex(cell: str) -> str:
    pattern = "|".join(map(re.escape, LATEX))
    return re.sub(pattern, lambda match: LATEX[match[0]], cell.strip())


def test_tables_unescape_to_what_is_shown(comparison: Comparison) -> None:
    shown = tables(comparison)[0].cells
    expected = [list(shown[0]), *(list(row.values()) for row in shown)]
    expected = [[printable(cell).strip() for cell in row] for row in expected]

    markdown = render(comparison, "markdown")
    lines = [line for line in markdown.partition("\n\n## S")[0].splitlines() if line[:1] == "|"]
    cells = [re.findall(r"((?:\\.|[^|\\])*)\|", line[1:]) for line in lines]
    assert [[unescaped_markdown(c) for c in row] for row in (cells[0], *cells[2:])] == expected
    assert not re.search(r"(?<!\\)<\w|(?<!\\)\]\(", markdown)

    latex = render(comparison, "latex")
    body = latex.partition("\\toprule")[2].partition("\\bottomrule")[0].splitlines()
    rows = [line.rstrip()[:-2] for line in body if line.rstrip().endswith("\\\\")]
    cells = [re.split(r"(?<!\\)&", line) for line in rows]
    assert [[unescaped_latex(c) for c in row] for row in cells] == expected
    assert "\\input" not in "".join(x for x in latex.splitlines() if not x.startswith("%"))

    text = render(comparison, "text").splitlines()
    rule = next(line for line in text if line.startswith("---"))
    spans = [match.span() for match in re.finditer("-+", rule)]
    start = text.index(rule)
    rows = [text[start - 1], *text[start + 1 : start + 1 + len(shown)]]
    assert [[line[a:b].strip() for a, b in spans] for line in rows] == expected
    for each in (markdown, latex, "\n".join(text)):
        assert all(char.isprintable() or char == "\n" for char in each)
        assert len(each.splitlines()) < 200
