"""What outputs may differ in between two checkouts, each change with its reason.

studies/same_outputs.py applies all of CHANGES to an old output and expects the new one. To declare
another, add a `Change` whose `apply` turns the old text, in canonical form, into the new one.
"""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

TABLES = ("text", "markdown", "latex", "csv")
ALL = (*TABLES, "json", "html", "svg", "message")

HEAD, CELLS = "HEAD", "\t"
"""In canonical form, what a table's first line begins with, and what is between cells."""

Edit = Callable[[str], str]


@dataclass(frozen=True)
class Change:
    """One intended difference."""

    reason: str
    apply: Edit
    """Old text -> new text, both canonical."""
    formats: Sequence[str] = ALL
    """Where it can be."""
    hides: bool = False
    """The new text does not follow from the old one: `apply` takes it out of both."""


# What may be changed: words, signs of columns, order of pictures.


def words(old: str, new: str) -> Edit:
    """Replaces a regular expression."""
    return lambda text: re.sub(old, new, text)


def negated_column(old: str, new: str) -> Edit:
    """Renames a column of canonical tables and changes the sign of its numbers."""

    def apply(text: str) -> str:
        lines, place = [], -1
        for line in text.split("\n"):
            cells = line.split(CELLS)
            if cells[0] == HEAD:
                place = cells.index(old) - 1 if old in cells else -1
                cells = [new if cell == old else cell for cell in cells]
            elif 0 <= place < len(cells) and len(cells) > 1:
                cells[place] = _negative(cells[place])
            lines.append(CELLS.join(cells))
        return "\n".join(lines)

    return apply


def negated_html_column(old: str, new: str) -> Edit:
    """The same in the tables of a page."""

    def table(match: re.Match[str]) -> str:
        heads = re.findall(r"<th[^>]*>(.*?)</th>", match[0])
        if old not in heads:
            return match[0]
        place = heads.index(old)

        def row(cells: re.Match[str]) -> str:
            pieces = re.split(r"(<td[^>]*>)(.*?)(?=</td>)", cells[0])
            pieces[3 * place + 2 :: len(pieces)] = [_negative(pieces[3 * place + 2])]
            return "".join(pieces)

        renamed = match[0].replace(f">{old}</th>", f">{new}</th>")
        return re.sub(r"<tr><td.*?</tr>", row, renamed, flags=re.DOTALL)

    return lambda text: re.sub(r"<table>.*?</table>", table, text, flags=re.DOTALL)


