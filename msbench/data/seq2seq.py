"""(source, target) texts -> a `seq2seq` task: of subword pieces, or of whole words."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from msbench.data.task import BEGIN, END, IGNORE, PAD, UNKNOWN, Ids, Scores, Split, Task, Texts
from msbench.data.text import Pair, Score, check_splits, cleaned
from msbench.data.tokens import SPLITS, Tokens, padded, tokenized
from msbench.errors import DataError


def translation(
    splits: Mapping[str, Sequence[Pair]],
    *,
    score: Score,
    metric: str,
    max_source: int,
    max_target: int,
    vocabulary: int,
) -> Task:
    """A `seq2seq` task from (source text, target text) pairs per split.

    score: gets texts; predicted token ids are turned into text first. Source and target share
    one vocabulary of at most `vocabulary` tokens. max_source, max_target: tokens kept; how many
    texts were cut is in `Task.notes`. References are the whole texts, in normal form (NFC) and
    without spaces around them, as predictions are.
    """
    splits = {n: [(x, cleaned(y)) for x, y in splits.get(n, ())] for n in SPLITS}
    check_splits(splits)
    sides = {
        side: {name: [pair[index] for pair in splits[name]] for name in SPLITS}
        for index, side in enumerate(("source", "target"))
    }
    tokens = tokenized(sides, vocabulary, {"source": max_source, "target": max_target})

    def score_ids(predictions: Sequence[Sequence[int]], references: Sequence[str]) -> Scores:
        return score(_decoded(tokens, predictions), references)

    train, validation, test = (_pair_split(tokens, name, sides["target"][name]) for name in SPLITS)
    return Task(
        "seq2seq",
        train,
        validation,
        test,
        score=score_ids,
        metric=metric,
        vocabulary=tokens.tokenizer.get_vocab_size(),
        spell=lambda outputs, references: _decoded(tokens, outputs),
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
    vocabulary: int,
    slots: int = 16,
) -> Task:
    """A `seq2seq` task like `translation`, but of lower-case words (Rush et al., 2015).

    For summaries that copy whole words, with too few examples to learn how to put rare ones
    together from pieces. vocabulary: words, the commonest of those in two training examples or
    more. A rarer word is a slot: the first one of its source has the first of `slots` tokens, and
    so on, in source and target alike (Hermann et al., 2015; See et al., 2017), so that names seen
    once in training are copied as new ones are. A word that has neither is UNKNOWN, and no target.
    Punctuation is not read. References are the whole texts as they are.
    """
    splits = {n: [(x, cleaned(y)) for x, y in splits.get(n, ())] for n in SPLITS}
    check_splits(splits)
    limits = max_source, max_target
    if min(limits) < 1:
        raise DataError(f"the limits on words must be 1 or more, not {limits}")
    rows = {n: [(_words(x), _words(y)) for x, y in splits[n]] for n in SPLITS}
    counts = Counter(w for x, y in rows["train"] for w in {*x[:max_source], *y[:max_target]})
    common = [w for w, n in sorted(counts.items(), key=lambda each: (-each[1], each[0])) if n > 1]
    words = common[: max(0, vocabulary - UNKNOWN - 1 - slots)]
    ids = {word: number for number, word in enumerate(words, start=UNKNOWN + 1 + slots)}

    def made(name: str) -> Split:
        sources, targets, references = [], [], []
        for (source, target), (_, text) in zip(rows[name], splits[name], strict=True):
            read = source[:max_source]
            rare = list(dict.fromkeys(word for word in read if word not in ids))[:slots]
            known = ids | {word: number for number, word in enumerate(rare, start=UNKNOWN + 1)}
            sources.append([*(known.get(word, UNKNOWN) for word in read), END])
            targets.append([known.get(word, UNKNOWN) for word in target[:max_target]])
            references.append((rare, text))
        input, output = _shifted(padded(targets))
        output[output == UNKNOWN] = IGNORE
        return Split(padded(sources), output, references, input)

    def spell(
        outputs: Sequence[Sequence[int]], references: Sequence[tuple[list[str], str]]
    ) -> list[str]:
        said = []
        for numbers, (rare, _) in zip(outputs, references, strict=True):
            spelt = [None] * (UNKNOWN + 1) + rare + [None] * (slots - len(rare)) + words
            said.append(" ".join(filter(None, (spelt[number] for number in numbers))))
        return said

    def score_ids(
        predictions: Sequence[Sequence[int]], references: Sequence[tuple[list[str], str]]
    ) -> Scores:
        return score(spell(predictions, references), [text for _, text in references])

    long = {
        f"{side}/{n}": sum(len(row[index]) > limits[index] for row in rows[n])
        for index, side in enumerate(("source", "target"))
        for n in SPLITS
    }
    train, validation, test = (made(name) for name in SPLITS)
    return Task(
        "seq2seq",
        train,
        validation,
        test,
        score=score_ids,
        metric=metric,
        vocabulary=UNKNOWN + 1 + slots + len(words),
        spell=spell,
        texts=Texts(splits, score),
        notes={"cut": long},
    )


def _decoded(tokens: Tokens, predictions: Sequence[Sequence[int]]) -> list[str]:
    texts: list[str] = tokens.tokenizer.decode_batch([list(p) for p in predictions])
    return texts


def _pair_split(tokens: Tokens, name: str, references: Sequence[str]) -> Split:
    input, target = _shifted(tokens.arrays[f"target/{name}"])
    return Split(tokens.arrays[f"source/{name}"], target, references, input)


def _shifted(ids: Ids) -> tuple[Ids, Ids]:
    """a b PAD -> input BEGIN a b PAD, target a b END IGNORE."""
    edge = np.full((len(ids), 1), PAD)
    input = np.hstack([np.full_like(edge, BEGIN), ids])
    target = np.hstack([ids, edge])
    target[np.arange(len(target)), (ids != PAD).sum(axis=1)] = END
    target[target == PAD] = IGNORE
    return input, target


def _words(text: str) -> list[str]:
    """Its words in lower case, as ROUGE has them."""
    return re.findall(r"[^\W_]+", text.lower())
