"""Peak memory: what tensors are alive, the same for equal work and ordered as theory says."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from msbench import Split, Task
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.memory import Alive, stored_bytes
from msbench.builtin.optimizers.torch_optim import adamw, momentum, sgd
from msbench.builtin.optimizers.wrappers import EMA, SAM
from msbench.data.batches import longest_batch

WIDE, ROWS = 512, 4
WEIGHTS = 4 * WIDE * WIDE
"""Bytes of the model's one large matrix."""


class Matrix(nn.Module):
    """Numbers -> two logits by way of a matrix that is much larger than a batch."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.hidden = nn.Linear(WIDE, WIDE, bias=False)

    def forward(self, batch: Any) -> torch.Tensor:
        logits: torch.Tensor = self.hidden(batch.source.repeat(1, WIDE // 4).float())[:, :2]
        return logits


def task() -> Task:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 3 * ROWS)
    split = Split(draw.integers(1, 9, (3 * ROWS, 4)), labels, labels.tolist())
    return Task("classify", split, split, split, None, "accuracy", 9, 2)  # type: ignore[arg-type]


def peak(optimizer: Any, seed: int = 0) -> float:
    made = TorchLearner(task(), model=Matrix, loss=cross_entropy, optimizer=optimizer, seed=seed)
    batch = longest_batch(made.task.train, ROWS)
    made.mode(training=True)
    for _ in range(2):
        made.train_step(batch)
    made.mode(training=False)
    return made.peak_memory(batch)


@pytest.mark.parametrize(
    ("optimizer", "copies"),
    [
        (sgd, 2),  # weights and gradients
        (momentum, 3),
        (adamw, 4),
        (partial(EMA, base=sgd), 3),
        (partial(EMA, base=adamw), 5),
        (partial(SAM, base=sgd), 3),  # the weights before it
        (partial(SAM, base=adamw), 5),
    ],
    ids=["sgd", "momentum", "adamw", "ema", "ema of adamw", "sam", "sam of adamw"],
)
def test_the_peak_is_as_many_copies_of_the_weights_as_in_theory(
    optimizer: Any, copies: int
) -> None:
    assert peak(optimizer) == pytest.approx(copies * WEIGHTS, rel=0.05)


def test_seeds_take_equally_much() -> None:
    assert len({peak(adamw, seed) for seed in range(5)}) == 1


def test_alive_is_what_autograd_keeps_and_not_what_is_gone() -> None:
    x = torch.ones(1000, requires_grad=True)
    with Alive() as alive:
        y = x.exp().sin()  # keeps both results: exp for its own gradient and for that of sin
        assert alive.bytes == 8000
        z = y.sum()
        del y
        assert alive.bytes == 4004
        z.backward()  # type: ignore[no-untyped-call]
    assert alive.bytes == 4004, "the gradient and the sum"
    assert alive.peak >= 12_000


def test_a_view_takes_nothing_and_shared_weights_are_counted_once() -> None:
    x = torch.ones(1000)
    with Alive() as alive:
        assert x.view(10, 100)[2:].t().add_(1).shape == (100, 8)
        torch.add(x, 1, out=x)
    assert alive.peak == 0
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    assert stored_bytes(model) == 800
    model[1].weight = model[0].weight
    assert stored_bytes(model) == 400


def test_the_longest_batch_is_that_of_the_most_tokens() -> None:
    source = np.tril(np.ones((6, 6), dtype=int))
    split = Split(source[[3, 0, 5, 1, 4, 2]], np.zeros(6, dtype=int), [0] * 6)
    batch = longest_batch(split, 2)
    assert sorted(batch.rows) == [2, 4]
    assert batch.shapes[0] == (2, 6)
    assert len(longest_batch(split, 99).rows) == 6
