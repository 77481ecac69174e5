"""Losses of single units against slow twins and exact identities, and learning by every loss."""

import math
from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from small_models import sharpened, tensors
from torch import Tensor, nn
from torch.nn import functional

from msbench import IGNORE, Batch, Task, classification, language_modelling, tagging
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses import sequence
from msbench.builtin.losses.pointwise import cross_entropy, focal, mse, r_drop
from msbench.builtin.losses.sequence import minimum_risk, self_critical
from msbench.builtin.models.causal import CausalLM
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.plugins.registry import Registry

UNIT_LOSSES: dict[str, Any] = {
    "cross-entropy": cross_entropy,
    "smoothed": partial(cross_entropy, label_smoothing=0.1),
    "mse": mse,
    "focal": focal,
    "r-drop": r_drop,
}
SEQUENCE_LOSSES: dict[str, Any] = {
    "self-critical": partial(self_critical, samples=3, mix=0.3),
    "minimum-risk": partial(minimum_risk, samples=3, mix=0.3, reference=True),
}
MODELS: dict[str, Any] = {
    "classify": Encoder,
    "tag": Encoder,
    "seq2seq": EncoderDecoder,
    "lm": CausalLM,
}
FITTING = [*product(UNIT_LOSSES, MODELS), *product(SEQUENCE_LOSSES, ("seq2seq", "lm"))]
"""Every loss with every kind of task it fits."""


@cache
def make_task(kind: str) -> Task:
    """A small task of that kind that can be learned."""
    splits = ("train", "validation", "test")
    words = [f"{a} {b} {c}" for a, b, c in product("abcd", "efgh", "ijk")]
    if kind == "classify":
        labelled = [(text, text[0]) for text in words]
        return classification(dict.fromkeys(splits, labelled), max_length=8, vocabulary=40)
    if kind == "tag":
        tagged = [(text.split(), ["O", "B-x" if "f" in text else "B-y", "O"]) for text in words]
        return tagging(dict.fromkeys(splits, tagged), max_length=8, vocabulary=40)
    if kind == "lm":
        texts = [f"{word} {word} {word}"[: 9 + n % 8] for n, word in enumerate(words)]
        return language_modelling(dict.fromkeys(splits, texts), block=24, prompt=6, vocabulary=280)
    return numbers_fr(below=200, examples=200)


def model_and_batch(kind: str, dropout: float = 0.0) -> tuple[Any, Batch]:
    """A model in training, away from uniform predictions, and a batch of 7 examples."""
    task = make_task(kind)
    torch.manual_seed(0)
    model = MODELS[kind](task, width=16, layers=1, heads=2, dropout=dropout)
    return sharpened(model, 1.3).train(), tensors(task.train, *range(7))


def build(name: str, kind: str) -> Any:
    """The loss of that name, as the learner makes it."""
    if name in SEQUENCE_LOSSES:
        return SEQUENCE_LOSSES[name](make_task(kind))
    return UNIT_LOSSES[name]()


def gradients(model: nn.Module, total: Tensor) -> list[Tensor]:
    model.zero_grad()
    total.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def assert_close(a: list[Tensor], b: list[Tensor], **tolerance: float) -> None:
    for x, y in zip(a, b, strict=True):
        assert torch.allclose(x, y, **tolerance)


# ── one unit at a time ──────────────────────────────────────────────────────────────────────


def units(model: Any, batch: Batch) -> Iterator[tuple[Tensor, int]]:
    """(logits, right class) of every unit that counts, one by one."""
    for logits, target in zip(
        model(batch).flatten(0, -2), batch.target.flatten().tolist(), strict=True
    ):
        if target != IGNORE:
            yield logits, target


def smoothed_twin(logits: Tensor, right: int) -> Tensor:
    logs = logits.log_softmax(-1)
    return -0.9 * logs[right] - 0.1 * logs.mean()


def mse_twin(logits: Tensor, right: int) -> Tensor:
    one_hot = functional.one_hot(torch.tensor(right), len(logits))
    return ((logits.softmax(-1) - one_hot) ** 2).sum()


def focal_twin(logits: Tensor, right: int) -> Tensor:
    p = logits.softmax(-1)[right]
    return -((1 - p) ** 2) * p.log()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("name", "twin"), [("smoothed", smoothed_twin), ("mse", mse_twin), ("focal", focal_twin)]
)
def test_a_loss_is_the_sum_over_units_of_its_slow_twin(kind: str, name: str, twin: Any) -> None:
    model, batch = model_and_batch(kind)
    total, count = build(name, kind)(model, batch)
    slow = torch.stack([twin(*unit) for unit in units(model, batch)])
    assert count == len(slow)
    assert torch.isclose(total, slow.sum(), rtol=1e-12)


@pytest.mark.parametrize("kind", MODELS)
def test_losses_that_are_cross_entropy(kind: str) -> None:
    """Focal loss without focus, labels not smoothed, and R-Drop without dropout."""
    model, batch = model_and_batch(kind)
    expected, count = cross_entropy()(model, batch)
    for loss in (focal(gamma=0.0), cross_entropy(label_smoothing=0.0), r_drop(alpha=3.0)):
        total, number = loss(model, batch)
        assert torch.isclose(total, expected, rtol=1e-14)
        assert number == count
        plain, _ = cross_entropy()(model, batch)
        assert_close(gradients(model, total), gradients(model, plain), rtol=1e-10, atol=1e-12)