def objects(edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Edit:
    """Changes every object of a JSON text."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(each) for each in value]
        if isinstance(value, dict):
            return edit({name: changed(each) for name, each in value.items()})
        return value

    return lambda text: _dumped(changed(json.loads(text)))


def _gap_in_json(row: dict[str, Any]) -> dict[str, Any]:
    minus = {name: 0.0 - value for name, value in row.items() if isinstance(value, float)}
    return {
        "generalization_gap" if name == "gap" else name: minus.get(name, value)
        if name == "gap"
        else value
        for name, value in row.items()
    }


def _baselines(text: str) -> str:
    whole = json.loads(text)
    rows = [row for table in ("training", "curves") for row in whole.get(table, ())]
    have_one = {row["task"] for row in whole.get("accuracy", ()) if row["baseline"]}
    for row in rows:
        row["baseline"] = row["baseline"] and row["task"] in have_one
    return _dumped(whole)


def _passes_first(row: dict[str, Any]) -> dict[str, Any]:
    if "lowest" not in row:  # not of a learning curve
        return row
    swapped = {"steps": "passes", "passes": "steps"}
    return {swapped.get(name, name): row[swapped.get(name, name)] for name in row}


def _selecting_metric(row: dict[str, Any]) -> dict[str, Any]:
    if "searched" in row:
        return {**row, "metric": "", "score": None}
    return {**row, "score": None} if list(row) == ["point", "options", "validation_loss"] else row


LACKING = "a recommendation by fewer seeds than were run"


def _table_of_all_seeds(text: str) -> str:
    """A recommendation without its new column; LACKING for one that cannot be compared."""
    lines = text.split("\n")
    at = next(
        (i for i, line in enumerate(lines) if re.match(rf"{HEAD}\t.*\tworst.seed", line)), None
    )
    if at is None:
        return text
    names = lines[at].split(CELLS)[1:]
    rows = [dict(zip(names, line.split(CELLS), strict=False)) for line in lines[at + 1 :]]
    if "seeds measured" in names or any(_lacks(row) for row in rows):
        return LACKING
    if "n_ok" in names and "measured" in names:
        place = names.index("measured")
        lines[at:] = [
            CELLS.join(cells[: place + (i == 0)] + cells[place + 1 + (i == 0) :])
            for i, cells in enumerate(line.split(CELLS) for line in lines[at:])
        ]
    return "\n".join(lines)


def _json_of_all_seeds(text: str) -> str:
    whole = json.loads(text)
    if "choices" not in whole:
        return text
    if any(row.get("measured", row["n_ok"]) < row["n"] for row in whole["rows"]):
        return LACKING

    def before(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name != "measured"}

    return objects(before)(text)


def _lacks(row: dict[str, str]) -> bool:
    if "n_ok" in row:
        return row.get("measured", row["n_ok"]) != row["n"]
    measured, _, n = row.get("ok", "/").partition("/")
    return measured != n


def _negative(number: str) -> str:
    if number.startswith("-"):
        return number[1:]
    return f"-{number}" if re.match(r"[\d.]*[1-9]|inf", number) else number


# Canonical forms: a format without its padding, numbers of pictures, and zeros' signs.


def canonical(style: str, text: str) -> str:
    """The text without what only says how long words are or how pictures are numbered."""
    if style in ("text", "markdown", "latex"):
        return "\n".join(_canonical_lines(style, text))
    if style == "csv":
        head, *rows = csv.reader(text.splitlines()) if text.strip() else [[]]
        cells = [[HEAD, *head], *([re.sub("^-0.0$", "0.0", each) for each in row] for row in rows)]
        return "\n".join(CELLS.join(row) for row in cells)
    if style == "json":
        return _dumped(json.loads(text, parse_float=lambda number: float(number) + 0.0))
    if style == "html":
        return re.sub(r'<div class="pictures">.*?</div>', _pictures, text, flags=re.DOTALL)
    return text


def _canonical_lines(style: str, text: str) -> list[str]:
    """Lines, of tables the cells alone; their first line is marked, rules are left out."""
    lines: list[str] = []
    spans: list[slice] = []
    for line in text.split("\n"):
        if not line.strip():
            spans = []
        if re.fullmatch(r"-+(  -+)*|\|(:?-+:?\|)+|\\midrule", line):
            if style == "text":
                starts = [dashes.start() for dashes in re.finditer("-+", line)]
                spans = [slice(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
                lines[-1] = CELLS.join(lines[-1][span].strip() for span in spans)
            lines[-1] = f"{HEAD}{CELLS}{lines[-1]}"
        elif spans:
            lines.append(CELLS.join(line[span].strip() for span in spans))
        elif style != "text" and re.search(r"^\|.*\|$|\\\\$", line):
            cells = re.split(r"(?<!\\)[|&]", line.strip("|").removesuffix(r"\\"))
            lines.append(CELLS.join(cell.strip() for cell in cells))
        elif not line.startswith(r"\begin{tabular}"):
            lines.append(line)
    return lines


def _pictures(section: re.Match[str]) -> str:
    """The pictures of a section in the order of their text, without numbers in their ids."""
    kinds = "curves|pareto|profile|cd|ranks|ladder|decoders|tuning"
    text = re.sub(rf"\b({kinds})-\d+", r"\1-N", section[0].removesuffix("</div>"))
    pieces = [piece.strip() for piece in text.split("<figure>")]
    return "\n<figure>".join([pieces[0], *sorted(pieces[1:])]) + "\n</div>"


def _dumped(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _after_legend(text: str) -> str:
    """With a line on TTFT behind that on speed, or what else comes before the one on ranks."""
    pieces = r"(% |<li>|)(Speed|To target|Rise)(: .*|, .*)"
    *_, last = re.finditer(pieces, text)
    ending = "</li>" if last[1] == "<li>" else ""
    line = f"{last[1]}TTFT: time to first token.{ending}"
    gap = "\n\n" if text[: last.start()].endswith("\n\n") else "\n"
    return text[: last.end()] + gap + line + text[last.end() :]


# The changes.

SENTENCES = (
    (
        "Not shown: so many seeds see a difference of that size in 4 of 5 single tests",
        "MDE (minimum detectable effect): the smallest difference that so many seeds find in 4 of "
        "5 single tests",
    ),
    ("Gap: loss on training data minus test", "Gap: test loss minus training loss"),
    ("effect: sees is the smallest", "effect: MDE (minimum detectable effect) is the smallest"),
    ("these seeds see a difference of", "these seeds would detect a difference of"),
)
"""What legends and findings said, and say now; as regular expressions."""

PLOT_KINDS = {"ladder": "decoders", "cd": "ranks"}

CHANGES = (
    Change(
        "plots are named after their files: ladder -> decoders, cd -> ranks",
        lambda text: re.sub(
            r"(?<![\w-])(ladder|cd)(?=[-\"'\s:,)&]|$)", lambda kind: PLOT_KINDS[kind[0]], text
        ),
        ("html", "svg", "message"),
    ),
    Change(
        "the smallest difference that was likely to be found has its name: sees -> MDE",
        words(r"\bsees (?=[\d.])", "MDE "),
        (*TABLES, "html"),
    ),
    Change(
        "the time to the first token has its name: first ms -> TTFT ms",
        words(r"\bfirst ms\b", "TTFT ms"),
        (*TABLES, "html"),
    ),
    Change(
        "the generalization gap is test minus train everywhere (tables)",
        negated_column("gap", "gap"),
        ("text", "markdown", "latex"),
    ),
    Change(
        "the generalization gap is test minus train everywhere (pages)",
        negated_html_column("gap", "gap"),
        ("html",),
    ),
    Change(
        "the generalization gap is test minus train everywhere, and named so (csv)",
        negated_column("gap", "generalization_gap"),
        ("csv",),
    ),
    Change(
        "the generalization gap is test minus train everywhere, and named so (json)",
        objects(_gap_in_json),
        ("json",),
    ),
    Change(
        "mended: no row is the baseline's on a task where the baseline was not run",
        _baselines,
        ("json",),
    ),
    Change(
        "points of learning curves have passes, steps and seconds in the order of spec.UNITS",
        objects(_passes_first),
        ("json",),
    ),
    Change(
        "mended: where there is no evidence, the loss and the machine that lack it are named",
        words(r"[^\n\"%]*: no evidence at [^\n\"]*", "no evidence"),
        (*TABLES, "json"),
        hides=True,
    ),
    Change(
        "mended: labels of decoders without a number alternate between two heights",
        words(r'(font-size: 8px[^>]* x="[\d.]+") y="[\d.]+" transform="[^"]*"', r"\1"),
        ("svg", "html"),
        hides=True,
    ),
    Change(
        "mended: a picture of ranks has a left margin as wide as its names",
        words(
            r'(?s)(aria-labelledby="ranks(?:-[\dN]+)?-title"(?:(?!</svg>).)*?</desc>)(?:(?!</svg>).)*',
            r"\1",
        ),
        ("svg", "html"),
        hides=True,
    ),
    Change(
        "tuning: the metric that selected, which none did before",
        objects(_selecting_metric),
        ("json",),
    ),
    Change(
        "mended: a seed that was not measured by the budget is not one that did not end ok, and "
        "what a single seed measured is not recommended (tables)",
        _table_of_all_seeds,
        TABLES,
        hides=True,
    ),
    Change(
        "mended: the same (json)",
        _json_of_all_seeds,
        ("json",),
        hides=True,
    ),
    Change(
        "identity holds the code and libraries behind parts: keys of planned trials are new, and "
        "records without that are not done",
        words(
            r"(?m)^[0-9a-f]{20}  .*\n|(?<=: )\d+ of \d+(?= trials to do)"
            r"|\d+(?= throughput measurements)|^msbench: \d+ records here were made.*\n",
            "",
        ),
        ("keys",),
        hides=True,
    ),
    *(Change("legends and findings use the standard terms", words(*each)) for each in SENTENCES),
    Change(
        "the page names files with records that have no checksum",
        lambda text: re.sub(
            r"<h3>To bear in mind</h3>\n<ul>\n</ul>\n",
            "",
            re.sub(r"<li>[^\n]* records have no checksum, [^\n]*</li>\n", "", text),
        ),
        ("html",),
        hides=True,
    ),
    Change(
        "mended: trials of a search that did not end ok are counted, too",
        words(r" and \d+ trials? of a search(?= did not end ok)", ""),
        ("html",),
        hides=True,
    ),
    Change(
        "the legend says what TTFT is",
        lambda text: text if "TTFT ms" not in text else _after_legend(text),
        ("text", "markdown", "latex", "html"),
    ),
    Change(
        "a page may have no base address and no form either",
        words(r"img-src data:(?=\")", "img-src data:; base-uri 'none'; form-action 'none'"),
        ("html",),
    ),
)
"""In the order in which they are applied. That learning curves along passes, steps and seconds
stand in another order, or that columns are as wide as their new words, needs no change here:
canonical forms do not hold it."""


def as_intended(style: str, text: str) -> str:
    """An old output in canonical form, with all intended changes made."""
    text = canonical(style, text)
    for change in CHANGES:
        if style in change.formats:
            text = change.apply(text)
    return text if style != "html" else canonical(style, text)


def as_made(style: str, text: str) -> str:
    """A new output in canonical form, without what cannot be told from the old one."""
    text = canonical(style, text)
    for change in CHANGES:
        if change.hides and style in change.formats:
            text = change.apply(text)
    return text


def renamed_command(command: str) -> str:
    """An old command as it must be given now."""
    return re.sub(r"(?<=--kind )\w+", lambda kind: PLOT_KINDS.get(kind[0], kind[0]), command)
