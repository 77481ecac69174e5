"""Speculative decoding writes what greedy decoding or sampling would have written."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from small_models import (
    VARIANTS,
    Table,
    distribution,
    is_drawn_from,
    make_lm,
    make_model,
    random_pairs,
    random_table,
    sources,
    tensors,
)
from torch import Tensor

from msbench import BEGIN, END, Batch, Meter, MsbenchError
from msbench.builtin.decoders.speculative import speculative, verify
from msbench.builtin.generation import Sample, greedy


def drafted(model: Any, tokens: int, **options: Any) -> Any:
    """Speculative decoding with this small model, trained or not."""
    decoder: Any = speculative(random_pairs(), tokens, model=lambda task: model, **options)
    decoder.second._model = model
    return decoder


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("tokens", [1, 3, 7])
def test_speculative_is_greedy(options: dict[str, Any], tokens: int) -> None:
    """By n-grams and by a small model, good or bad, in batches, in fewer steps."""
    task, model = make_model(2, longest=12, **options)
    _, other = make_model(9, longest=12, width=8, **options)
    batch = tensors(task.train)
    expected = greedy()(model, batch)
    assert speculative(task, tokens)(model, batch) == expected
    short = greedy(max_length=3)(model, batch)
    assert speculative(task, tokens, max_length=3)(model, batch) == short
    assert drafted(other, tokens)(model, batch) == expected
    meter = Meter()
    assert drafted(model, tokens)(meter.watch(model), batch) == expected
    longest = max(map(len, expected)) + 1
    assert meter.steps <= math.ceil(min(longest, model.max_length) / (tokens + 1))


def test_speculative_is_greedy_for_language_models() -> None:
    task, model = make_lm()
    batch = tensors(task.train)
    expected = greedy()(model, batch)
    assert speculative(task, 3)(model, batch) == expected
    assert drafted(model, 2)(model, batch) == expected


def test_a_source_that_contains_the_output_is_copied_in_few_steps() -> None:
    """A model that counts upwards, and a source that counts, too."""
    logits = torch.full((40, 40), -9.0)
    logits[torch.arange(39), torch.arange(1, 40)] = 9.0
    logits[BEGIN, 5], logits[30, END] = 9.9, 19.0
    meter = Meter()
    counting = meter.watch(Table(logits, max_length=40))
    outputs = speculative(random_pairs(), 8)(counting, sources(2, tuple(range(4, 36))))
    assert outputs == [list(range(5, 31))] * 2
    assert meter.steps <= 5


@pytest.mark.parametrize("options", [{}, {"temperature": 0.6}, {"top_k": 3}, {"top_p": 0.8}])
@pytest.mark.parametrize("kind", ["lookup", "small"])
def test_speculative_samples_match_the_distribution(options: dict[str, Any], kind: str) -> None:
    table, rule = random_table(), {"temperature": 1.0, **options}
    if kind == "lookup":
        decoder = speculative(random_pairs(), 2, **rule)
    else:
        decoder = drafted(random_table(seed=4), 2, **rule)
    torch.manual_seed(1)
    outputs = decoder(table, sources(20_000, (4, 5, 6, 3, 4, 6, 5)))
    assert is_drawn_from(outputs, distribution(table, **options))


def test_verification_by_hand() -> None:
    """What p has more than q, and nothing else, is drawn where a proposal is refused."""
    p = torch.tensor([0.0, 0.0, 0.1, 0.6, 0.3]).log().repeat(50_000, 2, 1)
    q = torch.tensor([0.0, 0.0, 0.5, 0.2, 0.3]).repeat(50_000, 1, 1)
    torch.manual_seed(0)
    proposed = q[:, 0].multinomial(1)
    counts, token = verify(p, proposed, q, Sample())
    written = torch.where(counts > 0, proposed[:, 0], token)
    seen = written.bincount(minlength=5)[2:].double()
    assert chisquare(seen, 50_000 * np.array([0.1, 0.6, 0.3])).pvalue > 1e-3
    assert abs(float(counts.double().mean()) - (0.1 + 0.2 + 0.3)) < 0.02


class Strict(Table):
    """A table whose state copies and counts, so that it notices if it is asked for too much."""

    def start(self, batch: Batch) -> Any:
        return Rows([0] * len(batch.rows))

    def step(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        n = tokens.shape[1] if tokens.ndim == 2 else 1
        read = Rows(count + n for count in state)
        assert max(read) <= self.max_length, "asked for more tokens than it can write"
        return self.logits[tokens].clone(), read


class Rows(list[int]):
    """How much each row has read."""

    def select(self, rows: Tensor) -> "Rows":
        return Rows(self[row] for row in rows.tolist())

    def keep(self, counts: Tensor, n: int) -> "Rows":
        return Rows(read - n + kept for read, kept in zip(self, counts.tolist(), strict=True))


@pytest.mark.parametrize("tokens", [1, 2, 5, 9])
def test_no_model_is_asked_for_more_than_it_can_write(tokens: int) -> None:
    """Also a draft whose limit is shorter; by the contract of docs/plugins.md alone."""
    torch.manual_seed(2)
    table, draft = Strict(torch.randn(9, 9), 7), Strict(torch.randn(9, 9), 4)
    table.logits[:, END] -= 9
    batch = sources(6, (4, 5, 6, 3, 8, 4, 6, 5, 7))
    expected = greedy()(Table(table.logits, 7), batch)
    assert [len(output) for output in expected] == [7] * 6
    for decoder in (
        speculative(random_pairs(), tokens),
        *(drafted(d, tokens) for d in (draft, table)),
    ):
        assert decoder(table, batch) == expected


def test_top_k_and_top_p_are_refused_without_a_temperature() -> None:
    with pytest.raises(MsbenchError, match="top_k and top_p need a temperature"):
        speculative(random_pairs(), top_k=5)
