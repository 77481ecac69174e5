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
from msbench.data.tokens import decoded, padded, train_tokenizer
from msbench.errors import DataError


def language_modelling(
    splits: Mapping[str, Sequence[str]],
    *,
    metric: str = "bits_per_byte",
    block: int,
    prompt: int,
    vocabulary: int,
) -> Task:
    """An `lm` task from documents per split, cut into blocks of at most `block` tokens.

    Nothing is lost: tokens are of bytes, a document continues in its next block (which sees
    nothing of the one before), and its end is a token to predict. prompt: tokens at the beginning
    of a block that generation continues, at most half of the block. metric: `bits_per_byte`, which
    compares across vocabularies, or `perplexity`, which is per token.
    """
    check_splits({name: [(text,) for text in splits.get(name, ())] for name in SPLITS})
    if not 1 <= prompt < block:
        raise DataError(f"prompt must be 1 to below block={block}, not {prompt}")
    arrays = cached(
        ["language", 2, version("tokenizers"), block, vocabulary, dict(splits)],
        lambda: _blocks(splits, block, vocabulary),
    )
    tokenizer = Tokenizer.from_str(arrays["tokenizer"])
    sizes = _bytes_of(tokenizer)

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
        texts = decoded(tokenizer, [row[row != PAD].tolist() for row in rest])
        size = sizes[ids].sum(axis=1)
        references = list(zip(size.tolist(), (lengths + ended).tolist(), texts, strict=True))
        return Split(source, target, references, input, prompted=True)

    def score(predictions: Sequence[Any], references: Sequence[tuple[int, int, str]]) -> Scores:
        if isinstance(predictions[0], float):
            return perplexity(predictions, [reference[:2] for reference in references])
        texts = [text for _, _, text in references]
        return continuation(decoded(tokenizer, predictions), texts)

    parts = by_split(make_split)
    test: Split = parts["test"]
    return Task(
        "lm",
        **parts,
        score=score,
        metric=metric,
        also=("chrf", "repetition", "distinct2", "self_bleu"),
        vocabulary=tokenizer.get_vocab_size(),
        spell=lambda outputs, references: decoded(tokenizer, outputs),
        notes={
            "block": block,
            "references": variety([text for *_, text in test.references]),
            "bytes": {n: int(sizes[arrays[f"tokens/{n}"]].sum()) for n in SPLITS},
        },
    )


def _blocks(splits: Mapping[str, Sequence[str]], block: int, vocabulary: int) -> Arrays:
    """Per split the token ids of each block, and whether its document ends there."""
    tokenizer = train_tokenizer(splits["train"], vocabulary, lossless=True)
    arrays: Arrays = {"tokenizer": tokenizer.to_str()}
    for name in SPLITS:
        documents = [each.ids for each in tokenizer.encode_batch(list(splits[name]))]
        starts = [(ids, at) for ids in documents for at in range(0, len(ids) or 1, block)]
        arrays[f"tokens/{name}"] = padded([ids[at : at + block] for ids, at in starts])
        arrays[f"ends/{name}"] = [at + block >= len(ids) for ids, at in starts]
    return arrays


def _bytes_of(tokenizer: Tokenizer) -> Ids:
    """(vocabulary,) bytes of each token of a lossless tokenizer, which has a character for each."""
    sizes = np.zeros(tokenizer.get_vocab_size(), int)
    for token, number in tokenizer.get_vocab().items():
        sizes[number] = len(token)
    sizes[:4] = 0
    return sizes
