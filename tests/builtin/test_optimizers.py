"""Every optimizer learns, refuses absurd options, and evaluates without a trace in training."""

from functools import partial
from itertools import islice
from typing import Any

import pytest
import torch
from test_optimizer_formulas import assert_same, gradient, network, path, switch, trained
from torch import Tensor, nn

from msbench import Choice, MsbenchError, PluginError, Registry, load_plugins
from msbench.builtin.commands.selftest import batches, learner, weights_of
from msbench.builtin.learner import TorchLearner
from msbench.builtin.optimizers.decay import decayed
from msbench.builtin.optimizers.inspection import Make
from msbench.builtin.optimizers.local_sgd import diloco, local_sgd
from msbench.builtin.optimizers.torch_optim import (
    Together,
    adamw,
    lbfgs,
    momentum,
    muon,
    sgd,
)
from msbench.builtin.optimizers.wrappers import (
    EMA,
    SAM,
    SWA,
    Extragradient,
    Lookahead,
    parameters,
)

base = partial(adamw, lr=0.05)
slow_sgd = partial(sgd, lr=0.1, weight_decay=0.3)

# ── identities ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wrapper", "calls"),
    [
        (partial(SAM, base=base, rho=0.0), 2),
        (partial(Lookahead, base=base, k=1, alpha=1.0), 1),
        (partial(EMA, base=base, decay=0.0), 1),
        (partial(SWA, base=base, start=0.99), 1),  # averages nothing yet
    ],
    ids=["sam", "lookahead", "ema", "swa"],
)
def test_a_wrapper_without_effect_is_its_base(wrapper: Make, calls: int) -> None:
    expected, single = trained(base)
    weights, called = trained(wrapper)
    assert_same(weights, expected)
    assert called == calls * single


EVALUATED_ELSEWHERE: dict[str, Make] = {
    "lookahead": partial(Lookahead, base=base, k=5),
    "ema": partial(EMA, base=base),
    "swa": partial(SWA, base=base, start=0.3),
    "local-sgd": partial(local_sgd, base=base, workers=3, every=5),
    "diloco": partial(diloco, base=base, workers=3, every=5),
    "ema over lookahead": partial(EMA, base=partial(Lookahead, base=base, k=5)),
    "local-sgd over ema": partial(local_sgd, base=partial(EMA, base=base), workers=3, every=5),
}


@pytest.mark.parametrize("make", EVALUATED_ELSEWHERE.values(), ids=list(EVALUATED_ELSEWHERE))
def test_evaluation_after_every_step_changes_nothing(make: Make) -> None:
    *_, (often, _) = path(make)
    assert_same(often, trained(make)[0])


def stepped(make: Make, steps: int) -> Any:
    """The optimizer of a network after so many steps."""
    model = network()
    optimizer: Any = make(model)
    for step in range(steps):
        optimizer.step(partial(gradient, model, step))
    return optimizer


def copies(weights: Any) -> list[Tensor]:
    return [p.detach().clone() for p in weights]


@pytest.mark.parametrize(
    "make",
    [
        partial(Lookahead, base=base, k=5),
        partial(EMA, base=partial(Lookahead, base=partial(SAM, base=base), k=3), decay=0.9),
    ],
    ids=["lookahead", "ema over lookahead over sam"],
)
def test_evaluation_and_back_twice(make: Make) -> None:
    optimizer = stepped(make, 7)
    before, average = copies(parameters(optimizer)), copies(optimizer.average)
    assert any((a != b).any() for a, b in zip(average, before, strict=True))
    for mode, expected in [("eval", average), ("train", before)] * 2:
        for _ in range(2):
            switch(optimizer, mode)
            assert_same(parameters(optimizer), expected)


def test_workers_that_have_not_met_are_evaluated_at_their_mean_and_go_on() -> None:
    make = partial(local_sgd, base=partial(sgd, lr=0.2), workers=3, every=100)
    optimizer = stepped(make, 5)
    workers = [copies(worker) for worker in optimizer.workers]
    for _ in range(2):
        switch(optimizer, "eval")
    mean = [sum(of_workers) / 3 for of_workers in zip(*workers, strict=True)]
    assert_same(optimizer.weights, mean, 1e-12)
    for _ in range(2):
        switch(optimizer, "train")
    for worker, before in zip(optimizer.workers, workers, strict=True):
        assert_same(worker, before)


def losses_of_both_passes(same_mask: bool) -> list[float]:
    """The losses of three steps of two passes, with radius 0 and dropout."""
    torch.manual_seed(0)
    model = nn.Sequential(network(), nn.Dropout(0.5)).train()
    optimizer: Any = SAM(model, base, rho=0.0, same_mask=same_mask)
    losses = []

    def closure() -> Tensor:
        model.zero_grad()
        with torch.enable_grad():
            loss = model(torch.ones(8, 5, dtype=torch.double)).square().mean()
        loss.backward()
        losses.append(float(loss.detach()))
        return loss.detach()

    for _ in range(3):
        optimizer.step(closure)
    return losses


