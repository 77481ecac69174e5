"""What counts as a word, in every script: for ROUGE, BLEU, F1, variety, duplicates and slots.

Texts are compared in normal form (NFC), and marks (vowel signs, points, accents) belong to the
letter before them. In scripts that are written without spaces between words (Chinese, Japanese,
Thai, Lao, Khmer, Burmese, Tibetan) every letter with its marks is a word: what a word is there
only dictionaries know.
"""

import unicodedata
from collections.abc import Iterable
from itertools import islice

import regex

_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Tai_Le}"
)
_ALONE = rf"[\p{{L}}&&[{_UNSPACED}]]\p{{M}}*+"
"""A letter of a script without spaces, and its marks."""
_JOINERS = r"\u200c\u200d"
"""They stand within words of Persian and of Indic scripts."""


def _pattern(more: str = "") -> "regex.Pattern[str]":
    """Words of letters, digits and `more`."""
    in_run = rf"[\p{{L}}\p{{N}}{more}]--[\p{{L}}&&[{_UNSPACED}]]"
    return regex.compile(rf"{_ALONE}|[{in_run}](?:[{in_run}]|[\p{{M}}{_JOINERS}])*+", regex.V1)


_WORD, _NAME = _pattern(), _pattern("_")
_TOKEN = regex.compile(rf"{_NAME.pattern}|[^\s\x1c-\x1f]", regex.V1)
_SEPARATE = regex.compile(_ALONE, regex.V1)
_HAN = regex.compile(r"\p{Han}", regex.V1)
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]", regex.V1)
_LETTER = regex.compile(r"\p{L}", regex.V1)

SAMPLE = 2000
"""Texts that tell how a language is written."""


def words_of(text: str, underscores: bool = False) -> list[str]:
    """The words of a text in lower case, without punctuation; with underscores, if asked for."""
    found: list[str] = (_NAME if underscores else _WORD).findall(lowered(text))
    return found


def tokens_of(text: str) -> list[str]:
    """The words of a text in lower case, with underscores, and everything between them by itself:
    punctuation, symbols."""
    found: list[str] = _TOKEN.findall(lowered(text))
    return found


def lowered(text: str) -> str:
    """In lower case and normal form; the dotted capital I of Turkish becomes a plain i."""
    return unicodedata.normalize("NFC", text.lower()).replace("i\u0307", "i")


def spaced(text: str) -> str:
    """The text with spaces around each letter of a script without spaces, so that it can be split
    at spaces; other texts as they are."""
    return text if text.isascii() else _SEPARATE.sub(r" \g<0> ", text)


def bleu_tokenizer(references: Iterable[str]) -> str:
    """sacrebleu's tokenizer for texts in this language, told by most of its letters.

    `13a` where words have spaces between them, also in Korean; `zh` for Chinese; `char` for
    Japanese and other scripts without spaces. (sacrebleu prefers `ja-mecab` and `ko-mecab`, which
    need packages of their own: scores would depend on what is installed.)
    """
    text = "".join(islice(references, SAMPLE))
    if text.isascii():
        return "13a"
    letters, unspaced, kana = (len(each.findall(text)) for each in (_LETTER, _SEPARATE, _KANA))
    chinese = len(_HAN.findall(text))
    if 2 * unspaced <= letters:
        return "13a"
    return "zh" if 2 * chinese > unspaced and 10 * kana < chinese else "char"
