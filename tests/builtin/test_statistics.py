"""Running statistics: of the weights that training is at, and of those that are evaluated."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import update_bn

import msbench
from msbench import Batch, Task, classification
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses import pointwise
from msbench.builtin.optimizers.local_sgd import local_sgd
from msbench.builtin.optimizers.torch_optim import adamw, sgd
from msbench.builtin.optimizers.wrappers import EMA, SAM, SWA, Extragradient, Lookahead
from msbench.builtin.statistics import statistics_batches

STEPS, SIZE = 12, 8

base = partial(sgd, lr=0.5)


class Normalized(nn.Module):
    """A bag of embeddings with BatchNorm."""

    def __init__(self, task: Task):
        super().__init__()
        self.table = nn.Embedding(task.vocabulary, 8)
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(8, task.classes)

    def forward(self, batch: Any) -> Tensor:
        mask = (batch.source != 0)[..., None]
        mean = (self.table(batch.source) * mask).sum(1) / mask.sum(1)
        return self.out(self.dropout(torch.relu(self.norm(mean))))


@pytest.fixture(scope="module")
def task() -> Task:
    rows = [(f"word{n % 7} text {n}", "ab"[n % 2]) for n in range(60)]
    splits = {"train": rows, "validation": rows[:9], "test": rows[:9]}
    return classification(splits, max_length=9, vocabulary=99)


def learner(task: Task, optimizer: Callable[[nn.Module], Any], dropout: float = 0.0) -> Any:
    made = TorchLearner(
        task, model=Normalized, loss=pointwise.cross_entropy, optimizer=optimizer, seed=0
    )
    made.model.dropout.p = dropout
    made.mode(training=True)
    return made


def batches(task: Task) -> list[Batch]:
    return list(islice(msbench.training_batches(task.train, SIZE, msbench.stream(0, "t")), STEPS))


def trained(task: Task, optimizer: Callable[[nn.Module], Any], dropout: float = 0.0) -> Any:
    made = learner(task, optimizer, dropout)
    for step, batch in enumerate(batches(task)):
        made.set_rate(1.0, step / STEPS)
        made.train_step(batch)
    return made


def mean_loss(model: nn.Module, batch: Any) -> Tensor:
    return cross_entropy(model(batch), batch.target)


def test_sam_is_sam_by_hand(task: Task) -> None:
    """A step by hand, in which the second pass leaves the statistics alone (momentum 0)."""
    made = trained(task, lambda model: SAM(model, base, rho=0.5))
    model = learner(task, base).model
    for batch in batches(task):
        placed = batch.map(torch.from_numpy)
        start = deepcopy(model.state_dict())
        mean_loss(model, placed).backward()
        statistics = {name: each.clone() for name, each in model.norm.named_buffers()}
        norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
        with torch.no_grad():
            for p in model.parameters():
                p += 0.5 * p.grad / norm
        model.zero_grad()
        mean_loss(model, placed).backward()
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(start[name] - 0.5 * p.grad)
        model.zero_grad()
        for name, each in model.norm.named_buffers():
            each.copy_(statistics[name])
    found, expected = made.model.state_dict(), model.state_dict()
    assert int(found["norm.num_batches_tracked"]) == STEPS
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "updates"),
    [
        (lambda model: Extragradient(model, base), STEPS),
        (lambda model: SAM(model, partial(EMA, base=base)), STEPS),
        (lambda model: local_sgd(model, base, workers=2), 2 * STEPS),
        (lambda model: local_sgd(model, partial(SAM, base=base), workers=2), 2 * STEPS),
    ],
)
def test_each_example_counts_once_a_step(task: Task, optimizer: Any, updates: int) -> None:
    assert int(trained(task, optimizer).model.norm.num_batches_tracked) == updates


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda model: SWA(model, base, start=0.25),
        lambda model: EMA(model, base, decay=0.9),
        lambda model: Lookahead(model, base),
        lambda model: SAM(model, partial(SWA, base=base, start=0.25)),
        lambda model: local_sgd(model, base, workers=2),
    ],
)
def test_averages_are_evaluated_with_statistics_of_their_own(task: Task, optimizer: Any) -> None:
    """As torch's update_bn gives them on the averaged weights, and training has its own back."""
    made = trained(task, optimizer)
    before = {name: each.clone() for name, each in made.model.norm.named_buffers()}
    made.mode(training=False)
    twin = deepcopy(made.model)
    update_bn((each.map(torch.from_numpy) for each in statistics_batches(task.train)), twin)
    for name, each in twin.norm.named_buffers():
        torch.testing.assert_close(dict(made.model.norm.named_buffers())[name], each)
        assert not torch.equal(each, before[name]), "not those of the trained weights"
    once = deepcopy(made.model.state_dict())
    made.mode(training=False)
    for name, each in made.model.state_dict().items():
        assert torch.equal(each, once[name]), "evaluated twice, the same"
    made.mode(training=True)
    for name, each in made.model.norm.named_buffers():
        assert torch.equal(each, before[name])


def test_evaluating_draws_nothing_and_changes_no_statistics_of_the_weights_trained(
    task: Task,
) -> None:
    made = trained(task, lambda model: EMA(model, base), dropout=0.5)
    state = torch.get_rng_state()
    made.mode(training=False)
    assert torch.equal(torch.get_rng_state(), state)
    assert not made.model.norm.training
    assert made.model.norm.momentum == 0.1
    plain = trained(task, partial(adamw, lr=1e-2))
    before = plain.model.norm.running_mean.clone()
    plain.mode(training=False)
    assert torch.equal(plain.model.norm.running_mean, before)