def test_sams_passes_see_the_same_dropout_masks_if_asked_to() -> None:
    same = losses_of_both_passes(same_mask=True)
    assert same[::2] == same[1::2]
    assert len(set(same)) == 3, "each step draws anew"
    different = losses_of_both_passes(same_mask=False)
    assert all(a != b for a, b in zip(different[::2], different[1::2], strict=True))


# ── groups, rates and what is forwarded ─────────────────────────────────────────────────────


def test_wrappers_share_their_bases_rates_at_any_depth() -> None:
    optimizer: Any = Lookahead(network(), partial(SAM, base=partial(momentum, lr=1.0)))
    optimizer.param_groups[0]["lr"] = 0.25
    assert optimizer.base.base.param_groups[0]["lr"] == 0.25
    assert isinstance(optimizer, torch.optim.Optimizer)


@pytest.mark.parametrize("outer", [SAM, Lookahead, EMA, SWA])
def test_wrappers_forward_the_share_of_the_budget(outer: Any) -> None:
    model = network()
    inner = SWA(model, base)
    optimizer = outer(model, lambda model: inner)
    optimizer.spent = 0.25
    optimizer.step(lambda: gradient(model, 0))
    assert inner.spent == optimizer.spent == 0.25


def test_workers_send_their_weights_when_they_meet() -> None:
    model = network()
    optimizer: Any = diloco(model, base, workers=3, every=4)
    size = 8 * sum(p.numel() for p in model.parameters())
    for step in range(12):
        optimizer.step(partial(gradient, model, step))
        assert optimizer.sent_bytes == (step + 1) // 4 * 3 * size


def test_weight_decay_spares_norms_and_biases() -> None:
    for own, key in ((False, "decoupled_decay"), (True, "weight_decay")):
        groups = decayed(network().parameters(), 0.1, own=own)
        assert [group[key] for group in groups] == [0.1, 0.0]
        assert [{p.ndim for p in group["params"]} for group in groups] == [{2}, {1}]
        weights = sum(len(group["params"]) for group in groups)
        assert weights == len(list(network().parameters()))
    (everything,) = decayed(network().parameters(), 0.1, "all")
    assert len(everything["params"]) == weights


@pytest.mark.parametrize(
    "make",
    [
        slow_sgd,
        partial(SAM, base=slow_sgd),
        partial(Extragradient, base=slow_sgd),
        partial(local_sgd, base=slow_sgd, workers=2),
    ],
    ids=["sgd", "sam", "extragradient", "local-sgd"],
)
def test_weights_without_a_gradient_stay(make: Make) -> None:
    """Weights that a batch does not reach, a whole group of them included."""
    model: Any = network()
    before = weights_of(model)

    def closure(*shard: int) -> Tensor:
        model.zero_grad()
        model[0].bias.grad = torch.ones_like(model[0].bias)
        return torch.zeros(())

    make(model).step(closure)
    moved = [not torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)]
    assert moved == [False, True, False, False, False, False]


def test_muon_takes_hidden_matrices_and_leaves_the_rest_to_adamw() -> None:
    model = nn.ModuleDict(
        {"tokens": nn.Embedding(5, 4), "hidden": nn.Linear(4, 4), "head": nn.Linear(4, 2)}
    )
    rest, hidden = muon(model, lr=0.1).parts
    (matrix,) = [p for group in hidden.param_groups for p in group["params"]]
    assert matrix is model["hidden"].weight
    assert sum(len(group["params"]) for group in rest.param_groups) == 4
    only = muon(nn.Embedding(5, 4))
    assert isinstance(only, Together)
    assert len(only.parts) == 1


def test_lbfgs_counts_every_pass_and_falls() -> None:
    model, calls = network(), 0
    optimizer: Any = lbfgs(model)

    def closure() -> Tensor:
        nonlocal calls
        calls += 1
        return gradient(model, 0)

    losses = [float(optimizer.step(closure)) for _ in range(5)]
    assert losses[-1] < 0.2 * losses[0]
    assert 5 < calls <= 5 * 6


# ── every optimizer of the registry ─────────────────────────────────────────────────────────

NAMES = [
    e.name for e in load_plugins().of("optimizer") if e.plugin == "msbench" and e.learner == "torch"
]


