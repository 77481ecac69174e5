"""Beam search against a plain one, against enumeration, and in its corner cases."""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from small_models import VARIANTS, Table, make_model, sources, tensors
from torch import Tensor

from msbench import BEGIN, END, PAD, Batch, Meter, MsbenchError
from msbench.builtin.decoders.beam import beam, search
from msbench.builtin.decoders.beam_step import best_continuations, first_best
from msbench.builtin.generation import greedy


@torch.no_grad()
def next_logits(model: Any, batch: Batch, tokens: list[int]) -> Tensor:
    """(V,) logits after BEGIN and `tokens`, by one uncached pass."""
    read = torch.tensor([[BEGIN, *tokens]])
    logits: Tensor = model(replace(batch, input=read))[0, -1].clone()
    logits[[PAD, BEGIN]] = -math.inf
    return logits


def plain_beam(
    model: Any, batch: Batch, width: int, penalty: float, reward: float, least: int, ngram: int
) -> list[int]:
    """Beam search of one source, to the limit, without cache, batch and early end."""
    limit = model.max_length
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    best, output = -math.inf, []
    for length in range(1, limit + 1):
        continued = []
        for rank, (score, tokens) in enumerate(beams):
            logits = next_logits(model, batch, tokens)
            if len(tokens) < least:
                logits[END] = -math.inf
            grams = {tuple(tokens[i : i + ngram]) for i in range(len(tokens) - ngram + 1)}
            for token in range(len(logits)):
                if ngram and (*tokens[len(tokens) - ngram + 1 :], token) in grams:
                    logits[token] = -math.inf
            if bool((logits == -math.inf).all()):
                logits[END] = 0.0
            for token, log in enumerate(logits.log_softmax(-1).tolist()):
                if log > -math.inf:
                    continued.append((-(score + log), rank, token, [*tokens, token]))
        beams = []
        for negative, _, token, tokens in sorted(continued)[:width]:
            if token == END or length == limit:
                worth = -negative / length**penalty + reward * length
                if worth > best:
                    best, output = worth, [t for t in tokens if t != END]
            else:
                beams.append((-negative, tokens))
        if not beams:
            break
    return output


@pytest.mark.parametrize("part", range(5))
def test_the_fast_beam_is_the_plain_one(part: int) -> None:
    """On 500 random models and inputs, with every option, decoded in batches."""
    for seed in range(20):
        draw = np.random.default_rng([part, seed])
        sizes = int(draw.integers(6, 40)), int(draw.integers(2, 7))
        variant = VARIANTS[seed % 4]
        task, model = make_model(100 * part + seed, *sizes, draw.uniform(1, 2.5), **variant)
        rows, width = draw.integers(24, size=5).tolist(), int(draw.integers(1, 7))
        penalty, reward = float(draw.choice([0, 0.6, 1, 2])), float(draw.choice([0, 0.4, -0.3]))
        least, ngram = int(draw.integers(0, 3)), int(draw.choice([0, 0, 1, 2]))
        batch = tensors(task.train, *rows)
        fast = beam(width, penalty, reward, least, 0, ngram)(model, batch)
        for row, output in zip(rows, fast, strict=True):
            one = tensors(task.train, row)
            assert output == plain_beam(model, one, width, penalty, reward, least, ngram)


@torch.no_grad()
def test_a_wide_beam_is_exhaustive_search() -> None:
    """On a space small enough to enumerate: 3 tokens and END, 3 places."""
    words = (3, 4, 5)
    outputs = [(*w, END) for n in range(3) for w in product(words, repeat=n)]
    outputs += list(product(words, repeat=3))  # cut at the limit
    for seed in range(20):
        task, model = make_model(seed, 6, 3, gain=2, width=8)
        batch = tensors(task.train, seed % 24)
        logs = {(): 0.0}
        for output in sorted(outputs, key=len):
            for before, token in ((output[:i], output[i]) for i in range(len(output))):
                if (*before, token) not in logs:
                    steps = next_logits(model, batch, list(before)).log_softmax(-1)
                    logs[*before, token] = logs[before] + float(steps[token])
        for penalty in (0.0, 1.0):
            best = max(outputs, key=lambda output: logs[output] / len(output) ** penalty)
            expected = [token for token in best if token != END]
            assert beam(width=60, length_penalty=penalty)(model, batch) == [expected]


