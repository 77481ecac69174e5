"""Samples match their distribution, limits hold for all decoders, and their costs are counted."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from small_models import (
    Table,
    distribution,
    is_drawn_from,
    make_lm,
    make_model,
    random_table,
    sources,
    tensors,
)

from msbench import PAD, Meter, MsbenchError, evaluation_batches
from msbench.builtin.choosing import Limits, greatest
from msbench.builtin.decoders.beam import beam
from msbench.builtin.decoders.rerank import rerank
from msbench.builtin.decoders.speculative import speculative
from msbench.builtin.generation import Sample, generate, greedy, sample
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.models.lstm import LSTM
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.scoring import log_probabilities
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.run.decode import decode


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.7}, {"top_k": 4, "top_p": 0.8}],
)
def test_samples_match_their_distribution(options: dict[str, Any]) -> None:
    table = random_table()
    torch.manual_seed(0)
    outputs = sample(**options)(table, sources(20_000))
    assert is_drawn_from(outputs, distribution(table, **options))
    assert options != {} or not is_drawn_from(outputs, distribution(table, temperature=1.3))


def test_several_samples_of_a_source_are_independent() -> None:
    table = random_table()
    torch.manual_seed(0)
    groups = sample().several(table, sources(2_000), 10)
    assert {len(group) for group in groups} == {10}
    assert is_drawn_from([output for group in groups for output in group], distribution(table))
    same = np.mean([group[0] == group[1] for group in groups])
    chances = np.array(list(distribution(table).values()))
    assert abs(same - (chances**2).sum()) < 0.04


def test_top_p_keeps_the_fewest_tokens() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    for top_p, kept in ((0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.94, 3), (1.0, 4)):
        shares = Sample(top_p=top_p).probabilities(logits)
        assert int((shares > 0).sum()) == kept
        assert torch.isclose(shares.sum(), torch.tensor(1.0))
    assert int((Sample(top_k=3).probabilities(logits) > 0).sum()) == 3
    assert int((Sample(top_k=2).probabilities(torch.zeros(1, 8)) > 0).sum()) == 2


def test_looking_seldom_for_what_is_finished_changes_no_output() -> None:
    """As on a device that would have to be waited for."""
    task, model = make_model(4, longest=12)
    batch = tensors(task.train)
    for limits in (Limits(), Limits(2, 10, 2)):
        often, seldom = (
            generate(model, batch, greatest, limits, 2, patience=steps) for steps in (1, 5)
        )
        assert often == seldom


def test_the_greatest_logit_is_found_in_blocks() -> None:
    """The first of equals, wherever it is, infinities included."""
    torch.manual_seed(0)
    for vocabulary in (5, 64, 70, 100):
        logits = torch.randint(0, 9, (300, vocabulary)).float()
        logits[::7] = -math.inf
        tokens, best = greatest(logits)
        assert torch.equal(best, logits.amax(1))
        assert torch.equal(tokens, (logits == best[:, None]).long().argmax(1))


def test_limits_hold_for_all() -> None:
    task, model = make_model(4, longest=12, vocabulary=7)
    batch = tensors(task.train)
    for decoder in (greedy, partial(beam, 3), partial(sample, 1.5)):
        torch.manual_seed(0)
        lengths = {len(output) for output in decoder(min_length=5, max_length=7)(model, batch)}
        assert lengths <= {5, 6, 7}
        for output in decoder(no_repeat_ngram=2)(model, batch):
            grams = list(pairwise(output))
            assert len(grams) == len(set(grams))
    # Where nothing else is allowed, an output ends.
    assert all(len(set(o)) == len(o) for o in greedy(no_repeat_ngram=1)(model, batch))


def test_steps_and_positions_are_counted_from_outside() -> None:
    task, model = make_model(8)
    batch = tensors(task.train)
    read = batch.source.numel()
    meter, wide, labels, whole_text = Meter(), Meter(), Meter(), Meter()
    outputs = greedy()(meter.watch(model), batch)
    assert meter.steps == min(model.max_length, 1 + max(map(len, outputs)))
    assert read < meter.positions <= read + meter.steps * len(outputs)
    assert meter.first_token() > 0
    beam(4)(wide.watch(model), batch)
    assert wide.positions > 2 * (meter.positions - read)
    labels.watch(lambda batch: None)(batch)
    assert (labels.steps, labels.positions) == (1, read + batch.input.numel())
    lm_task, lm = make_lm()
    texts = tensors(lm_task.train, *range(4))
    whole_text.watch(lm)(texts)
    assert whole_text.positions == texts.input.numel(), "a prompt is part of what is read"


def test_what_cannot_be_decoded() -> None:
    task, model = make_model()
    batch = tensors(task.train)
    for decoder in (greedy(), sample(), beam(), speculative(task), rerank(task)):
        with pytest.raises(MsbenchError, match="a model that generates, and LSTM has no start"):
            decoder(Meter().watch(LSTM(replace(task, kind="tag"), width=8)), batch)
        with pytest.raises(MsbenchError, match="an empty source"):
            decoder(model, replace(batch, source=batch.source.clone().fill_(PAD)))
        with pytest.raises(MsbenchError, match="20 tokens: the model reads 8 at most"):
            decoder(model, replace(batch, source=torch.full((24, 20), 5)))
        for value in (math.nan, math.inf):
            broken = Table(torch.full((11, 11), value), max_length=5)
            with pytest.raises(MsbenchError, match="not numbers"):
                decoder(broken, batch)
    with pytest.raises(MsbenchError, match="min_length 5 is above max_length 4"):
        greedy(min_length=5, max_length=4)


def test_what_is_recorded_of_outputs() -> None:
    """Lengths, log-probability and the rest, against their definitions."""
    task = numbers_fr(below=200, examples=120)
    make = partial(EncoderDecoder, width=16, layers=1, heads=2)
    learner = TorchLearner(
        task, model=make, loss=cross_entropy, optimizer=partial(adamw, lr=0.01), seed=0
    )
    batches = evaluation_batches(task.test, 8)
    decoder: Any = Sample(1.5, limits=Limits(max_length=4))
    learner.reseed("decoding")
    decoded = decode(learner, decoder, task, task.test, batches, streams=True)
    learner.reseed("decoding")
    outputs = [o for b in batches for o in learner.predict(b, decoder)]
    lengths = [len(output) for output in outputs]
    references = [int((row != PAD).sum()) - 1 for b in batches for row in b.input]
    assert decoded.tokens == sum(lengths)
    assert decoded.length_ratio == sum(lengths) / sum(references)
    assert decoded.empty == lengths.count(0) / len(lengths)
    assert 0 < decoded.first_token_seconds < decoded.seconds
    longest = [max(lengths[i : i + 8]) for i in range(0, len(lengths), 8)]
    assert decoded.steps == sum(min(4, 1 + length) for length in longest)
    rows = [row for b in batches for row in b.rows]
    with torch.no_grad():
        logs = [
            float(log_probabilities(learner.model, tensors(task.test, row), [output])[0])
            for row, output in zip(rows, outputs, strict=True)
        ]
    assert decoded.log_probability == pytest.approx(np.mean(logs), rel=1e-5)
    not_streamed = decode(learner, greedy(), task, task.test, batches)
    assert math.isnan(not_streamed.first_token_seconds)
    assert not_streamed.examples == len(task.test)
