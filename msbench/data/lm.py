"""Documents -> an `lm` task: blocks of tokens to predict, and prompts to continue."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from msbench.data.cache import Arrays, cached
from msbench.data.scores import continuation, perplexity, variety
from msbench.data.task import BEGIN, END, IGNORE, PAD, SPLITS, Ids, Scores, Split, Task
from msbench.data.text import by_split, check_splits
from msbench.data.tokenizer import Tokenizer as Ready
from msbench.data.tokens import Trained, padded, train_tokenizer
from msbench.errors import DataError


def language_modelling(
    splits: Mapping[str, Sequence[str]],
    *,
    metric: str = "bits_per_byte",
    block: int,
    prompt: int,
    vocabulary: int | Ready,
) -> Task:
    """An `lm` task from documents per split, cut into blocks of at most `block` tokens.

    Nothing is lost: tokens are of bytes, a document continues in its next block (which sees
    nothing of the one before), and its end is a token to predict. prompt: tokens at the beginning
    of a block that generation continues, at most half of the block. metric: `bits_per_byte`, which
    compares across vocabularies, or `perplexity`, which is per token. vocabulary: tokens to learn,
    at most, or a tokenizer that gives every text back as it was.
    """
    check_splits({name: [(text,) for text in splits.get(name, ())] for name in SPLITS})
    if not 1 <= prompt < block:
        raise DataError(f"prompt must be 1 to below block={block}, not {prompt}")
    tokenizer, arrays = _cut(splits, block, vocabulary)

    def make_split(name: str) -> Split:
        ids, ended = arrays[f"tokens/{name}"], arrays[f"ends/{name}"]
        lengths = (ids != PAD).sum(axis=1)
        column = np.full((len(ids), 1), PAD)
        input, target = np.hstack([column, ids]), np.hstack([ids, column])
        input[:, 0] = BEGIN
        target[target == PAD] = IGNORE
        target[np.arange(len(ids)), lengths] = np.where(ended, END, IGNORE)
        prompts = np.minimum(prompt, lengths // 2)[:, None]
        width = max(1, prompts.max())
        source = np.where(np.arange(width) < prompts, ids[:, :width], PAD)
        rest = np.where((np.arange(ids.shape[1]) >= prompts) & (ids != PAD), ids, PAD)
        texts = tokenizer.texts([row[row != PAD].tolist() for row in rest])
        size = arrays[f"bytes/{name}"]
        references = list(zip(size.tolist(), (lengths + ended).tolist(), texts, strict=True))
        return Split(source, target, references, input, prompted=True)

    def readable(predictions: Sequence[Any], references: Sequence[Any]) -> Any:
        if isinstance(predictions[0], float):
            return None
        return tokenizer.texts(predictions), [text for _, _, text in references]

    def score(predictions: Sequence[Any], references: Sequence[tuple[int, int, str]]) -> Scores:
        texts = readable(predictions, references)
        if texts is None:
            return perplexity(predictions, [reference[:2] for reference in references])
        return continuation(*texts)

    parts = by_split(make_split)
    test: Split = parts["test"]
    return Task(
        "lm",
        **parts,
        score=score,
        metric=metric,
        also=("chrf", "repetition", "distinct2", "self_bleu"),
        vocabulary=tokenizer.vocabulary,
        tokenizer=vocabulary if isinstance(vocabulary, Ready) else None,
        spell=lambda outputs, references: tokenizer.texts(outputs),
        readable=readable,
        notes={
            "block": block,
            "references": variety([text for *_, text in test.references]),
            "bytes": {n: int(arrays[f"bytes/{n}"].sum()) for n in SPLITS},
        },
    )


def _cut(
    splits: Mapping[str, Sequence[str]], block: int, vocabulary: int | Ready
) -> tuple[Trained | Ready, Arrays]:
    """The tokenizer, learned or as it is given, and what `_blocks` makes with it."""
    if isinstance(vocabulary, Ready):
        key = ["language", vocabulary.name, vocabulary.own.tolist(), block, dict(splits)]
        return vocabulary, cached(key, lambda: _blocks(vocabulary, splits, block))

    def learned() -> Arrays:
        tokenizer = train_tokenizer(splits["train"], vocabulary, lossless=True)
        return {**_blocks(Trained(tokenizer), splits, block), "tokenizer": tokenizer.to_str()}

    key = ["language", 3, version("tokenizers"), block, vocabulary, dict(splits)]
    arrays = cached(key, learned)
    return Trained(Tokenizer.from_str(arrays["tokenizer"])), arrays


def _blocks(tokenizer: Trained | Ready, splits: Mapping[str, Sequence[str]], block: int) -> Arrays:
    """Per split the token ids of each block, whether its document ends there, and its bytes."""
    arrays: Arrays = {}
    for name in SPLITS:
        documents = tokenizer.ids(splits[name])
        starts = [(ids, at) for ids in documents for at in range(0, len(ids) or 1, block)]
        arrays[f"tokens/{name}"] = padded([ids[at : at + block] for ids, at in starts])
        arrays[f"ends/{name}"] = [at + block >= len(ids) for ids, at in starts]
        sizes = (
            _bytes_of(tokenizer.tokenizer)[arrays[f"tokens/{name}"]].sum(axis=1)
            if isinstance(tokenizer, Trained)
            else _bytes(tokenizer, splits[name], documents, block)
        )
        arrays[f"bytes/{name}"] = sizes
    return arrays


def _bytes(
    tokenizer: Ready, texts: Sequence[str], documents: Sequence[Sequence[int]], block: int
) -> Ids:
    """(blocks,) bytes of each, so that those of a document add up to its own.

    A character that two blocks share may count for either. DataError if a text is not what its
    tokens say: bits per byte would be of another text.
    """
    sizes: list[int] = []
    for text, ids in zip(texts, documents, strict=True):
        ends = [*range(block, len(ids), block), len(ids)]
        parts = tokenizer.texts([ids[:end] for end in ends])
        if parts[-1] != text:
            raise DataError(
                f"tokenizer {tokenizer.name} changes texts, so there are no bits per byte: "
                f"{text[:40]!r} becomes {parts[-1][:40]!r}"
            )
        sizes += np.diff([len(part.encode()) for part in parts], prepend=0).tolist()
    return np.array(sizes, np.int64)


def _bytes_of(tokenizer: Tokenizer) -> Ids:
    """(vocabulary,) bytes of each token of a lossless tokenizer, which has a character for each."""
    sizes = np.zeros(tokenizer.get_vocab_size(), int)
    for token, number in tokenizer.get_vocab().items():
        sizes[number] = len(token)
    sizes[:4] = 0
    return sizes
