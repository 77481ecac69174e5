"""Tables -> text, markdown, csv, json or latex. Names are data: escaped in every format."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import Any

import tabulate

from msbench.compare.rows import Comparison, Row
from msbench.errors import MsbenchError, printable, printable_json
from msbench.report.fitting import fitted
from msbench.report.format import Cells
from msbench.report.legend import legend
from msbench.report.tables import tables
from msbench.spec import TABLES

tabulate.MIN_PADDING = 0  # headers else take two characters more than they have


def render(
    comparison: Comparison,
    format: str = "text",
    names: Sequence[str] = TABLES,
    width: int | None = None,
) -> str:
    """The named tables in one of `spec.FORMATS`. json has all there is; csv the rows of one table,
    of several those of accuracy.

    width: characters that a line of text may take; columns that do not fit are left out, and a line
    below says which. MsbenchError if there is a single table to show, and it has no rows.
    """
    shown = tables(comparison, names)
    if len(names) == 1 and not shown and format != "json":
        raise MsbenchError(f"the table {names[0]} has no rows here")
    most = math.inf if width is None or format != "text" else width
    fit = [fitted(table.cells, most, table.spare) for table in shown]
    columns = {name for cells, _ in fit for name in cells[0]}
    left_out = list(dict.fromkeys(name for _, gone in fit for name in gone))
    return rendered(
        comparison,
        _rows(comparison, names),
        [(table.title, cells) for table, (cells, _) in zip(shown, fit, strict=True)],
        [*_left_out(left_out, width), *legend(comparison, [t.name for t in shown], columns)],
        format,
        width=width,
        to_copy=comparison.freezing,
    )


def _rows(comparison: Comparison, names: Sequence[str]) -> Sequence[Row]:
    """What csv holds."""
    name = names[0] if len(names) == 1 and hasattr(comparison, names[0]) else "accuracy"
    rows: Sequence[Row] = getattr(comparison, name)
    return rows


def rendered(
    whole: Any,
    rows: Sequence[Mapping[str, Any]],
    titled: Sequence[tuple[str, Cells]],
    lines: Sequence[str],
    format: str = "text",
    *,
    first: Sequence[str] = (),
    width: int | None = None,
    spare: Sequence[str] = (),
    to_copy: Sequence[str] = (),
) -> str:
    """What is said first, tables, and the lines below them, in one of `spec.FORMATS`.

    json holds `whole`, a dataclass, unrounded, csv the rows with all their columns. There NaN
    (not known) is null or empty, infinity `inf`; a csv cell that starts with a double quote is a
    JSON string. The others show rounded values.

    width: characters that a line of text may take. spare: columns that are left out where tables
    are wider, the first to go first; a line says which. to_copy: lines that are never broken.
    """
    if format == "json":
        return _json(whole)
    if format == "csv":
        return _csv(rows)
    if format == "text" and width is not None:
        fit = [(title, *fitted(cells, width, spare)) for title, cells in titled]
        titled = [(title, cells) for title, cells, _ in fit]
        gone = list(dict.fromkeys(name for *_, names in fit for name in names))
        lines = [
            piece
            for line in [*_left_out(gone, width), *lines]
            for piece in ([line] if line in to_copy else _broken(line, width))
        ]
        first = [piece for line in first for piece in _broken(line, width)]
    style, escape = {
        "text": ("simple", printable),
        "markdown": ("pipe", _markdown),
        "latex": ("latex_booktabs", printable),  # which escapes by itself
    }[format]
    comment = "% " if format == "latex" else ""
    ending = "\n\n" if format == "markdown" else "\n"  # where lines would run together
    above, below = (ending.join(comment + escape(line) for line in each) for each in (first, lines))
    pieces = [
        f"{_title(title, format)}\n\n{_table(cells, style, escape)}" for title, cells in titled
    ]
    return "\n\n".join([*([above] if above else []), *pieces, below])


def _left_out(columns: Sequence[str], width: int | None) -> list[str]:
    named = ", ".join(columns)
    return [f"Left out to fit {width} characters: {named} (--wide has all)."] if columns else []


def _broken(line: str, width: int) -> list[str]:
    """Between words; what follows is indented, so that lines can be told apart."""
    return wrap(line, width, subsequent_indent="  ", break_on_hyphens=False)


def _table(rows: Sequence[Mapping[str, str]], style: str, escape: Callable[[str], str]) -> str:
    headers = [escape(name) for name in rows[0]]
    cells = [[escape(cell) for cell in row.values()] for row in rows]
    return tabulate.tabulate(cells, headers, tablefmt=style, disable_numparse=True)


def _title(title: str, format: str) -> str:
    return {"markdown": f"## {title}", "latex": f"% {title}"}.get(format, title.upper())


def _json(whole: Any) -> str:
    text = json.dumps(_plain(asdict(whole)), indent=1, ensure_ascii=False, allow_nan=False)
    return printable_json(text)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _csv_cell(v) for k, v in row.items()} for row in rows)
    return out.getvalue().rstrip("\n")


def _csv_cell(value: Any) -> Any:
    """A text that a spreadsheet would run or a terminal obey, as a JSON string; so is a list."""
    if isinstance(value, list):
        return json.dumps(_plain(value))
    if not isinstance(value, str):
        return _plain(value)
    return json.dumps(value) if re.match(r'["=+\-@]', value) or not value.isprintable() else value


def _plain(value: Any) -> Any:
    """NaN as None, infinity as the text of it, all the way down."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _markdown(text: str) -> str:
    """Without anything that markdown would read as markup; brackets only where they make links."""
    escaped = re.sub(r"([\\|*_`<>&~$])", r"\\\1", printable(text))
    return escaped.replace("](", "]\\(")
