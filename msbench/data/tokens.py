"""Text -> arrays of token ids: tokenizers trained on the training split, or brought by a model; all
cached by content."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from msbench.data.cache import Arrays, cached
from msbench.data.task import END, PAD, SPLITS, Ids
from msbench.data.tokenizer import Tokenizer as Ready
from msbench.errors import DataError

SPECIAL = ["<pad>", "<begin>", "<end>", "<unknown>"]

BYTES = 256

Sides = Mapping[str, Mapping[str, Sequence[Any]]]
"""{"source": {"train": texts, ...}, ...}."""


@dataclass(frozen=True)
class Trained:
    """A tokenizer that was trained on the task's texts; see `Ready` for what it does."""

    tokenizer: Tokenizer

    @property
    def vocabulary(self) -> int:
        """How many ids there are."""
        return self.tokenizer.get_vocab_size()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts."""
        return [each.ids for each in self.tokenizer.encode_batch(list(texts))]

    def words(self, texts: Sequence[Sequence[str]]) -> list[list[tuple[int, int | None]]]:
        """Ids of texts given as lists of words, each with the number of its word."""
        encodings = self.tokenizer.encode_batch(list(texts), is_pretokenized=True)
        return [list(zip(each.ids, each.word_ids, strict=True)) for each in encodings]

    def texts(self, outputs: Sequence[Sequence[int]]) -> list[str]:
        """Texts of ids."""
        texts: list[str] = self.tokenizer.decode_batch([list(ids) for ids in outputs])
        return texts


@dataclass(frozen=True)
class Tokens:
    """All texts of a task as token ids, and the tokenizer they come from."""

    arrays: Arrays
    """`"side/split"`: (texts, longest) ids, padded with PAD."""
    tokenizer: Trained | Ready
    cut: Mapping[str, int]
    """How many texts of `"side/split"` were cut to the limit."""

    @property
    def ready(self) -> Ready | None:
        """The tokenizer, if it was brought."""
        return self.tokenizer if isinstance(self.tokenizer, Ready) else None


def tokenized(sides: Sides, vocabulary: int | Ready, limits: Mapping[str, int]) -> Tokens:
    """The texts as ids, each ended by END on the source side. limits: tokens kept on each side.

    vocabulary: tokens that a tokenizer learns from the training split, at most, or one to use. A
    text may be a tuple of texts, each cut and ended on its own, or a list of words; then
    `"words/side/split"` has the position of each word's first token, -1 if it was cut.
    """
    for side, limit in limits.items():
        if limit < 1:
            raise DataError(f"the limit on {side} tokens must be 1 or more, not {limit}")
    # JSON makes tuples lists, and a pair of texts is not two words.
    forms = {side: type(texts["train"][0]).__name__ for side, texts in sides.items()}
    if isinstance(vocabulary, Ready):
        key = ["tokens", vocabulary.name, vocabulary.own.tolist(), limits, forms, sides]
        arrays = cached(key, lambda: _tokenize(vocabulary, sides, limits))
        return Tokens(arrays, vocabulary, json.loads(arrays["cut"]))
    key = ["tokens", 4, version("tokenizers"), vocabulary, limits, forms, sides]
    arrays = cached(key, lambda: _learned(sides, vocabulary, limits))
    tokenizer = Trained(Tokenizer.from_str(arrays["tokenizer"]))
    return Tokens(arrays, tokenizer, json.loads(arrays["cut"]))


def train_tokenizer(texts: Sequence[str], size: int, lossless: bool = False) -> Tokenizer:
    """Byte-pair encoding (Sennrich et al., 2016) with `size` tokens, or one per character if more.

    Spaces survive; characters that the training texts lack become UNKNOWN. lossless: encode bytes
    (Radford et al., 2019), so that every text decodes exactly; `size` must be 260 or more.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[3]))
    alphabet: list[str] = []
    if lossless:
        if size < BYTES + len(SPECIAL):
            raise DataError(f"vocabulary must be {BYTES + len(SPECIAL)} or more, not {size}")
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        show_progress=False,
        min_frequency=2,
        initial_alphabet=alphabet,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True  # "<end>" in a text is text
    return tokenizer


def padded(rows: Sequence[Sequence[int]], filler: int = PAD) -> Ids:
    """Rows of unequal length as one array, filled up with `filler`."""
    array = np.full((len(rows), max((len(r) for r in rows), default=1) or 1), filler, np.int64)
    for index, row in enumerate(rows):
        array[index, : len(row)] = row
    return array


def _learned(sides: Sides, size: int, limits: Mapping[str, int]) -> Arrays:
    training = [text for side in sides.values() for text in side["train"]]
    pieces = [p for text in training for p in ([text] if isinstance(text, str) else text)]
    tokenizer = train_tokenizer(pieces, size)
    arrays = _tokenize(Trained(tokenizer), sides, limits)
    return {**arrays, "tokenizer": tokenizer.to_str()}


def _tokenize(tokenizer: Trained | Ready, sides: Sides, limits: Mapping[str, int]) -> Arrays:
    arrays: Arrays = {}
    cut = {}
    for side, splits in sides.items():
        limit, end = limits[side], [END] if side == "source" else []  # so that none is empty
        for name in SPLITS:
            texts = splits[name]
            if isinstance(texts[0], list):
                rows, places, was_cut = _words(tokenizer, texts, limit)
                arrays[f"words/{side}/{name}"] = padded(places, -1)
            else:
                rows, was_cut = _texts(tokenizer, texts, limit, end)
            arrays[f"{side}/{name}"] = padded(rows)
            cut[f"{side}/{name}"] = sum(was_cut)
    return {**arrays, "cut": json.dumps(cut)}


def _texts(
    tokenizer: Trained | Ready, texts: Sequence[Any], limit: int, end: list[int]
) -> tuple[list[list[int]], list[bool]]:
    """Ids of texts, or of tuples of texts; and whether anything of them was cut."""
    parts = [(text,) if isinstance(text, str) else text for text in texts]
    encoded = iter(tokenizer.ids([piece for part in parts for piece in part]))
    rows, was_cut = [], []
    for part in parts:
        ids = [next(encoded) for _ in part]
        rows.append([token for each in ids for token in (*each[:limit], *end)])
        was_cut.append(any(len(each) > limit for each in ids))
    return rows, was_cut


def _words(
    tokenizer: Trained | Ready, texts: Sequence[Sequence[str]], limit: int
) -> tuple[list[list[int]], list[list[int]], list[bool]]:
    """Ids of lists of words, with END; the place of each word's first token; what was cut."""
    rows, places, was_cut = [], [], []
    for words, encoded in zip(texts, tokenizer.words(texts), strict=True):
        rows.append([*(token for token, _ in encoded[:limit]), END])
        first: dict[int, int] = {}
        for place, (_, word) in enumerate(encoded[:limit]):
            if word is not None:
                first.setdefault(word, place)
        places.append([first.get(number, -1) for number in range(len(words))])
        was_cut.append(len(encoded) > limit)
    return rows, places, was_cut
