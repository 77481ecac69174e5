"""The user's own data: CSV, TSV, JSON lines or plain text, as a task of any kind."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msbench
from msbench import DataError, TaskKind, mislabel, take
from msbench.builtin.tasks.drawing import HELD_OUT, drawn, identity
from msbench.builtin.tasks.encodings import content
from msbench.builtin.tasks.forms import Form, Item, Rows
from msbench.builtin.tasks.tables import read_rows
from msbench.builtin.types import Delimiter, FilePath, Size

METRICS: Mapping[TaskKind, Sequence[str]] = {
    "classify": ("accuracy", "macro_f1", "nll", "calibration"),
    "tag": ("span_f1", "exact", "precision", "recall", "tag_accuracy"),
    "seq2seq": ("bleu", *(name for name in msbench.TEXT_SCORES if name != "bleu")),
    "lm": ("bits_per_byte", "perplexity"),
}
"""Metrics that can rank strategies; the first is the default."""

SPACED = ("13a", "intl", "none")
"""Tokenizers that presume spaces between words."""

Splits = Mapping[str, Sequence[Item]]


def files(
    kind: TaskKind,
    train: FilePath,
    validation: str = "",
    test: str = "",
    source: str = "text",
    second: str = "",
    target: str = "",
    group: str = "",
    split_seed: int = 0,
    metric: str = "",
    max_length: Size = 128,
    max_target: Size = 64,
    prompt: Size = 16,
    vocabulary: Size = 4000,
    train_size: int = 0,
    label_noise: float = 0.0,
    tokenizer: Literal["", "13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "none"] = "",
    delimiter: Delimiter = "",
    encoding: str = "utf-8",
    on_bad_row: Literal["stop", "skip"] = "stop",
    allow_overlap: bool = False,
) -> msbench.Task:
    """A task from files of your own.

    kind: `classify`, `tag`, `seq2seq` or `lm`. train, validation, test: paths of .csv, .tsv, .jsonl
    or plain text files, relative to the folder that msbench runs in. Without test (or validation):
    a tenth of the training rows, drawn by split_seed; duplicate rows are then kept once, rows with
    the same text, or the same value in the column `group`, stay together, and every label is in
    training. source, second, target: columns of the text, of the text to match it with, and of the
    label, tags or target text (default: label, tags, target). metric: what ranks strategies
    (default: accuracy, span_f1, bleu, bits_per_byte). max_length, max_target: tokens that are read;
    for `lm` max_length is the block, and prompt what generation continues. train_size, label_noise:
    as in other tasks. tokenizer: sacrebleu's for BLEU (default: the one for the language of the
    targets, `msbench.bleu_tokenizer`). on_bad_row: what to do about a row that is empty or broken.
    allow_overlap: go on although most of the test texts are training texts.

    Plain text: for `lm` documents separated by empty lines; for `tag` a word and its tag on each
    line, an empty line between texts; else text, tab, label or target. Words and tags in a column:
    a list in JSON, else separated by spaces. A .tsv file has no quoting, unless it has a delimiter.
    """
    metric = metric or METRICS[kind][0]
    if metric not in METRICS[kind]:
        known = ", ".join(METRICS[kind])
        raise DataError(f"files: a {kind} task has no metric {metric!r}, it has: {known}")
    if label_noise and kind != "classify":
        raise DataError(f"files: label_noise is for classify, not for {kind}")
    if second and kind != "classify":
        raise DataError(f"files: second is for classify, not for {kind}")
    if tokenizer and (kind != "seq2seq" or metric not in ("bleu", "chrf")):
        raise DataError(f"files: tokenizer is that of BLEU, and metric is {metric!r} of {kind}")
    spans = metric != "tag_accuracy"
    form = Form(kind, source, second, target, group, spans, delimiter, encoding)
    given = {"train": train, "validation": validation, "test": test}
    paths = {name: Path(path) for name, path in given.items() if path}
    read = {name: read_rows(path, form) for name, path in paths.items()}
    skipped = [*_skipped(read, paths, on_bad_row)]
    rows = {name: each.good for name, each in read.items()}
    draws = drawn(rows, split_seed, kind == "classify", train)
    splits = take(draws.splits, train_size)
    if kind == "classify":
        _check_labels(splits, paths, form.predicted, train_size)
        task = msbench.classification(
            mislabel(splits, label_noise),
            metric=metric,
            max_length=max_length,
            vocabulary=vocabulary,
        )
    elif kind == "tag":
        task = msbench.tagging(splits, metric=metric, max_length=max_length, vocabulary=vocabulary)
    elif kind == "seq2seq":
        task = msbench.translation(
            splits,
            score=_score(metric, tokenizer, splits),
            metric=metric,
            max_source=max_length,
            max_target=max_target,
            vocabulary=vocabulary,
        )
    else:
        documents = {name: [text for text, _ in part] for name, part in splits.items()}
        task = msbench.language_modelling(
            documents, metric=metric, block=max_length, prompt=prompt, vocabulary=vocabulary
        )
    overlap = msbench.also_in_train(task)
    if not allow_overlap:
        _refuse_overlap(splits, overlap["test"], len(task.test), test or train)
    notes = {
        "sha256": {n: hashlib.sha256(content(path)).hexdigest() for n, path in paths.items()},
        "also_in_train": overlap,
        "remarks": [
            *skipped,
            *draws.remarks,
            *_known(splits, overlap["validation"], len(task.validation)),
            *_unspaced(tokenizer, splits),
        ],
    }
    return replace(task, notes={**task.notes, **notes})


def _skipped(read: Mapping[str, Rows], paths: Mapping[str, Path], on_bad_row: str) -> Iterator[str]:
    """What is said of rows that are left out; DataError if there may be none."""
    for name, rows in read.items():
        if not rows.faults:
            continue
        fault = next((each for each in rows.faults if each.fatal), rows.faults[0])
        where = f"{paths[name]}:{fault.line}: {fault.reason}"
        if on_bad_row == "stop" or fault.fatal or not rows.good:
            more = len(rows.faults) - 1
            lists = (
                f" (and {more} more: msbench data check {paths[name]} lists them)" if more else ""
            )
            raise DataError(f"files: {where}{lists}")
        of = len(rows.faults) + len(rows.good)
        yield f"{len(rows.faults)} of {of} rows were skipped as bad, such as {where}"


def _refuse_overlap(splits: Splits, seen: int, tests: int, file: str) -> None:
    """DataError if a model has been trained on most of what it would be tested on."""
    if 2 * seen <= tests:
        return
    known = {identity(source) for source, _ in splits["train"]}
    whole = 2 * sum(identity(source) in known for source, _ in splits["test"]) > len(splits["test"])
    remedy = (
        "give another test file" if whole else "raise max_length or vocabulary to tell them apart"
    )
    raise DataError(
        f"files: {seen} of {tests} test texts of {file} are training texts too, as a model reads "
        f"them, so scores would be of memory; {remedy}, or set allow_overlap = true"
    )


def _check_labels(splits: Splits, paths: Mapping[str, Path], column: str, train_size: int) -> None:
    """DataError with the file and a remedy if there is one label only, or one to be learned is
    nowhere in training."""
    counts = Counter(identity(label) for _, label in splits["train"])
    cut = f" (the first {train_size} of them: train_size)" if train_size else ""
    if len(counts) < 2:
        raise DataError(
            f"files: all {counts.total()} training rows of {paths['train']}{cut} have the label "
            f"{next(iter(counts))!r}, and there must be two to tell apart; is {column!r} the "
            f"column of the labels?"
        )
    for name in HELD_OUT:
        strange = Counter(label for _, label in splits[name] if identity(label) not in counts)
        if strange:
            file = paths.get(name, paths["train"])
            such = ", ".join(map(repr, sorted(strange)[:5]))
            remedy = "raise train_size" if train_size else f"leave them out, or give no {name} file"
            raise DataError(
                f"files: {strange.total()} of {len(splits[name])} {name} rows of {file} have "
                f"labels that no training row of {paths['train']}{cut} has: {such}; add such rows "
                f"there, or {remedy}"
            )


def _score(metric: str, tokenizer: str, splits: Splits) -> Any:
    """The function that scores texts by a metric; BLEU as it is right for the training targets."""
    if msbench.TEXT_SCORES[metric] is not msbench.bleu_chrf:
        return msbench.TEXT_SCORES[metric]
    score = partial(msbench.bleu_chrf, tokenizer=tokenizer or _own_tokenizer(splits))
    score(["a"], ["a"])  # DataError now, and not after training, if it is not installed
    return score


def _own_tokenizer(splits: Splits) -> str:
    return msbench.bleu_tokenizer(target for _, target in splits["train"])


def _unspaced(tokenizer: str, splits: Splits) -> list[str]:
    """A warning if words are counted by spaces that are not there."""
    own = _own_tokenizer(splits) if tokenizer in SPACED else "13a"
    if own == "13a":
        return []
    return [
        f"BLEU with tokenizer {tokenizer!r} presumes spaces between words, and the targets have "
        f"none; {own!r} fits them"
    ]


def _known(splits: Splits, seen: int, validation: int) -> Iterator[str]:
    """What else is not new in the splits that are held out: validation texts that are training
    texts, as a model reads them, and test texts that are validation texts."""
    chosen = "by which options are chosen"
    if 2 * seen > validation:
        yield f"{seen} of {validation} validation texts, {chosen}, are training texts"
    known, tests = {identity(source) for source, _ in splits["validation"]}, splits["test"]
    read = sum(identity(source) in known for source, _ in tests)
    if 2 * read > len(tests):
        yield f"{read} of {len(tests)} test texts are in the validation split, {chosen}"