def build(registry: Registry, name: str, **options: Any) -> Any:
    """The optimizer, over AdamW if it needs a base."""
    if "base" in registry.find("optimizer", name).options():
        options.setdefault("base", Choice("adamw", {"lr": 1e-2}))
    return registry.build("optimizer", registry.resolve("optimizer", Choice(name, options)))


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_learns_and_says_what_it_is(name: str, registry: Registry) -> None:
    entry = registry.find("optimizer", name)
    assert entry.idea
    assert entry.paper
    TorchLearner.check_optimizer(build(registry, name))
    small = learner(build(registry, name))
    held_out = [small.task.validation.batch(range(20))]
    small.mode(training=False)
    before = small.validate(held_out)
    small.mode(training=True)
    passes = 0.0
    for number, batch in enumerate(islice(batches(small.task), 15)):
        small.set_rate(1.0, number / 15)
        passes += small.train_step(batch).passes
    if name == "sophia-g":  # in two of these steps one pass more
        assert passes == 17
    elif name != "lbfgs":
        assert passes == 15 * entry.passes
    small.mode(training=False)
    assert small.validate(held_out) < before


ABSURD: list[tuple[str, Any]] = [
    *(("lr", -1.0), ("lr", 1e9), ("momentum", 1.0), ("beta2", 1.0), ("eps", 0.0), ("rho", -0.1)),
    *(("k", 0), ("alpha", 1.5), ("decay", 1.0), ("start", 1.0), ("workers", 1), ("every", 0)),
    *(("outer_lr", 0.0), ("weight_decay", -0.1), ("iterations", 0), ("steps", 0)),
]


@pytest.mark.parametrize("name", NAMES)
def test_absurd_options_are_refused(name: str, registry: Registry) -> None:
    for option, value in ABSURD:
        if option in registry.find("optimizer", name).options():
            with pytest.raises(PluginError, match=option):
                build(registry, name, **{option: value})


AVERAGING = ("lookahead", "ema", "swa")


@pytest.mark.parametrize("inner", ["sam", *AVERAGING, "extragradient", "local-sgd", "diloco"])
def test_extragradient_refuses_what_does_not_go_back(inner: str, registry: Registry) -> None:
    chosen = Choice(inner, {"base": Choice("adamw")})
    with pytest.raises(MsbenchError, match="around"):
        TorchLearner.check_optimizer(build(registry, "extragradient", base=chosen))


@pytest.mark.parametrize("outer", ["sam", *AVERAGING, "local-sgd"])
def test_workers_are_the_outermost(outer: str, registry: Registry) -> None:
    inner = Choice("local-sgd", {"base": Choice("sgd")})
    with pytest.raises(MsbenchError, match="put them around the other optimizer instead"):
        TorchLearner.check_optimizer(build(registry, outer, base=inner))


def test_extragradient_refuses_several_gradients_a_step() -> None:
    with pytest.raises(MsbenchError, match="LBFGS takes several"):
        trained(partial(Extragradient, base=lbfgs))


# ── the learner around them ─────────────────────────────────────────────────────────────────


def test_a_batch_that_is_smaller_than_the_workers_is_refused(registry: Registry) -> None:
    small = learner(build(registry, "local-sgd", workers=9))
    with pytest.raises(
        MsbenchError, match="a batch of 8 examples has no shard for each of 9 workers"
    ):
        small.train_step(next(batches(small.task)))


def test_an_optimizer_without_a_pass_is_refused() -> None:
    class Idle(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            return None

    small = learner(lambda model: Idle(model.parameters(), lr=0.1))
    with pytest.raises(MsbenchError, match="without calling its closure"):
        small.train_step(next(batches(small.task)))


@pytest.mark.parametrize(
    ("raised", "said"),
    [(ValueError("lr is odd"), "lr is odd"), (ValueError(), "ValueError"), (SystemExit(), None)],
)
def test_an_optimizer_that_cannot_be_made(raised: BaseException, said: str | None) -> None:
    """Bad options are said; a bug of the plugin, which may be of the small model, is not."""

    def make(model: nn.Module) -> Any:
        raise raised

    if said is None:
        TorchLearner.check_optimizer(make)
    else:
        with pytest.raises(MsbenchError, match=said):
            TorchLearner.check_optimizer(make)


def test_a_device_that_is_not_there() -> None:
    TorchLearner.check_device("cpu")
    with pytest.raises(MsbenchError, match=r"torch .* finds \d+ CUDA devices"):
        TorchLearner.check_device("cuda:77")


def test_clip_is_the_length_of_the_whole_gradient() -> None:
    small = learner(partial(sgd, lr=1.0))
    small.clip = 0.01
    before = weights_of(small.model)
    small.train_step(next(batches(small.task)))
    moves = [p - b for p, b in zip(weights_of(small.model), before, strict=True)]
    assert float(sum((m**2).sum() for m in moves) ** 0.5) == pytest.approx(0.01, rel=1e-3)
