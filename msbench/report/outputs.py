"""Outputs as text: a source, its reference, and who wrote what, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from msbench.compare.outputs import Text
from msbench.compare.side_by_side import OutputRow, Outputs
from msbench.errors import printable
from msbench.report.format import Cells, grouped, number
from msbench.spec import AXES

NAME, SCORE = 20, 7
"""Characters of the columns beside the texts."""

LONGEST = 400
"""Characters of a text that are shown, unless all are asked for."""


@dataclass(frozen=True)
class Shown:
    """One example with all that was written for it."""

    title: str
    """Its number, and why it is shown."""
    source: str
    reference: str
    written: Sequence[tuple[str, str, str]]
    """(who, output, score), equal outputs once."""


def shown_by_task(outputs: Outputs, most: int = LONGEST) -> dict[str, list[Shown]]:
    """The examples of each task. most: characters of a text; 0 for all."""
    return {
        task: [_shown(rows, of_example, most) for of_example in grouped(rows, _example).values()]
        for task, rows in grouped(outputs.rows, lambda row: row["task"]).items()
    }


def headings(outputs: Outputs) -> dict[str, str]:
    """By task, a line about what is shown of it."""
    found = {}
    for task, rows in grouped(outputs.rows, lambda row: row["task"]).items():
        one = rows[0]
        decoders = dict.fromkeys(row["decoder"] for row in rows)
        told = [f"seed {one['seed']}", f"decoder {', '.join(decoders)}"]
        told += [f"scores by {one['metric']}"] if one["metric"] else []
        found[task] = f"{task}: {', '.join(told)}"
    return found


def outputs_text(outputs: Outputs, width: int, most: int = LONGEST) -> str:
    """All of it, in lines of at most `width` characters."""
    titles, lines = headings(outputs), list[str]()
    for task, examples in shown_by_task(outputs, most).items():
        lines += [*wrap(printable(titles[task]).upper(), width), ""]
        for each in examples:
            lines += [*_block(each, width), ""]
    notes = [piece for note in outputs.notes for piece in wrap(printable(note), width)]
    return "\n".join([*lines, *notes]).rstrip("\n")


def outputs_cells(outputs: Outputs, most: int = LONGEST) -> list[tuple[str, Cells]]:
    """(title, rows) of each task: a row for the source, the reference, and every other output."""
    titles = headings(outputs)
    return [
        (titles[task], [row for each in examples for row in example_cells(each)])
        for task, examples in shown_by_task(outputs, most).items()
    ]


def example_cells(each: Shown) -> Cells:
    """One example as rows of a table."""
    given = [(name, text, "") for name, text in _given(each)]
    return [
        {"example": each.title if not at else "", "who": who, "text": text, "score": score}
        for at, (who, text, score) in enumerate([*given, *each.written])
    ]


def _given(each: Shown) -> list[tuple[str, str]]:
    both = [("source", each.source), ("reference", each.reference)]
    return [(name, text) for name, text in both if text]


def _block(each: Shown, width: int) -> Iterator[str]:
    """An example: names at the left, texts, scores at the right."""
    yield f"example {each.title}"
    room = max(20, width - NAME - SCORE - 6)
    for who, text, score in [*((n, t, "") for n, t in _given(each)), *each.written]:
        names = wrap(printable(who), NAME) or [""]
        texts = wrap(printable(text), room, break_on_hyphens=False) or ["(nothing)"]
        for at in range(max(len(names), len(texts))):
            name, piece = (side[at] if at < len(side) else "" for side in (names, texts))
            line = f"  {name:<{NAME}}  {piece:<{room}}  {score if not at else '':>{SCORE}}"
            yield line.rstrip()


def _example(row: OutputRow) -> int:
    return row["example"]


def _shown(of_task: Sequence[OutputRow], rows: Sequence[OutputRow], most: int) -> Shown:
    one = rows[0]
    words = one["source"] if not isinstance(one["source"], str) else None
    groups = grouped(rows, lambda row: readable(row["output"], words))
    reference = readable(one["reference"], words)
    written = [
        (", ".join(_name(of_task, row) for row in alike), _cut(text, most), _score(alike[0]))
        for text, alike in groups.items()
    ]
    if not any(row["metric"] for row in rows):
        written = [(who, text, "right" * (text == reference)) for who, text, _ in written]
    title = f"{one['why']} ({one['example']})" if one["why"] else str(one["example"])
    source = " ".join(words) if words is not None else one["source"]
    return Shown(title, _cut(_line(str(source)), most), _cut(reference, most), written)


def _score(row: OutputRow) -> str:
    return number(row["score"]) if row["metric"] else ""


def _name(of_task: Sequence[OutputRow], row: OutputRow) -> str:
    """What tells a writer from the others of its task."""
    axes = [axis for axis in (*AXES[1:], "decoder") if len({str(r[axis]) for r in of_task}) > 1]  # type: ignore[literal-required]
    return " ".join(str(row[axis]) for axis in axes or ["optimizer"])  # type: ignore[literal-required]


def readable(text: Text, words: Sequence[str] | None = None) -> str:
    """A text on one line; tags as brackets around their words, as in `to [city New York]`."""
    if isinstance(text, str):
        return _line(text)
    beside = words if words is not None and len(words) == len(text) else None
    if beside is None:
        return " ".join(text)
    pieces, inside = list[str](), ""
    for word, tag in zip(beside, text, strict=True):
        mark, _, label = tag.partition("-")
        if mark == "I" and label and label == inside and pieces:
            pieces[-1] = f"{pieces[-1][:-1]} {word}]"
        elif mark in ("B", "I") and label:
            pieces.append(f"[{label} {word}]")
        else:
            pieces.append(word if tag == "O" else f"{word}/{tag}")
        inside = label if mark in ("B", "I") else ""
    return _line(" ".join(pieces))


def _line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, most: int) -> str:
    left = len(text) - most
    return f"{text[:most]}… ({left:,} more characters)" if most and left > 40 else text
