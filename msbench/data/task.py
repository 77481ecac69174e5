"""A task: its data, how to score predictions on it, and batches of its examples.

Arrays only (numpy), no framework: a learner turns a batch into its own tensors.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msbench.data.metrics import LOWER_IS_BETTER, METRICS, Metric
from msbench.data.tokenizer import Tokenizer
from msbench.spec import TaskKind

PAD, BEGIN, END, UNKNOWN = 0, 1, 2, 3
"""The first four token ids of every vocabulary."""

IGNORE = -100
"""In `Batch.target`: no target unit here."""

SPLITS = ("train", "validation", "test")

Ids = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Batch:
    """Some examples of one split. A learner replaces its arrays by tensors with `map`."""

    source: Any
    """(examples, source length) token ids, padded with PAD; for `lm` the prompt that generation
    continues, which `input` begins with too."""
    input: Any
    """(examples, target length) ids that a generating model reads: BEGIN, then the target; None
    for other models."""
    target: Any
    """What logits are compared with: (examples,) class ids for `classify`, else
    (examples, length) ids; IGNORE where there is nothing to predict."""
    rows: Ids
    """(examples,) positions of the examples in the split."""
    tokens: int
    """Tokens without padding that a training step reads from source and input; in a shard, those
    of the whole batch."""
    split: "Split | None" = None
    """The split that the examples are from."""
    words: Any = None
    """(examples, words) positions in the source of each word's first token, which bears the
    word's tag; -1 where there is none (`tag`)."""
    same_length: int = 0
    """The length of every source, if they are known to be equally long; else 0."""

    @property
    def full(self) -> bool:
        """Whether the source is known to have no padding, without looking at it: it may be on a
        device. A model may then do without a mask."""
        return self.same_length > 0 and self.source.shape[1] == self.same_length

    @property
    def references(self) -> list[Any]:
        """What predictions for these examples are scored against."""
        assert self.split is not None
        return [self.split.references[row] for row in self.rows]

    @property
    def spelling(self) -> list[Any]:
        """For each example, what `Task.spell` needs to know of it, None if nothing."""
        assert self.split is not None
        known = self.split.spelling
        return [None if known is None else known[row] for row in self.rows]

    def checksum(self) -> int:
        """Another number if an array has changed (CRC-32)."""
        number = 0
        for array in (self.source, self.input, self.target, self.words):
            if array is not None:
                number = zlib.crc32(np.ascontiguousarray(array).data, number)
        return number

    @property
    def shapes(self) -> tuple[tuple[int, ...] | None, ...]:
        """Of source, input, target and words, None for what is missing; last, whether it is full.

        For batches of equal shapes, in this sense, a model does the same operations.
        """
        arrays = (self.source, self.input, self.target, self.words)
        shapes = (None if array is None else tuple(array.shape) for array in arrays)
        return (*shapes, (int(self.full),))

    def shard(self, index: int, of: int) -> "Batch":
        """Every `of`-th example, starting with the one at `index`."""
        part = self.map(lambda array: array[index::of])
        return replace(part, rows=self.rows[index::of])

    def map(self, function: Callable[[Ids], Any]) -> "Batch":
        """The batch with `function` applied to source, input, target and words."""
        arrays = (self.source, self.input, self.target, self.words)
        source, input, target, words = (None if a is None else function(a) for a in arrays)
        return replace(self, source=source, input=input, target=target, words=words)


