"""Text -> Task: one tokenizer trained on the training split, arrays cached by content."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from msbench.errors import DataError
from msbench.sources import cache_folder
from msbench.task import BEGIN, END, IGNORE, PAD, Ids, Scores, Split, Task

SPECIAL = ["<pad>", "<begin>", "<end>", "<unknown>"]
SPLITS = ("train", "validation", "test")

Pairs = Sequence[tuple[str, str]]
Arrays = dict[str, Any]


def classification(
    splits: Mapping[str, Pairs],
    *,
    score: Callable[[Sequence[int], Sequence[int]], Scores],
    metric: str,
    max_length: int,
    vocabulary: int,
) -> Task:
    """A `classify` task from (text, label) pairs per split.

    max_length: tokens kept of a text; how many texts were cut is in `Task.notes`.
    vocabulary: tokens to learn from the training texts, at most.
    """
    labels = sorted({label for pairs in splits.values() for _, label in pairs})
    if len(labels) < 2:
        raise DataError(f"a classification task needs two labels or more, found: {labels}")
    texts = {name: [text for text, _ in splits[name]] for name in SPLITS}
    arrays, tokenizer = _tokenized({"source": texts}, vocabulary, {"source": max_length})
    ids = {name: [labels.index(label) for _, label in splits[name]] for name in SPLITS}
    made = {n: Split(arrays[f"source/{n}"], np.array(ids[n], np.int64), ids[n]) for n in SPLITS}
    return Task(
        "classify",
        made["train"],
        made["validation"],
        made["test"],
        score=score,
        metric=metric,
        vocabulary=tokenizer.get_vocab_size(),
        classes=len(labels),
        notes={"labels": labels, "cut": json.loads(str(arrays["cut"]))},
    )


def translation(
    splits: Mapping[str, Pairs],
    *,
    score: Callable[[Sequence[str], Sequence[str]], Scores],
    metric: str,
    max_source: int,
    max_target: int,
    vocabulary: int,
) -> Task:
    """A `seq2seq` task from (source text, target text) pairs per split.

    score: gets texts; predicted token ids are turned into text first. Source and target share
    one vocabulary of at most `vocabulary` tokens. max_source, max_target: tokens kept; how many
    texts were cut is in `Task.notes`. References are the whole texts.
    """
    sides = {
        side: {name: [pair[index] for pair in splits[name]] for name in SPLITS}
        for index, side in enumerate(("source", "target"))
    }
    limits = {"source": max_source, "target": max_target}
    arrays, tokenizer = _tokenized(sides, vocabulary, limits)

    def score_ids(predictions: Sequence[Sequence[int]], references: Sequence[str]) -> Scores:
        return score(tokenizer.decode_batch([list(p) for p in predictions]), references)

    made = {n: _pair_split(arrays, n, sides["target"][n]) for n in SPLITS}
    return Task(
        "seq2seq",
        made["train"],
        made["validation"],
        made["test"],
        score=score_ids,
        metric=metric,
        vocabulary=tokenizer.get_vocab_size(),
        notes={"cut": json.loads(str(arrays["cut"]))},
    )


def cached(key: Any, make: Callable[[], Arrays]) -> Arrays:
    """`make()`, or what it gave for the same key before, on disk without pickle."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / "prepared" / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        BadZipFile,
    ):  # absent, or damaged: make it anew
        arrays = {name: np.asarray(value) for name, value in make().items()}
        _store(path, arrays)
        return arrays


def _store(path: Path, arrays: Arrays) -> None:
    """Written beside and moved into place, so that parallel trials never read half a file."""
    content = BytesIO()
    np.savez(content, **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content.getvalue())
        Path(file.name).replace(path)
    except OSError:  # a read-only cache costs time, not the run
        return


def _tokenized(
    sides: Mapping[str, Mapping[str, Sequence[str]]], size: int, limits: Mapping[str, int]
) -> tuple[Arrays, Tokenizer]:
    key = ["tokens", 1, version("tokenizers"), size, limits, sides]
    arrays = cached(key, lambda: _tokenize(sides, size, limits))
    return arrays, Tokenizer.from_str(str(arrays["tokenizer"]))


def _tokenize(
    sides: Mapping[str, Mapping[str, Sequence[str]]], size: int, limits: Mapping[str, int]
) -> Arrays:
    tokenizer = train_tokenizer([t for side in sides.values() for t in side["train"]], size)
    arrays: Arrays = {}
    cut = {}
    for side, texts in sides.items():
        for name in SPLITS:
            tokens = [each.ids for each in tokenizer.encode_batch(texts[name])]
            ends = [END] if side == "source" else []  # so that no source is empty
            arrays[f"{side}/{name}"] = _padded([ids[: limits[side]] + ends for ids in tokens])
            cut[f"{side}/{name}"] = sum(len(ids) > limits[side] for ids in tokens)
    return {**arrays, "cut": json.dumps(cut), "tokenizer": tokenizer.to_str()}


def train_tokenizer(texts: Sequence[str], size: int) -> Tokenizer:
    """Byte-pair encoding (Sennrich et al., 2016) with at most `size` tokens; reversible."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[3]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _padded(rows: Sequence[Sequence[int]]) -> Ids:
    array = np.full((len(rows), max((len(r) for r in rows), default=1) or 1), PAD, np.int64)
    for index, row in enumerate(rows):
        array[index, : len(row)] = row
    return array


def _pair_split(arrays: Arrays, name: str, references: Sequence[str]) -> Split:
    """Input BEGIN a b PAD, target a b END IGNORE."""
    tokens = arrays[f"target/{name}"]
    edge = np.full((len(tokens), 1), PAD)
    input = np.hstack([np.full_like(edge, BEGIN), tokens])
    target = np.hstack([tokens, edge])
    target[np.arange(len(target)), (tokens != PAD).sum(axis=1)] = END
    target[target == PAD] = IGNORE
    return Split(arrays[f"source/{name}"], target, references, input)
