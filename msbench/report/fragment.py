"""An answer and the tables behind it as a piece of HTML, for a notebook: no script, no page."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from msbench.errors import printable
from msbench.report.format import Cells

Titled = Sequence[tuple[str, Cells]]


def fragment(first: Sequence[str], tables: Titled, lines: Sequence[str]) -> str:
    """first: what is said at once. tables: by title, folded. lines: what they mean, folded too."""
    said = Markup("<br>").join(map(_text, first))
    folded = [_folded(title, _table(cells)) for title, cells in tables]
    if lines:
        items = Markup("").join(Markup("<li>{}</li>").format(_text(line)) for line in lines)
        folded.append(_folded("What the tables mean", Markup("<ul>{}</ul>").format(items)))
    return str(Markup("<div><p>{}</p>{}</div>").format(said, Markup("").join(folded)))


def _folded(title: str, inside: Markup) -> Markup:
    form = Markup('<details><summary>{}</summary><div style="overflow-x:auto">{}</div></details>')
    return form.format(_text(title), inside)


def _table(cells: Cells) -> Markup:
    rows = Markup("").join(_row("td", row.values()) for row in cells)
    form = Markup("<table><thead>{}</thead><tbody>{}</tbody></table>")
    return form.format(_row("th", cells[0]), rows)


def _row(tag: str, texts: Iterable[str]) -> Markup:
    form = Markup('<{0} style="text-align:left;white-space:nowrap">{1}</{0}>')
    cells = (form.format(tag, _text(text)) for text in texts)
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def _text(text: str) -> Markup:
    return escape(printable(text))