@dataclass(frozen=True)
class Split:
    """One split as padded arrays, in a fixed order."""

    source: Ids | None
    """(examples, longest source)."""
    target: Ids
    """(examples,) class ids, or (examples, longest target) ids that end in END or IGNORE."""
    references: Sequence[Any]
    """What predictions are scored against: class ids, or texts."""
    input: Ids | None = None
    """(examples, longest target) what a generating model reads."""
    prompted: bool = False
    """Whether the input begins with the source (`lm`), so that a training step reads only the
    input."""
    words: Ids | None = None
    """(examples, most words) positions of each word's first token, -1 where there is none."""
    spelling: Sequence[Any] | None = None
    """For each example, what `Task.spell` needs to know of it, such as the words in its slots."""
    lengths: Sequence[Ids] = field(init=False, repr=False)
    """(examples,) tokens without padding: of the source, then of the input, if there are any."""

    def __post_init__(self) -> None:
        sides = [side for side in (self.source, self.input) if side is not None]
        object.__setattr__(self, "lengths", [(side != PAD).sum(axis=1) for side in sides])

    def __len__(self) -> int:
        return len(self.references)

    def batch(self, rows: Ids, round_to: int = 1) -> Batch:
        """The examples at `rows`, cut to the longest among them."""
        return self.batches(rows, len(rows), round_to)[0]

    def batches(self, rows: Ids, size: int, round_to: int = 1) -> list[Batch]:
        """The examples at `rows` as whole batches of `size`, each cut to its longest example.

        round_to: lengths are padded up to a multiple of it, but not beyond the split's longest.
        Arrays are gathered and tokens counted once for all batches; each batch is then a slice.
        """
        lengths = [each[rows].reshape(-1, size) for each in self.lengths]
        longest = [each.max(axis=1).clip(min=1) for each in lengths]
        widths = [(-(each // -round_to) * round_to).tolist() for each in longest]
        even = lengths[0].min(axis=1) == longest[0]
        same = (
            np.where(even, longest[0], 0).tolist() if self.source is not None else [0] * len(even)
        )
        read = lengths[-1:] if self.prompted else lengths
        tokens = np.sum([each.sum(axis=1) for each in read], axis=0).tolist()
        source, input, words = (
            None if array is None else array[rows]
            for array in (self.source, self.input, self.words)
        )
        target = self.target[rows]

        def batch(number: int) -> Batch:
            part = slice(number * size, (number + 1) * size)
            first, last = widths[0][number], widths[-1][number]
            return Batch(
                None if source is None else source[part, :first],
                None if input is None else input[part, :last],
                target[part] if target.ndim == 1 else target[part, :last],
                rows[part],
                tokens[number],
                self,
                None if words is None else _without_empty_end(words[part], round_to),
                same[number],
            )

        return [batch(number) for number in range(len(tokens))]


@dataclass(frozen=True)
class Scores:
    """Metrics of a list of predictions, and their values per example for paired tests."""

    metrics: Mapping[str, float]
    examples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)
    """Metric -> exactly how it was computed, in its library's terms (sacrebleu's signature)."""


@dataclass(frozen=True)
class Texts:
    """A task as text to text, as mixtures of tasks need it."""

    splits: Mapping[str, Sequence[tuple[str, str]]]
    """(source, target) texts of the three splits."""
    score: Callable[[Sequence[str], Sequence[str]], Scores]
    """(predicted texts, target texts) -> Scores."""


@dataclass(frozen=True)
class Task:
    """Fixed, leak-free splits and how predictions on them are scored."""

    kind: TaskKind
    train: Split
    validation: Split
    test: Split
    score: Callable[[Sequence[Any], Sequence[Any]], Scores]
    """(predictions, references) -> Scores. Predictions are what decoders return. `classify`: class
    ids, or log-probabilities of all classes. `tag`: a label id for every token. `seq2seq`: lists
    of token ids without BEGIN and END. `lm`: such lists, without the prompt; or one number, the
    log-probability of the whole text."""
    metric: str
    """The metric that ranks strategies, one of those that `score` returns."""
    vocabulary: int
    """Size of the token vocabulary."""
    classes: int = 0
    """Number of labels (`classify`, `tag`)."""
    segments: int = 1
    """Texts in a source, each ended by END: two where pairs are matched."""
    lower_is_better: tuple[str, ...] = LOWER_IS_BETTER
    """Metrics, among those that `score` returns, whose lower values are better."""
    also: tuple[str, ...] = ()
    """Metrics that tables show besides `metric`."""
    spell: Callable[[Sequence[Sequence[int]], Sequence[Any]], list[str]] | None = None
    """(outputs, `Batch.spelling` of their examples) -> the outputs as text."""
    texts: Texts | None = None
    """The same task as text to text, if it has such a form."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What a reader should know, such as how many texts were cut to the limit. Sentences in
    `"remarks"` stand below every table."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """What metrics mean that `msbench.data.metrics.METRICS` lacks or knows otherwise."""
    tokenizer: Tokenizer | None = None
    """What the task was prepared with, if a model brought it; it leads from token ids to the
    model's own. None if the vocabulary was learned."""
    readable: Callable[[Sequence[Any], Sequence[Any]], tuple[Any, Any] | None] | None = None
    """(predictions, references) -> both in plain words, for registered metrics: names of labels,
    lists of tags, or texts; None for predictions that are no such thing."""

    @property
    def longest_source(self) -> int:
        """Positions that a model needs on the source side."""
        return max(_width(split.source) for split in self.splits.values())

    @property
    def longest_target(self) -> int:
        """Positions that a generating model needs on the target side, BEGIN included."""
        return max(_width(split.input) for split in self.splits.values())

    @property
    def splits(self) -> Mapping[str, Split]:
        """The three splits by name."""
        return {name: getattr(self, name) for name in SPLITS}

    def metric_facts(self, names: Iterable[str]) -> dict[str, Metric]:
        """What the metrics of these names mean.

        As the task declares it, else as metrics of that name usually do (`METRICS`; a mixture puts
        the name of a task and a slash before it). Of others only the direction is known.
        """
        return {
            name: self.metrics.get(name)
            or METRICS.get(name.rpartition("/")[2])
            or Metric(name in self.lower_is_better)
            for name in names
        }

    def fingerprint(self) -> str:
        """A hash of everything that a trial can see of the data: arrays and references.

        `words` is left out: it follows from the tokens and is in the references of tags.
        """
        content = hashlib.sha256(f"{self.kind}/{self.vocabulary}/{self.classes}".encode())
        if self.tokenizer is not None:
            content.update(self.tokenizer.name.encode())
        for name, split in self.splits.items():
            content.update(name.encode())
            for array in (split.source, split.input, split.target):
                content.update(b"none" if array is None else np.ascontiguousarray(array).data)
            content.update(repr(list(split.references)).encode())
        return content.hexdigest()[:20]


def _without_empty_end(words: Ids, round_to: int) -> Ids:
    """The columns up to the last one with a position in it, at least one, rounded up."""
    used = np.flatnonzero((words >= 0).any(axis=0)).max(initial=0) + 1
    return words[:, : -(used // -round_to) * round_to]


def _width(array: Ids | None) -> int:
    return 0 if array is None else array.shape[1]
