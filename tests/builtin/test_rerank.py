"""Reranking and minimum Bayes risk against their definitions, and the second model."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from small_models import make_model, random_pairs, tensors

from msbench import BEGIN, END, MsbenchError, Task
from msbench.builtin.decoders.beam import beam
from msbench.builtin.decoders.pairwise_metrics import TABLES
from msbench.builtin.decoders.rerank import mbr, rerank
from msbench.builtin.decoders.second_model import SecondModel
from msbench.builtin.generation import greedy, sample
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.scoring import log_probabilities

METRICS: dict[str, Any] = {"chrf": CHRF(), "bleu": BLEU(effective_order=True)}
candidates = partial(beam, 6, length_penalty=0.0)


@torch.no_grad()
def best_by_score(
    task: Task, model: Any, groups: list[list[list[int]]], penalty: float = 1.0
) -> list[list[int]]:
    """Of each group the output with the highest log-probability / length ** penalty."""
    best = []
    for row, group in enumerate(groups):
        worth = [
            float(log_probabilities(model, tensors(task.train, row), [output])[0])
            / min(len(output) + 1, model.max_length) ** penalty
            for output in group
        ]
        best.append(group[int(np.argmax(worth))])
    return best


@torch.no_grad()
def test_rerank_by_score_and_by_loss() -> None:
    task, model = make_model(6)
    batch = tensors(task.train)
    groups = candidates().several(model, batch, 6)
    for penalty in (0.0, 1.0):
        decoder = rerank(task, candidates, 6, length_penalty=penalty)
        assert decoder(model, batch) == best_by_score(task, model, groups, penalty)
    # What beam search would have taken, too.
    assert rerank(task, partial(beam, 6), 6)(model, batch) == beam(6)(model, batch)
    # The mean cross-entropy of an output is its score but for the tokens that are never written.
    by_loss = rerank(task, candidates, 6, by="loss")(model, batch)
    for row, output in enumerate(by_loss):
        losses = []
        for candidate in groups[row]:
            example = tensors(task.train, row)
            read = torch.tensor([[BEGIN, *candidate]])[:, : model.max_length]
            target = torch.tensor([[*candidate, END]])[:, : model.max_length]
            total, units = cross_entropy()(model, replace(example, input=read, target=target))
            losses.append(float(total / units))
        assert output == groups[row][int(np.argmin(losses))]


def test_rerank_by_a_second_model() -> None:
    """All its weight: its own favourite among the candidates; none: the first model's."""
    task, model = make_model(6)
    _, other = make_model(11)
    batch = tensors(task.train)

    def ranked(weight: float) -> list[list[int]]:
        decoder: Any = rerank(
            task, candidates, 6, by="model", model=lambda task: other, weight=weight
        )
        decoder.second._model = other
        outputs: list[list[int]] = decoder(model, batch)
        return outputs

    assert ranked(0.0) == rerank(task, candidates, 6)(model, batch)
    assert ranked(1.0) == best_by_score(task, other, candidates().several(model, batch, 6))


def test_a_second_model_is_trained_and_disturbs_nothing() -> None:
    task, model = make_model(6)
    batch, make = tensors(task.train), partial(EncoderDecoder, width=16, heads=2, layers=1)
    second, again = SecondModel(task, make, 30), SecondModel(task, make, 30)
    with pytest.raises(MsbenchError, match="calibrate"):
        _ = second.model
    torch.manual_seed(5)
    state = torch.get_rng_state()
    second.calibrate(model)
    assert torch.equal(torch.get_rng_state(), state)
    again.calibrate(model)

    @torch.no_grad()
    def loss(which: Any) -> float:
        total, count = cross_entropy()(which, batch)
        return float(total / count)

    assert loss(second.model) < 0.95 * loss(make(task).eval())
    assert loss(again.model) == loss(second.model)


def test_agreement_is_sacrebleus() -> None:
    """On all pairs, with repeats, empty and very short texts, spaces and other scripts."""
    texts = ["the cat sat on the mat", "the cat sat", "a  dog ran", "", "a"]
    texts += ["\u00e9t\u00e9 \u4f60\u597d", "aaaa aaa", " the cat sat "]
    for name, metric in METRICS.items():
        expected = [[metric.sentence_score(a, [b]).score for b in texts] for a in texts]
        assert np.allclose(TABLES[name](texts), expected, atol=1e-9)


@pytest.mark.parametrize("utility", METRICS)
def test_mbr_takes_what_the_others_agree_with(utility: Any) -> None:
    """Against all pairs by sacrebleu; what was drawn twice counts twice."""
    task, model = make_model(7, vocabulary=20)
    words = ["a", "b", "the", "cat", "sat", "on", "mat", "dog", "ran", "far"]

    def spell(outputs: Any, references: Any) -> list[str]:
        return [" ".join(words[token % len(words)] for token in output) for output in outputs]

    batch, score = tensors(task.train), METRICS[utility].sentence_score
    torch.manual_seed(3)
    best = mbr(replace(task, spell=spell), count=12, utility=utility)(model, batch)
    torch.manual_seed(3)
    for output, group in zip(best, sample().several(model, batch, 12), strict=True):
        texts = spell(group, [])
        worth = [sum(score(text, [other]).score for other in texts) for text in texts]
        chosen = max(range(12), key=lambda i: (round(worth[i], 6), -i))
        assert texts[chosen] == spell([output], [])[0]


def test_bad_options_are_refused() -> None:
    task = random_pairs()
    for error, decoder in {
        "from beam or sample": partial(rerank, decoder=greedy),
        "needs a second one": partial(rerank, by="model"),
        "by score has no use for a second model": partial(rerank, model=EncoderDecoder),
        "by model has no use for a loss": partial(rerank, by="model", loss=cross_entropy),
        "no spell": mbr,
    }.items():
        with pytest.raises(MsbenchError, match=error):
            decoder(task)