@torch.no_grad()
@pytest.mark.parametrize("options", [*VARIANTS, {"repeats": True, "copy": True}], ids=str)
def test_beam_of_one_is_greedy_and_batches_change_nothing(options: dict[str, Any]) -> None:
    task, model = make_model(longest=6, layers=2, **options)
    every = tensors(task.train)
    room = 6 - every.source.shape[1]
    padded = replace(every, source=torch.nn.functional.pad(every.source, (0, room), value=PAD))
    outputs = {}
    for name, decoder in {"greedy": greedy(), "one": beam(width=1), "four": beam()}.items():
        alone = [decoder(model, tensors(task.train, row))[0] for row in range(24)]
        assert decoder(model, every) == decoder(model, padded) == alone
        outputs[name] = alone
    assert outputs["greedy"] == outputs["one"]
    assert all(len(tokens) <= model.max_length for tokens in outputs["four"])
    assert not {BEGIN, PAD, END} & {t for tokens in outputs["four"] for t in tokens}


def test_width_one_is_greedy_where_sums_would_round() -> None:
    logits = torch.zeros(7, 7)
    logits[:, 5] = 1e-8
    assert beam(1, min_length=3)(Table(logits), sources(1)) == [[5] * 3]


@torch.no_grad()
def test_long_beams_grow_and_clear_the_cache() -> None:
    task, model = make_model(5, longest=60, vocabulary=13)
    wide = beam(width=12, length_penalty=0.0, min_length=50)
    alone = [wide(model, tensors(task.train, row))[0] for row in (0, 5)]
    assert wide(model, tensors(task.train, 0, 5)) == alone
    assert all(len(output) >= 50 for output in alone)


def test_ties_go_to_the_first() -> None:
    """Equal logits: the smallest id, and the hypothesis that ranks first; also in a batch."""
    flat = Table(torch.zeros(40, 40), max_length=4)
    assert greedy()(flat, sources(3)) == [[]] * 3  # END is the smallest id that is allowed
    assert greedy(min_length=4)(flat, sources(3)) == [[3] * 4] * 3
    assert beam(3, min_length=4)(flat, sources(3)) == [[3] * 4] * 3
    (best,) = search(flat, sources(1), 4, limits=beam(4, min_length=2).limits, count=4)
    assert [hypothesis.tokens for hypothesis in best][:2] == [[3, 3], [3, 3, 3]]  # earlier first
    values = torch.tensor([[1.0, 3.0, 2.0, 3.0, 3.0]])
    for count, places in ((1, [1]), (2, [1, 3]), (4, [1, 3, 4, 2]), (9, [1, 3, 4, 2, 0])):
        assert first_best(values, count)[1].tolist() == [places]


def test_an_early_end_overlooks_nothing_that_is_rewarded_for_length() -> None:
    """What ends at once is likelier, but ten tokens are worth more, if length is rewarded."""
    logits = torch.full((6, 6), -1e9)
    logits[BEGIN, END], logits[BEGIN, 4], logits[BEGIN, 5] = (math.log(x) for x in (0.6, 0.1, 0.3))
    logits[4, 4] = logits[5, END] = 0.0
    table = Table(logits, 10)
    assert beam(3, 0.0, 0.7)(table, sources(1)) == [[4] * 10]
    for penalty, output, steps in ((1.0, [4] * 10, 10), (0.0, [], 1)):
        meter = Meter()
        assert beam(3, penalty)(meter.watch(table), sources(1)) == [output]
        assert meter.steps == steps, "nothing that goes on can overtake"


def test_the_best_continuations_are_those_of_a_stable_sort() -> None:
    """On whole numbers, which are full of ties, of any size."""
    draw = np.random.default_rng(0)
    for _ in range(300):
        size, width, vocabulary = draw.integers(1, 5), draw.integers(1, 7), draw.integers(3, 140)
        count = int(draw.integers(1, 9))
        logs = torch.from_numpy(draw.integers(-3, 1, (size * width, vocabulary))).float()
        scores = torch.from_numpy(draw.integers(-2, 1, (size, width))).float()
        sums = (logs.view(size, width, -1) + scores[:, :, None]).flatten(1)
        order = sums.sort(dim=1, descending=True, stable=True).indices[:, :count]
        best, owners, tokens, _ = best_continuations(logs, scores, count)
        *quick, tied = best_continuations(logs, scores, count, exact=False)
        assert bool(tied) or all(map(torch.equal, quick, (best, owners, tokens)))
        assert int((best > -math.inf).sum(1)[0]) == order.shape[1]
        assert torch.equal((owners * vocabulary + tokens)[:, : order.shape[1]], order)
        assert torch.equal(best[:, : order.shape[1]], sums.gather(1, order))


def test_bad_options_are_refused() -> None:
    with pytest.raises(MsbenchError, match="width of 1 or more, not 0"):
        beam(width=0)
    with pytest.raises(MsbenchError, match="length_penalty >= 0, not -1"):
        beam(length_penalty=-1)
