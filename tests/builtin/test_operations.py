"""Operations are counted exactly: as by torch's own counter around every step of the training."""

import math
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, partial
from itertools import islice, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from msbench import Batch, Task, classification, language_modelling
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy, r_drop
from msbench.builtin.losses.sequence import minimum_risk, self_critical
from msbench.builtin.models.bag import Bag
from msbench.builtin.models.causal import CausalLM
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.models.lstm import LSTM
from msbench.builtin.operations import FUSED, Work
from msbench.builtin.optimizers.local_sgd import diloco, local_sgd
from msbench.builtin.optimizers.torch_optim import Together, adafactor, adamw, lbfgs, muon, sgd
from msbench.builtin.optimizers.wrappers import EMA, SAM, SWA, Extragradient, Lookahead
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.data.batches import training_batches
from msbench.run.clock import Clock

STEPS, SIZE = 9, 8
SMALL: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2}


@cache
def make_task(kind: str) -> Task:
    """A task whose batches have many shapes."""
    if kind == "pairs":
        return numbers_fr(below=200, examples=200)
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(list("abcdefgh"), draw.integers(1, 14))) for _ in range(120)]
    splits = {"train": texts[:80], "validation": texts[80:100], "test": texts[100:]}
    if kind == "texts":
        return language_modelling(splits, block=12, prompt=3, vocabulary=280)
    labelled = {name: [(text, text[0]) for text in each] for name, each in splits.items()}
    return classification(labelled, max_length=16, vocabulary=40)


MODELS: dict[str, Any] = {
    "labels": partial(Encoder, **SMALL),
    "pairs": partial(EncoderDecoder, **SMALL, copy=True, follow=True),
    "texts": partial(CausalLM, **SMALL),
}
fast = partial(adamw, lr=1e-2)


def learner(kind: str, **changed: Any) -> TorchLearner:
    parts = {"model": MODELS[kind], "loss": cross_entropy, "optimizer": fast, **changed}
    made = TorchLearner(make_task(kind), seed=0, **parts)
    made.mode(training=True)
    return made


def batches(kind: str, steps: int = STEPS) -> list[Batch]:
    return list(islice(training_batches(make_task(kind).train, SIZE, _order()), steps))


def _order() -> np.random.Generator:
    return np.random.default_rng(0)


def trained(
    learner: TorchLearner, batches: list[Batch], step: Callable[[Batch], Any]
) -> list[Tensor]:
    """The weights after these steps, and the losses on the way."""
    losses = []
    for number, batch in enumerate(batches):
        learner.set_rate(1.0, number / len(batches))
        losses.append(step(batch).loss)
    learner.mode(training=False)
    return [*(p.detach().clone() for p in learner.model.parameters()), *losses]


def by_torch(learner: TorchLearner, batches: list[Batch]) -> tuple[int, list[Tensor]]:
    """The slow twin: (operations, what was trained) under torch's counter."""
    total = 0

    def step(batch: Batch) -> Any:
        nonlocal total
        with FlopCounterMode(display=False, custom_mapping=FUSED) as counter:
            done = learner.train_step(batch)
        total += counter.get_total_flops()
        return done

    state = trained(learner, batches, step)
    return total, state


def by_us(learner: TorchLearner, batches: list[Batch]) -> tuple[float, list[Tensor]]:
    """As in a trial, off the clock."""
    clock = Clock()
    with clock.running():
        state = trained(learner, batches, partial(learner.train_step, aside=clock.paused))
    return learner.flops(), state


class Curious(torch.optim.SGD):
    """A plugin's optimizer, which multiplies its weights by themselves in every third step."""

    steps = 0

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        loss = super().step(closure)
        self.steps += 1
        if self.steps % 3 == 0:
            for weight in (p.detach() for g in self.param_groups for p in g["params"]):
                if weight.ndim == 2:
                    weight @ weight.T
        return loss


def curious(model: nn.Module) -> Curious:
    return Curious(model.parameters(), lr=0.1)


