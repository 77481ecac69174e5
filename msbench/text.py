"""Text -> Task, one builder for each kind of task."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from msbench.errors import DataError
from msbench.metrics import continuation, label_scores, perplexity, span_f1
from msbench.task import BEGIN, END, IGNORE, PAD, UNKNOWN, Ids, Scores, Split, Task, Texts
from msbench.tokens import SPLITS, Tokens, cached, padded, tokenized, train_tokenizer

Pair = tuple[str, str]
Score = Callable[[Sequence[str], Sequence[str]], Scores]


def classification(
    splits: Mapping[str, Sequence[tuple[str | Pair, str]]],
    *,
    metric: str = "accuracy",
    max_length: int,
    vocabulary: int,
) -> Task:
    """A `classify` task from (text, label) per split; a text may be a pair of texts to match.

    metric: `accuracy`, `macro_f1`, `nll` or `calibration` (see `msbench.label_scores`).
    max_length: tokens kept of each text; how many were cut is in `Task.notes`. vocabulary: tokens
    to learn from the training texts, at most.
    """
    splits = {n: [(x, _clean(y)) for x, y in splits.get(n, ())] for n in SPLITS}
    _check(splits)
    labels = sorted({label for _, label in splits["train"]})
    if len(labels) < 2:
        raise DataError(f"a classification task needs two labels or more to learn, found: {labels}")
    for name in SPLITS:
        if strange := sorted({label for _, label in splits[name]} - set(labels)):
            raise DataError(f"the {name} split has labels that training lacks: {strange[:5]}")
    texts = {name: [text for text, _ in splits[name]] for name in SPLITS}
    tokens = tokenized({"source": texts}, vocabulary, {"source": max_length})
    ids = {name: [labels.index(label) for _, label in splits[name]] for name in SPLITS}
    joined = {n: [(_joined(text), label) for text, label in splits[n]] for n in SPLITS}

    def score_texts(predictions: Sequence[str], references: Sequence[str]) -> Scores:
        known = {label: number for number, label in enumerate(labels)}
        return label_scores([known.get(p, -1) for p in predictions], [known[r] for r in references])

    train, validation, test = (
        Split(tokens.arrays[f"source/{n}"], np.array(ids[n], np.int64), ids[n]) for n in SPLITS
    )
    return Task(
        "classify",
        train,
        validation,
        test,
        score=label_scores,
        metric=metric,
        vocabulary=tokens.tokenizer.get_vocab_size(),
        classes=len(labels),
        segments=2 if isinstance(texts["train"][0], tuple) else 1,
        lower_is_better=("nll", "calibration"),
        texts=Texts(joined, score_texts),
        notes={"labels": labels, "cut": dict(tokens.cut)},
    )


def tagging(
    splits: Mapping[str, Sequence[tuple[Sequence[str], Sequence[str]]]],
    *,
    score: Callable[[Sequence[Sequence[str]], Sequence[Sequence[str]]], Scores] = span_f1,
    metric: str = "span_f1",
    max_length: int,
    vocabulary: int,
) -> Task:
    """A `tag` task from (words, tags) per split, one tag a word, such as O, B-city, I-city.

    A model labels tokens; a word has the label of its first one, and a word behind `max_length`
    tokens is O. score: gets lists of tags. How many texts were cut is in `Task.notes`.
    """
    splits = {n: [(list(x), list(y)) for x, y in splits.get(n, ())] for n in SPLITS}
    _check(splits)
    for name in SPLITS:
        for words, tags in splits[name]:
            if len(words) != len(tags):
                raise DataError(
                    f"{len(words)} words and {len(tags)} tags in the {name} split: {words[:8]}..."
                )
    labels = sorted({tag for _, tags in splits["train"] for tag in tags} | {"O"})
    if len(labels) < 2:
        raise DataError(f"a tagging task needs two tags or more to learn, found: {labels}")
    known = {label: number for number, label in enumerate(labels)}
    texts = {name: [words for words, _ in splits[name]] for name in SPLITS}
    tokens = tokenized({"source": texts}, vocabulary, {"source": max_length})

    def made(name: str) -> Split:
        source, words = (tokens.arrays[f"{what}/{name}"] for what in ("source", "words/source"))
        target = np.full_like(source, IGNORE)
        references = []
        for row, (_, tags) in enumerate(splits[name]):
            places = words[row, : len(tags)].tolist()
            for place, tag in zip(places, tags, strict=True):
                if place >= 0:  # a tag that training lacks cannot be learned, only missed
                    target[row, place] = known.get(tag, IGNORE)
            references.append((places, list(tags)))
        return Split(source, target, references, words=words)

    def score_ids(predictions: Sequence[Sequence[int]], references: Sequence[Any]) -> Scores:
        found = [
            [labels[ids[place]] if place >= 0 else "O" for place in places]
            for ids, (places, _) in zip(predictions, references, strict=True)
        ]
        return score(found, [tags for _, tags in references])

    train, validation, test = (made(name) for name in SPLITS)
    return Task(
        "tag",
        train,
        validation,
        test,
        score=score_ids,
        metric=metric,
        vocabulary=tokens.tokenizer.get_vocab_size(),
        classes=len(labels),
        notes={"labels": labels, "cut": dict(tokens.cut)},
    )


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
    splits = {n: [(x, _clean(y)) for x, y in splits.get(n, ())] for n in SPLITS}
    _check(splits)
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
    splits = {n: [(x, _clean(y)) for x, y in splits.get(n, ())] for n in SPLITS}
    _check(splits)
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


def language_modelling(
    splits: Mapping[str, Sequence[str]],
    *,
    metric: str = "bits_per_byte",
    block: int,
    prompt: int,
    vocabulary: int,
) -> Task:
    """An `lm` task from documents per split, cut into blocks of at most `block` tokens.

    Nothing is lost: tokens are of bytes, a document goes on in its next block (which sees nothing
    of the one before), and its end is a token to predict. prompt: tokens of a block that
    generation goes on from, at most half of it. metric: `bits_per_byte`, which compares across
    vocabularies, or `perplexity`, which is per token.
    """
    _check({name: [(text,) for text in splits.get(name, ())] for name in SPLITS})
    if not 1 <= prompt < block:
        raise DataError(f"prompt must be 1 to below block={block}, not {prompt}")

    def make() -> dict[str, Any]:
        tokenizer = train_tokenizer(splits["train"], vocabulary, lossless=True)
        arrays: dict[str, Any] = {"tokenizer": tokenizer.to_str()}
        for name in SPLITS:
            documents = [each.ids for each in tokenizer.encode_batch(list(splits[name]))]
            starts = [(ids, at) for ids in documents for at in range(0, len(ids) or 1, block)]
            arrays[f"tokens/{name}"] = padded([ids[at : at + block] for ids, at in starts])
            arrays[f"ends/{name}"] = [at + block >= len(ids) for ids, at in starts]
        return arrays

    arrays = cached(["language", 2, version("tokenizers"), block, vocabulary, dict(splits)], make)
    tokenizer = Tokenizer.from_str(arrays["tokenizer"])
    words = {number: word for word, number in tokenizer.get_vocab().items()}
    sizes = np.array([len(words[n]) for n in range(len(words))])  # a character of these is a byte
    sizes[:4] = 0

    def made(name: str) -> Split:
        ids = arrays[f"tokens/{name}"]
        lengths = (ids != PAD).sum(axis=1)
        room = np.full((len(ids), 1), PAD)
        input, target = np.hstack([room, ids]), np.hstack([ids, room])
        input[:, 0] = BEGIN
        last = np.arange(len(ids)), lengths
        target[last] = END
        target[target == PAD] = IGNORE
        ended = arrays[f"ends/{name}"]
        target[last] = np.where(ended, END, IGNORE)
        head = np.minimum(prompt, lengths // 2)[:, None]
        wide = max(1, head.max())
        source = np.where(np.arange(wide) < head, ids[:, :wide], PAD)
        rest = np.where((np.arange(ids.shape[1]) >= head) & (ids != PAD), ids, PAD)
        texts = tokenizer.decode_batch([row[row != PAD].tolist() for row in rest])
        size = sizes[ids].sum(axis=1)
        references = list(zip(size.tolist(), (lengths + ended).tolist(), texts, strict=True))
        return Split(source, target, references, input, prompted=True)

    def spell(outputs: Sequence[Sequence[int]], references: Sequence[Any]) -> list[str]:
        said: list[str] = tokenizer.decode_batch([list(output) for output in outputs])
        return said

    def score(predictions: Sequence[Any], references: Sequence[tuple[int, int, str]]) -> Scores:
        if isinstance(predictions[0], float):
            return perplexity(predictions, [r[:2] for r in references])
        return continuation(spell(predictions, references), [r[2] for r in references])

    train, validation, test = (made(name) for name in SPLITS)
    return Task(
        "lm",
        train,
        validation,
        test,
        score=score,
        metric=metric,
        vocabulary=tokenizer.get_vocab_size(),
        lower_is_better=("bits_per_byte", "perplexity", "repetition"),
        spell=spell,
        notes={
            "block": block,
            "bytes": {n: int(sizes[arrays[f"tokens/{n}"]].sum()) for n in SPLITS},
        },
    )


def _check(splits: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    for name in SPLITS:
        if not splits.get(name):
            raise DataError(f"the {name} split is empty")
        for number, row in enumerate(splits[name], start=1):
            parts = [part for each in row for part in (each if isinstance(each, tuple) else [each])]
            if not all(parts):
                raise DataError(f"an empty text or label: example {number} of the {name} split")


def _clean(text: str) -> str:
    """A label or target in normal form and without spaces around it, as predictions are."""
    return unicodedata.normalize("NFC", text).strip()


def _joined(text: str | Pair) -> str:
    return text if isinstance(text, str) else " = ".join(text)


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
