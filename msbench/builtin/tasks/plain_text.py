"""Plain text as rows: documents, words with tags, or pairs with a tab between them."""

import re
from collections.abc import Iterator

from msbench import TaskKind
from msbench.builtin.tasks.forms import Fault, Item


def plain_rows(text: str, kind: TaskKind) -> Iterator[tuple[int, Item | Fault]]:
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
