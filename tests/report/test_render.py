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
from msbench.spec import Part

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
def every() -> tuple[Record, ...]:
    return read(Path("results/reference/quick")).records


def renamed(records: tuple[Record, ...], name: str) -> list[Record]:
    """The records with adamw called `name`."""
    made = []
    for each in records:
        if each.is_trial and each.job["optimizer"]["name"] == "adamw":
            label = asdict(replace(Part.of(each.job["optimizer"]), label=name))
            each = replace(each, job={**each.job, "optimizer": label}, group=each.group + "x")
        if each.is_trial:
            made.append(each)
    return made


def same(one: Any, other: Any) -> bool:
    """Equal, NaN to NaN, all the way down."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return other is None or math.isnan(other)
    return bool(one == other)


def from_json(value: Any, like: Any) -> Any:
    """Infinity is spelled as a text where a number is expected, NaN as null."""
    if isinstance(like, dict):
        return {key: from_json(value[key], like[key]) for key in like}
    if isinstance(like, (list, tuple)):
        return [from_json(v, each) for v, each in zip(value, like, strict=True)]
    if isinstance(like, float):
        return math.nan if value is None else float(value)
    return value


def from_csv(cell: str, like: Any) -> Any:
    if isinstance(like, str):
        return json.loads(cell) if cell.startswith('"') else cell
    if isinstance(like, bool):
        return cell == "True"
    return type(like)(cell or "nan")


def comparisons(every: tuple[Record, ...], name: str) -> Comparison:
    return compare(renamed(every, name), name)


@pytest.mark.parametrize("name", HOSTILE)
def test_json_holds_everything(every: tuple[Record, ...], name: str) -> None:
    comparison = comparisons(every, name)
    text = render(comparison, "json")
    assert all(char.isprintable() or char == "\n" for char in text)
    plain = asdict(comparison)
    parsed = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert same(from_json(parsed, plain), plain)
    assert any(row["passes"] == math.inf for row in plain["targets"])


@pytest.mark.parametrize("name", HOSTILE)
def test_csv_holds_every_row_of_accuracy(every: tuple[Record, ...], name: str) -> None:
    comparison = comparisons(every, name)
    text = render(comparison, "csv")
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    back = [
        {key: from_csv(row[key], value) for key, value in like.items()}
        for row, like in zip(found, comparison.accuracy, strict=True)
    ]
    assert same(back, comparison.accuracy)
    for row in found:
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
    return re.sub(pattern, lambda found: LATEX[found[0]], cell.strip())


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_unescape_to_what_is_shown(every: tuple[Record, ...], name: str) -> None:
    comparison = comparisons(every, name)
    (_, shown), *_ = tables(comparison)
    expected = [list(shown[0]), *(list(row.values()) for row in shown)]
    expected = [[printable(cell).strip() for cell in row] for row in expected]

    markdown = render(comparison, "markdown")
    lines = [line for line in markdown.partition("\n\n## T")[0].splitlines() if line[:1] == "|"]
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
    spans = [found.span() for found in re.finditer("-+", rule)]
    start = text.index(rule)
    rows = [text[start - 1], *text[start + 1 : start + 1 + len(shown)]]
    assert [[line[a:b].strip() for a, b in spans] for line in rows] == expected
    for each in (markdown, latex, "\n".join(text)):
        assert all(char.isprintable() or char == "\n" for char in each)
        assert len(each.splitlines()) < 200
