"""The contract with a model that brings a tokenizer of its own, because its weights know only that.

A model is registered with one, `register("bert", bert, tokenizer="package.module:tokenizer")`; that
factory gets those of the model's options that it has parameters for, and returns a `Tokenizer`.
Every task is then prepared anew for this model, its option `vocabulary` being the tokenizer instead
of a size; what the model sees is part of the trial's identity (`Task.fingerprint`), and texts,
splits, references and scores are the same for all models.

Token ids are msbench's own in all arrays, whatever the tokenizer: 0 to 3 are PAD, BEGIN, END and
UNKNOWN, and then its other tokens follow in their order. `Tokenizer.own` leads back, so the model
reads `table[batch.source]` with `table = torch.from_numpy(task.tokenizer.own)` and returns
`logits[..., table]`, -inf where `own` is -1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from msbench.errors import DataError

RESERVED = 4
"""Ids that are msbench's in every vocabulary: PAD, BEGIN, END, UNKNOWN."""


@dataclass(frozen=True)
class Tokenizer:
    """A ready tokenizer, in its own ids, 0 to size - 1, and without any special tokens added."""

    name: str
    """Exactly which one: its name with its revision, or a hash of its files. Prepared texts are
    kept under it, so another tokenizer must have another name."""
    encode: Callable[[Sequence[str]], Sequence[Sequence[int]]]
    """Texts -> own ids of each."""
    decode: Callable[[Sequence[Sequence[int]]], Sequence[str]]
    """Own ids -> texts."""
    size: int
    """How many own ids there are."""
    pad: int | None = None
    """The own id that stands for PAD; None if there is none, as for those below."""
    begin: int | None = None
    """What a generating model reads first."""
    end: int | None = None
    """What ends every text; may be the same as `begin`, and is then written as END."""
    unknown: int | None = None
    """What stands for text that it lacks."""

    @cached_property
    def own(self) -> NDArray[np.int64]:
        """(vocabulary,) the own id of each of msbench's, -1 if there is none."""
        special = [-1 if each is None else each for each in self._special]
        others = np.setdiff1d(np.arange(self.size), special)
        return np.concatenate([np.array(special, np.int64), others])

    @property
    def vocabulary(self) -> int:
        """How many of msbench's ids there are."""
        return len(self.own)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts -> msbench's ids of each."""
        return [self._ours[row].tolist() if len(row) else [] for row in self._encoded(texts)]

    def words(self, texts: Sequence[Sequence[str]]) -> list[list[tuple[int, int | None]]]:
        """Texts as lists of words -> msbench's ids, each with the number of its word."""
        pieces = iter(self.ids([word for words in texts for word in words]))
        return [
            [(token, number) for number, _ in enumerate(words) for token in next(pieces)]
            for words in texts
        ]

    def texts(self, outputs: Sequence[Sequence[int]]) -> list[str]:
        """msbench's ids -> texts, without what has no own id."""
        rows = (self.own[np.array(row, int)] for row in outputs)
        return list(self.decode([row[row >= 0].tolist() for row in rows]))

    @property
    def _special(self) -> tuple[int | None, ...]:
        return self.pad, self.begin, self.end, self.unknown

    @cached_property
    def _ours(self) -> NDArray[np.int64]:
        """(size,) msbench's id of each own one; of one that stands for several, END if it may."""
        ours = np.zeros(self.size, np.int64)
        ours[self.own[RESERVED:]] = np.arange(RESERVED, self.vocabulary)
        for number in (0, 1, 3, 2):
            if self.own[number] >= 0:
                ours[self.own[number]] = number
        return ours

    def _encoded(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        rows = [np.array(row, np.int64) for row in self.encode(list(texts))]
        if len(rows) != len(texts):
            raise DataError(f"tokenizer {self.name}: {len(rows)} rows for {len(texts)} texts")
        for row in rows:
            if len(row) and not 0 <= row.min() <= row.max() < self.size:
                raise DataError(f"tokenizer {self.name}: ids {row} are not 0 to {self.size - 1}")
        return rows
