"""Documents -> an `lm` task: blocks of tokens to predict, and prompts to continue."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from msbench.data.cache import cached
from msbench.data.metrics import continuation, perplexity
from msbench.data.task import BEGIN, END, IGNORE, PAD, Scores, Split, Task
from msbench.data.text import check_splits
from msbench.data.tokens import SPLITS, padded, train_tokenizer
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

    Nothing is lost: tokens are of bytes, a document goes on in its next block (which sees nothing
    of the one before), and its end is a token to predict. prompt: tokens of a block that
    generation goes on from, at most half of it. metric: `bits_per_byte`, which compares across
    vocabularies, or `perplexity`, which is per token.
    """
    check_splits({name: [(text,) for text in splits.get(name, ())] for name in SPLITS})
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
