"""Small tasks, models and batches that tests of built-in parts share."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn

from msbench import BEGIN, END, IGNORE, PAD, Batch, Split, Task
from msbench.builtin.generation import Sample
from msbench.builtin.models.causal import CausalLM
from msbench.builtin.models.encoder_decoder import EncoderDecoder

Model = TypeVar("Model", bound=nn.Module)

VARIANTS: list[dict[str, Any]] = [
    {},
    {"copy": True},
    {"norm": "post"},
    {"copy": True, "follow": True},
]
"""Options of an encoder-decoder."""


def tensors(split: Split, *rows: int) -> Batch:
    """These examples, or all of them, as a batch of tensors."""
    return split.batch(np.array(rows or range(len(split)))).map(torch.from_numpy)


def random_pairs(vocabulary: int = 11, longest: int = 6, classes: int = 3) -> Task:
    """24 random pairs of every length up to the longest."""
    draw = np.random.default_rng(0)
    source, target = np.full((2, 24, longest), PAD)
    for row in range(24):
        for side in (source, target):
            size = 1 + draw.integers(longest - 1)
            side[row, :size] = draw.integers(4, vocabulary, size)
    begin = np.full((24, 1), BEGIN)
    output = np.where(target == PAD, IGNORE, target)
    split = Split(source, output, ["x"] * 24, np.hstack([begin, target[:, :-1]]))
    return Task("seq2seq", split, split, split, None, "bleu", vocabulary, classes)  # type: ignore[arg-type]


def sharpened(model: Model, gain: float = 1.7) -> Model:
    """In double precision and far from uniform predictions, so that wrong ones show."""
    model = model.double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(gain)
    return model


def make_model(
    seed: int = 1, vocabulary: int = 11, longest: int = 8, gain: float = 1.7, **options: Any
) -> tuple[Task, EncoderDecoder]:
    """An encoder-decoder and its task of random pairs."""
    task = random_pairs(vocabulary, longest)
    torch.manual_seed(seed)
    model = EncoderDecoder(task, **{"width": 16, "heads": 2, "layers": 1, **options})
    return task, sharpened(model, gain)


def make_lm() -> tuple[Task, CausalLM]:
    """A language model; prompts have none to three tokens, which the texts begin with."""
    task = random_pairs()
    split = task.train
    assert split.input is not None
    prompt = split.input[:, 1:4].copy()
    prompt[np.arange(3) >= (np.arange(24) % 4)[:, None]] = PAD
    split = replace(split, source=prompt, prompted=True)
    torch.manual_seed(1)
    task = replace(task, kind="lm", train=split, validation=split, test=split)
    return task, sharpened(CausalLM(task, width=16, heads=2))


class Table:
    """A model whose next token depends on the last one alone: (V, V) logits."""

    def __init__(self, logits: Tensor, max_length: int = 3):
        self.logits, self.max_length = logits, max_length

    def start(self, batch: Batch) -> "Table":
        return self

    def select(self, rows: Tensor) -> "Table":
        return self

    def keep(self, counts: Tensor, n: int = 0) -> "Table":
        return self

    def step(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        return self.logits[tokens].clone(), state


def random_table(vocabulary: int = 7, max_length: int = 3, seed: int = 0) -> Table:
    torch.manual_seed(seed)
    return Table(torch.randn(vocabulary, vocabulary), max_length)


def sources(rows: int, tokens: tuple[int, ...] = (4, 5)) -> Batch:
    """A batch of equal sources."""
    array = np.tile(np.array([tokens]), (rows, 1))
    return tensors(Split(array, array, [""] * rows, array))


def distribution(table: Table, **options: Any) -> dict[tuple[int, ...], float]:
    """The probability of every output of `sample(**options)`, by enumeration."""
    logits = table.logits.clone()
    logits[:, [PAD, BEGIN]] = -math.inf
    shares = Sample(**options).probabilities(logits)
    chances: dict[tuple[int, ...], float] = {}

    def go_on(tokens: tuple[int, ...], last: int, chance: float) -> None:
        if len(tokens) == table.max_length or last == END:
            output = tokens[:-1] if last == END else tokens
            chances[output] = chances.get(output, 0.0) + chance
            return
        for token, share in enumerate(shares[last].tolist()):
            if share > 0:
                go_on((*tokens, token), token, chance * share)

    go_on((), BEGIN, 1.0)
    assert sum(chances.values()) == pytest.approx(1, abs=1e-5), "the enumeration is exhaustive"
    return chances


def is_drawn_from(outputs: list[list[int]], chances: dict[tuple[int, ...], float]) -> bool:
    """Whether a chi-squared test is content; outputs that are rarely expected count together."""
    counts = Counter(map(tuple, outputs))
    assert set(counts) <= set(chances)
    likely = [output for output, chance in chances.items() if chance * len(outputs) >= 5]
    seen = [counts[output] for output in likely]
    expected = [chances[output] * len(outputs) for output in likely]
    if (rest := len(outputs) - sum(expected)) > 1:
        seen, expected = [*seen, len(outputs) - sum(seen)], [*expected, rest]
    expected = [each * len(outputs) / sum(expected) for each in expected]
    return bool(chisquare(seen, expected).pvalue > 1e-3)
