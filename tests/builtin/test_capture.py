"""A replayed step does what it would do eagerly; what a replay would get wrong is found."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from itertools import cycle, islice
from typing import Any

import numpy as np
import pytest
import torch
from test_operations import MODELS, OPTIMIZERS, batches, by_torch, learner, make_task
from torch import Tensor, nn

from msbench import Batch, Choice, Registry, load_plugins
from msbench.builtin.capture import as_on_cuda, tape
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy, focal, mse, r_drop
from msbench.builtin.models.bag import Bag
from msbench.builtin.models.lstm import LSTM
from msbench.builtin.optimizers.capturing import make_capturable
from msbench.builtin.optimizers.local_sgd import local_sgd
from msbench.builtin.optimizers.torch_optim import adamw, muon, nadam, sgd
from msbench.builtin.optimizers.wrappers import EMA, SAM, SWA, Lookahead
from msbench.builtin.placing import Resident, placed

why_eager = TorchLearner.why_eager
fast = partial(adamw, lr=1e-2, weight_decay=0.1)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


# ── replays are steps ───────────────────────────────────────────────────────────────────────

STEPS = 22
MIXED: dict[str, dict[str, Any]] = {
    "sam, accumulated": {"optimizer": partial(SAM, base=fast), "accumulate": 3, "clip": 0.1},
    "ema over lookahead over sam": {
        "optimizer": partial(EMA, base=partial(Lookahead, k=3, base=partial(SAM, base=nadam)))
    },
    "swa over muon": {"optimizer": partial(SWA, base=muon, start=0.4, every=2), "loss": r_drop},
    "local-sgd": {"optimizer": partial(local_sgd, base=partial(EMA, base=fast), every=3)},
}


def trained(made: TorchLearner, drawn: list[Batch], aside: Any = None) -> list[Tensor]:
    """The losses under a schedule, and weights as they are trained and as they are evaluated."""
    made.reseed("dropout")
    losses = []
    for number, batch in enumerate(drawn):
        made.set_rate(1.0 - 0.9 * number / len(drawn), number / len(drawn))
        losses.append(made.train_step(batch, aside).loss)
    state = [p.detach().clone() for p in made.model.parameters()]
    made.mode(training=False)
    return [*losses, *state, *(p.detach().clone() for p in made.model.parameters())]


@pytest.mark.parametrize("name", MIXED)
def test_replayed_steps_are_the_steps_to_the_last_bit(name: str) -> None:
    """With dropout, of two shapes; and up to rounding those with rates of the host."""
    drawn = list(islice(cycle(batches("labels", 2)), STEPS))
    assert len({batch.shapes for batch in drawn}) == 2
    plain, eager, replayed = (learner("labels", **MIXED[name]) for _ in range(3))
    expected = trained(plain, drawn)
    with as_on_cuda():
        make_capturable(eager.optimizer)
        rounded = trained(eager, drawn)
        steps = replayed.captured_by(tape)
        found = trained(replayed, drawn)
    assert STEPS // 3 <= steps.replayed < STEPS
    for one, other, first in zip(found, rounded, expected, strict=True):
        assert torch.equal(one, other)
        assert torch.allclose(one, first, rtol=1e-3, atol=1e-4)
    for counter in ("sent_bytes", "steps", "averaged"):
        assert getattr(replayed.optimizer, counter, 0) == getattr(plain.optimizer, counter, 0)


@pytest.mark.parametrize("name", ["muon", "lookahead", "local-sgd", "every third step"])
def test_passes_and_operations_of_replayed_steps_are_counted(name: str) -> None:
    drawn = list(islice(cycle(batches("labels", 2)), 14))
    expected, _ = by_torch(learner("labels", optimizer=OPTIMIZERS[name]), drawn)
    made = learner("labels", optimizer=OPTIMIZERS[name])
    if name == "every third step":  # a plugin's, which says nothing of kinds yet
        made.optimizer.step_kind = lambda: (made.optimizer.steps + 1) % 3  # type: ignore[attr-defined]
        made.optimizer.note_replay = partial(_count, made.optimizer)  # type: ignore[attr-defined]
    with as_on_cuda():
        steps = made.captured_by(tape)
        passes = [made.train_step(batch, nullcontext).passes for batch in drawn]
    assert steps.replayed >= 4
    assert passes == [1.0] * 14
    assert made.flops() == expected


def _count(optimizer: Any) -> None:
    optimizer.steps += 1


@pytest.mark.parametrize("kind", ["labels", "pairs", "texts"])
def test_a_batch_is_gathered_from_its_split(kind: str) -> None:
    """To the width that it has, also beyond the longest example."""
    resident = Resident(torch.device("cpu"))
    for batch in batches(kind, 3):
        wide = batch.map(lambda ids: ids if ids.ndim == 1 else np.pad(ids, ((0, 0), (0, 30))))
        for asked in (batch, wide):
            got = resident.place(asked)
            assert got.shapes == asked.shapes
        for name in ("source", "input", "target"):
            if (own := getattr(placed(batch, torch.device("cpu")), name)) is not None:
                assert torch.equal(getattr(resident.place(batch), name), own)


# ── what can be captured, and what cannot ───────────────────────────────────────────────────

EAGER = dict.fromkeys(["adafactor", "lbfgs", "shampoo", "soap"], "_local_scalar_dense")
FAST = {"local-sgd": {"every": 3, "workers": 2}, "diloco": {"every": 3, "workers": 2}}


def test_every_optimizer_can_be_captured_or_says_why_not(registry: Registry) -> None:
    for entry in registry.of("optimizer"):
        if entry.plugin == "msbench" and entry.learner == "torch":
            base = {"base": Choice("sgd")} if "base" in entry.options() else {}
            options = {**base, **FAST.get(entry.name, {})}
            part = registry.resolve("optimizer", Choice(entry.name, options))
            reason = why_eager("optimizer", registry.build("optimizer", part), "classify")
            assert EAGER.get(entry.name, "") in reason, f"{entry.name}: {reason}"
            assert bool(reason) == (entry.name in EAGER), f"{entry.name}: {reason}"


@pytest.mark.parametrize(
    ("loss", "kind"), [(cross_entropy, "tag"), (mse, "lm"), (focal, "seq2seq"), (r_drop, "tag")]
)
def test_losses_with_a_target_for_each_place_can_be_captured(loss: Any, kind: str) -> None:
    assert why_eager("loss", loss, kind) == ""


def test_models_are_tried_too() -> None:
    assert why_eager("model", Bag, "classify") == ""
    assert why_eager("model", MODELS["pairs"], "seq2seq") == ""
    assert "more than the shapes" in why_eager("model", LSTM, "classify")


class Counting(torch.optim.SGD):
    """Halves its steps after the tenth, by a count of the host that it tells nobody of."""

    taken = 0

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        loss = super().step(closure)
        self.taken += 1
        if self.taken > 10:
            for group in self.param_groups:
                torch._foreach_mul_([p.detach() for p in group["params"]], 0.5)
        return loss


class Numbered(torch.optim.SGD):
    """Decays weights by a number of the host."""

    taken = 0

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        self.taken += 1
        for group in self.param_groups:
            torch._foreach_mul_([p.detach() for p in group["params"]], 1 - 0.01 / self.taken)
        return super().step(closure)


def on_host(change: Callable[[Tensor], Any]) -> Any:
    """A loss times a number that the host has from the logits."""

    def make() -> Any:
        def loss(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
            total, count = cross_entropy()(model, batch)
            return total * (1 + abs(change(total.detach()))), count

        return loss

    return make


def chosen() -> Any:
    """A loss of the places that a mask leaves."""

    def loss(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(batch)
        return logits[batch.target > 0].logsumexp(-1).sum(), (batch.target > 0).sum()

    return loss


@pytest.mark.parametrize(
    ("kind", "make", "said"),
    [
        ("optimizer", lambda m: Counting(m.parameters(), lr=0.1, fused=True), "lead elsewhere"),
        ("optimizer", lambda m: Numbered(m.parameters(), lr=0.1, fused=True), "other numbers"),
        ("optimizer", lambda m: torch.optim.SGD(m.parameters(), lr=0.1), "_local_scalar_dense"),
        ("optimizer", partial(SAM, base=sgd, same_mask=True), "lead elsewhere"),
        ("loss", on_host(float), "aten::_local_scalar_dense"),
        ("loss", on_host(lambda total: total.tolist()), "other numbers"),
        ("loss", on_host(lambda total: total.numpy().item()), "other numbers"),
        ("loss", chosen, "aten::index"),
    ],
    ids=["count", "number", "rate", "mask", "item", "list", "numpy", "mask of places"],
)
def test_what_a_replay_would_get_wrong_is_found(kind: str, make: Any, said: str) -> None:
    assert said in why_eager(kind, make, "classify")


def test_trying_leaves_no_trace_in_random_streams() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    why_eager("loss", cross_entropy, "classify")
    assert torch.equal(torch.rand(2), expected)


def test_on_a_cpu_nothing_is_captured() -> None:
    made = TorchLearner(
        make_task("labels"), model=Bag, loss=cross_entropy, optimizer=sgd, seed=0, graph=True
    )
    made.mode(training=True)
    for batch in batches("labels", 3):
        made.train_step(batch)
    assert made.prepared().replayed == 0
    assert not isinstance(made.optimizer.param_groups[0]["lr"], Tensor)
    assert isinstance(made.model, nn.Module)
