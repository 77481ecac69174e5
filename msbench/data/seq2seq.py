"""(source, target) texts -> a `seq2seq` task: of subword pieces, or of whole words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from msbench.data.task import (
    BEGIN,
    END,
    IGNORE,
    PAD,
    SPLITS,
    UNKNOWN,
    Ids,
    Split,
    Task,
    Texts,
)
from msbench.data.text import Pair, Score, by_split, cleaned_pairs
from msbench.data.tokenizer import Tokenizer
from msbench.data.tokens import padded, tokenized
from msbench.data.words import words_of
from msbench.errors import DataError

SIDES = ("source", "target")


def translation(
    splits: Mapping[str, Sequence[Pair]],
    *,
    score: Score,
    metric: str,
    max_source: int,
    max_target: int,
    vocabulary: int | Tokenizer,
) -> Task:
    """A `seq2seq` task from (source text, target text) pairs per split.

    score: gets texts; predicted token ids are turned into text first. Source and target share
    one vocabulary of at most `vocabulary` tokens, or that of a tokenizer. max_source, max_target:
    tokens kept; how many texts were cut is in `Task.notes`. References are the whole texts, in
    normal form (NFC) and without spaces around them, as predictions are.
    """
    splits = cleaned_pairs(splits)
    sides = {
        side: {name: [pair[index] for pair in splits[name]] for name in SPLITS}
        for index, side in enumerate(SIDES)
    }
    tokens = tokenized(sides, vocabulary, {"source": max_source, "target": max_target})

    def make_split(name: str) -> Split:
        input, target = _shifted(tokens.arrays[f"target/{name}"])
        return Split(tokens.arrays[f"source/{name}"], target, sides["target"][name], input)

    return Task(
        "seq2seq",
        **by_split(make_split),
        score=lambda outputs, references: score(tokens.tokenizer.texts(outputs), references),
        metric=metric,
        vocabulary=tokens.tokenizer.vocabulary,
        tokenizer=tokens.ready,
        spell=lambda outputs, references: tokens.tokenizer.texts(outputs),
        readable=lambda outputs, references: (tokens.tokenizer.texts(outputs), references),
        texts=Texts(splits, score),
        notes={"cut": dict(tokens.cut)},
    )


def summarization(
    splits: Mapping[str, Sequence[Pair]],
    *,
    score: Score,
    metric: str,
    max_source: int,
    max_target: int,
    vocabulary: int | Tokenizer,
    slots: int = 16,
) -> Task:
    """A `seq2seq` task like `translation`, but of lower-case words (Rush et al., 2015).

    For summaries that copy whole words, with too few examples to learn how to put rare ones
    together from pieces. vocabulary: words, the commonest of those in two training examples or
    more. A rarer word is a slot: the first one of its source has the first of `slots` tokens, and
    so on, in source and target alike (Hermann et al., 2015; See et al., 2017), so that names seen
    once in training are copied as new ones are. A word that has neither is UNKNOWN, and no target.
    Punctuation is not read. References are the whole texts as they are. With a tokenizer as its
    vocabulary it is a `translation`, since a model that brings one knows no slots.
    """
    if isinstance(vocabulary, Tokenizer):
        return translation(
            splits,
            score=score,
            metric=metric,
            max_source=max_source,
            max_target=max_target,
            vocabulary=vocabulary,
        )
    splits = cleaned_pairs(splits)
    limits = max_source, max_target
    if min(limits) < 1:
        raise DataError(f"the limits on words must be 1 or more, not {limits}")
    rows = {n: [(words_of(x), words_of(y)) for x, y in splits[n]] for n in SPLITS}
    counts = Counter(w for x, y in rows["train"] for w in {*x[:max_source], *y[:max_target]})
    common = [w for w, n in sorted(counts.items(), key=lambda each: (-each[1], each[0])) if n > 1]
    words = _Vocabulary(common[: max(0, vocabulary - UNKNOWN - 1 - slots)], slots)

    def make_split(name: str) -> Split:
        sources, targets, references, slots_of = [], [], [], []
        for (source, target), (_, text) in zip(rows[name], splits[name], strict=True):
            rare = words.rare(source[:max_source])
            sources.append([*words.ids(source[:max_source], rare), END])
            targets.append(words.ids(target[:max_target], rare))
            references.append((rare, text))
            slots_of.append(rare)
        input, output = _shifted(padded(targets))
        output[output == UNKNOWN] = IGNORE
        return Split(padded(sources), output, references, input, spelling=slots_of)

    def spell(outputs: Sequence[Sequence[int]], slots_of: Sequence[Any]) -> list[str]:
        pairs = zip(outputs, slots_of, strict=True)
        return [words.text(ids, rare) for ids, rare in pairs]

    def readable(
        outputs: Sequence[Sequence[int]], references: Sequence[Any]
    ) -> tuple[list[str], list[str]]:
        spelled = spell(outputs, [rare for rare, _ in references])
        return spelled, [text for _, text in references]

    cut = {
        f"{side}/{n}": sum(len(row[index]) > limits[index] for row in rows[n])
        for index, side in enumerate(SIDES)
        for n in SPLITS
    }
    return Task(
        "seq2seq",
        **by_split(make_split),
        score=lambda outputs, references: score(*readable(outputs, references)),
        readable=readable,
        metric=metric,
        vocabulary=words.first + len(words.common),
        spell=spell,
        texts=Texts(splits, score),
        notes={"cut": cut},
    )


class _Vocabulary:
    """Whole words as tokens: the control tokens, then slots for rare words, then common words."""

    def __init__(self, common: Sequence[str], slots: int):
        self.common, self.slots = common, slots
        self.first = UNKNOWN + 1 + slots
        """The id of the first common word."""
        self._known = dict(zip(common, count(self.first)))

    def rare(self, source: Sequence[str]) -> list[str]:
        """The words of a source that have slots, in the order of these."""
        return list(dict.fromkeys(word for word in source if word not in self._known))[: self.slots]

    def ids(self, text: Sequence[str], rare: Sequence[str]) -> list[int]:
        """A text as tokens; rare: the words in the slots of its source."""
        slots = dict(zip(rare, count(UNKNOWN + 1)))
        return [self._known.get(word, slots.get(word, UNKNOWN)) for word in text]

    def text(self, ids: Sequence[int], rare: Sequence[str]) -> str:
        """Tokens as words; those that stand for none are left out."""
        empty = self.slots - len(rare)
        words = [*[""] * (UNKNOWN + 1), *rare, *[""] * empty, *self.common]
        return " ".join(filter(None, (words[number] for number in ids)))


def _shifted(ids: Ids) -> tuple[Ids, Ids]:
    """a b PAD -> input BEGIN a b PAD, target a b END IGNORE."""
    edge = np.full((len(ids), 1), PAD)
    input = np.hstack([np.full_like(edge, BEGIN), ids])
    target = np.hstack([ids, edge])
    target[np.arange(len(target)), (ids != PAD).sum(axis=1)] = END
    target[target == PAD] = IGNORE
    return input, target