def test_focal_has_a_slope_where_the_model_is_sure() -> None:
    """A power below 1 has an infinite slope at zero, and 0 times that is NaN."""
    logits = torch.tensor([[0.0, 200.0], [0.0, 20.0]], requires_grad=True)
    batch = Batch(None, None, torch.tensor([1, 1]), np.arange(2), 0)
    total, _ = focal(gamma=0.5)(lambda batch: logits, batch)
    total.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_r_drop_is_two_cross_entropies_and_their_divergence() -> None:
    model, batch = model_and_batch("seq2seq", dropout=0.4)
    torch.manual_seed(3)
    total, count = r_drop(alpha=0.7)(model, batch)
    torch.manual_seed(3)
    first, second = (
        torch.stack([logits.log_softmax(-1) for logits, _ in units(model, batch)]) for _ in range(2)
    )
    target = torch.tensor([right for _, right in units(model, batch)])
    losses = [functional.nll_loss(each, target, reduction="sum") for each in (first, second)]
    divergences = [
        functional.kl_div(a, b, reduction="sum", log_target=True)
        for a, b in ((first, second), (second, first))
    ]
    assert torch.isclose(total, sum(losses) / 2 + 0.7 * sum(divergences) / 2)
    assert count == len(target)
    model.eval()
    assert r_drop()(model, batch) == cross_entropy()(model, batch)


# ── sums over examples, and whole steps ─────────────────────────────────────────────────────


class Scripted:
    """Each example has its own draws, whatever batch it is in; in place of `Sample`."""

    def __init__(self, temperature: float):
        pass

    def __call__(self, model: Any, batch: Batch) -> list[list[int]]:
        counts: dict[int, int] = {}

        def draw(row: int) -> list[int]:
            counts[row] = counts.get(row, 0) + 1
            random = np.random.default_rng([row, counts[row]])
            return [int(t) for t in random.integers(4, 40, random.integers(4))]

        return [draw(int(row)) for row in batch.rows]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "kind"), FITTING)
def test_shards_add_up(
    name: str, kind: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss, count and gradient of a batch are the sums over its parts."""
    monkeypatch.setattr(sequence, "Sample", Scripted)
    model, batch = model_and_batch(kind)
    model.train(training)
    loss = build(name, kind)
    total, count = loss(model, batch)
    parts = [loss(model, batch.shard(index, 3)) for index in range(3)]
    added = sum(part for part, _ in parts)
    assert torch.isclose(total, added, rtol=1e-12)
    assert count == sum(number for _, number in parts)
    if total.requires_grad:
        assert_close(gradients(model, total), gradients(model, added), rtol=1e-9, atol=1e-12)


def learner_of(kind: str, loss: Any, accumulate: int = 1, seed: int = 0) -> TorchLearner:
    return TorchLearner(
        make_task(kind),
        model=partial(MODELS[kind], width=16, layers=1, heads=2, dropout=0.0),
        loss=loss,
        optimizer=partial(adamw, lr=0.01),
        seed=seed,
        accumulate=accumulate,
    )


def steps(learner: TorchLearner, number: int) -> tuple[float, float]:
    """Validation loss before and after so many steps on one batch."""
    batch = learner.task.train.batch(np.arange(16))
    learner.mode(training=False)
    before = learner.validate([batch])
    learner.mode(training=True)
    for _ in range(number):
        assert math.isfinite(float(learner.train_step(batch).loss))
    learner.mode(training=False)
    return before, learner.validate([batch])


@pytest.mark.parametrize(("name", "kind"), [*product(UNIT_LOSSES, MODELS)])
def test_a_loss_falls(name: str, kind: str) -> None:
    before, after = steps(learner_of(kind, UNIT_LOSSES[name]), 20)
    assert after < 0.95 * before


@pytest.mark.parametrize(("name", "kind"), [*product(SEQUENCE_LOSSES, ("seq2seq", "lm"))])
def test_risk_falls_after_cross_entropy(name: str, kind: str) -> None:
    first, then = {"seq2seq": (30, 15), "lm": (60, 8)}[kind]
    risks = []
    for seed in range(2):  # greedy outputs of so small a model may get worse in one of them
        learner = learner_of(kind, cross_entropy, accumulate=2, seed=seed)
        steps(learner, first)  # until its outputs are worth comparing
        learner.begin(partial(SEQUENCE_LOSSES[name], samples=8, mix=0.0), partial(adamw, lr=1e-3))
        risks.append(steps(learner, then))
    before, after = np.mean(risks, axis=0)
    assert 0 <= after < before <= 1


def test_all_losses_are_here(registry: Registry) -> None:
    """And each is tried above on all the kinds it says it fits."""
    entries = [entry for entry in registry.of("loss") if entry.learner == "torch"]
    tried = {**UNIT_LOSSES, **SEQUENCE_LOSSES}
    assert {entry.name for entry in entries} == {*tried} - {"smoothed"}
    for entry in entries:
        loss = tried[entry.name]
        assert entry.load() is (loss.func if isinstance(loss, partial) else loss)
        assert list(entry.fits) == (["seq2seq", "lm"] if entry.name in SEQUENCE_LOSSES else [])
        assert "task" not in entry.options()