OPTIMIZERS: dict[str, Any] = {
    "sgd": sgd,
    "adamw": fast,
    "adafactor": adafactor,
    "muon": muon,
    "lbfgs": lbfgs,
    "sam": partial(SAM, base=fast),
    "sam over muon": partial(SAM, base=muon),
    "extragradient": partial(Extragradient, base=fast),
    "lookahead": partial(Lookahead, base=fast),
    "ema": partial(EMA, base=muon),
    "swa": partial(SWA, base=fast, start=0.5),
    "local-sgd": partial(local_sgd, base=sgd, workers=3, every=4),
    "diloco": partial(diloco, base=muon, workers=2, every=3),
    "every third step": curious,
    "every third step, within": partial(Lookahead, base=curious),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizers_operations_are_those_of_torchs_counter(name: str) -> None:
    same_as_by_torch("labels", optimizer=OPTIMIZERS[name])


STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    "pairs": ("pairs", {"optimizer": muon}),
    "texts": ("texts", {"optimizer": partial(SAM, base=fast)}),
    "accumulate": ("pairs", {"accumulate": 3, "clip": 0.1}),
    "ragged parts": ("labels", {"accumulate": 5, "optimizer": partial(SAM, base=muon)}),
    "r-drop": ("labels", {"loss": r_drop}),
    "r-drop of pairs": ("pairs", {"loss": r_drop, "optimizer": muon}),
    "lstm": ("labels", {"model": partial(LSTM, width=8)}),
    "two layers": ("labels", {"model": partial(LSTM, width=8, layers=2)}),
    "bag": ("labels", {"model": Bag}),
    "minimum-risk": ("pairs", {"loss": partial(minimum_risk, samples=3, mix=0.5)}),
    "minimum risk of texts": ("texts", {"loss": partial(minimum_risk, samples=2)}),
    "self-critical": ("pairs", {"loss": self_critical, "optimizer": partial(SAM, base=fast)}),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategys_operations_are_those_of_torchs_counter(name: str) -> None:
    kind, changed = STRATEGIES[name]
    same_as_by_torch(kind, **changed)


def same_as_by_torch(kind: str, **changed: Any) -> None:
    """The same integer, and the same training to the last bit, counted or not."""
    drawn = batches(kind)
    assert len({batch.shapes for batch in drawn}) > 2, "nothing is shown by batches of one shape"
    expected, twins = by_torch(learner(kind, **changed), drawn)
    counted, ours = by_us(learner(kind, **changed), drawn)
    assert counted == expected > 0
    uncounted = learner(kind, **changed)
    plain = trained(uncounted, drawn, uncounted.train_step)
    for a, b, c in zip(plain, ours, twins, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


@pytest.mark.parametrize("name", ["ema", "swa", "muon", "local-sgd", "diloco"])
def test_what_is_measured_after_training_leaves_no_trace(name: str) -> None:
    """Neither in the weights nor in those that an optimizer sets in their place."""
    made = learner("labels", optimizer=OPTIMIZERS[name])
    trained(made, batches("labels"), partial(made.train_step, aside=nullcontext))
    torch.manual_seed(7)
    before = [each.clone() for each in made.model.state_dict().values()]
    made.flops()
    made.peak_memory(batches("labels", 1)[0])
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(3))
    assert not made.model.training
    made.mode(training=False)
    for old, new in zip(before, made.model.state_dict().values(), strict=True):
        assert torch.equal(old, new)


def test_what_cannot_be_counted_is_not_a_number() -> None:
    made = learner("labels")
    by_us(made, batches("labels"))
    made.loss = lambda model, batch: 1 / 0  # type: ignore[assignment,return-value]
    assert math.isnan(made.flops())


def test_a_loss_that_is_not_as_steady_as_it_says_is_noticed() -> None:
    """Its work depends on the examples, not only on how long they are."""

    def loss() -> Any:
        def picky(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
            some = model.head.weight[:, : 1 + batch.rows[0] % 16]
            total, count = cross_entropy()(model, batch)
            return total + (some @ some.T).sum(), count

        return picky

    several = batches("labels", 60)
    (shapes, _), *_ = Counter(batch.shapes for batch in several).most_common()
    drawn = [batch for batch in several if batch.shapes == shapes]
    assert drawn[0].rows[0] % 16 != drawn[-1].rows[0] % 16
    assert math.isnan(by_us(learner("labels", loss=loss), drawn)[0])


def test_a_few_shapes_tell_the_operations_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made, draw = learner("pairs"), np.random.default_rng(0)
    for source, target in product(range(3, 9), range(2, 7)):
        ids = [draw.integers(4, 20, (2, length)) for length in (source, target, target)]
        made._work._tallied(Batch(*ids, np.arange(2), 2 * target))
    every = sum(made._work._count(tallied.first) for tallied in made._work._tally.values())
    counted: list[Batch] = []
    count = Work._count

    def heard(work: Work, batch: Batch) -> float:
        counted.append(batch)
        return count(work, batch)

    monkeypatch.setattr(Work, "_count", heard)
    assert made.flops() == every
    assert len(counted) == 10 + 2 + 2, "of 30: all coefficients, two that are held, one again"


def test_operations_that_are_no_polynomial_are_counted_for_every_shape() -> None:
    def loss() -> Any:
        def even(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
            total, count = cross_entropy()(model, batch)
            some = model.head.weight
            return total + (some @ some.T).sum() * 0 if batch.source.shape[1] % 2 else total, count

        return even

    several = batches("labels", 60)
    made = learner("labels", loss=loss)
    assert by_us(made, several)[0] == sum(made._work._count(batch) for batch in several)


def test_the_clock_stands_still_for_a_pass_that_only_counts() -> None:
    """Of a model whose passes are made twice, and not of one whose passes are tallied."""
    for changed, stops in (({}, 0), ({"model": partial(LSTM, width=8)}, STEPS)):
        pauses: list[int] = []
        made = learner("labels", **changed)

        def aside(pauses: list[int] = pauses) -> Any:
            pauses.append(1)
            return nullcontext()

        for batch in batches("labels"):
            made.train_step(batch, aside)
        assert len(pauses) == stops


def test_steps_without_a_clock_to_stop_are_not_counted() -> None:
    made = learner("labels")
    trained(made, batches("labels"), made.train_step)
    assert made.flops() == 0


def test_an_optimizer_is_steady_if_all_its_parts_are() -> None:
    from msbench.builtin.optimizers.inspection import is_steady

    model = nn.Linear(3, 3)
    assert is_steady(SAM(model, muon))
    assert is_steady(local_sgd(model, sgd))
    assert not is_steady(curious(model))
    assert not is_steady(Lookahead(model, partial(SAM, base=curious)))
    assert not is_steady(Together([sgd(nn.Linear(3, 3)), curious(model)]))


# ── memory ──────────────────────────────────────────────────────────────────────────────────
