"""Our optimizers against slow references and exact identities, in double precision."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from msbench import Choice, MsbenchError, PluginError, Registry
from msbench.builtin.commands.selftest import batches, learner
from msbench.builtin.learner import TorchLearner
from msbench.builtin.optimizers.local_sgd import diloco, local_sgd
from msbench.builtin.optimizers.torch_optim import (
    Together,
    adafactor,
    adagrad,
    adam,
    adamw,
    decayed,
    lbfgs,
    momentum,
    muon,
    nadam,
    nesterov,
    rmsprop,
    sgd,
)
from msbench.builtin.optimizers.wrappers import EMA, SAM, SWA, Extragradient, Lookahead

Make = Callable[[nn.Module], torch.optim.Optimizer]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3)).double()


def data(step: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(step)
    x = torch.randn(6, 5, generator=draw, dtype=torch.double)
    return x, torch.randint(3, (6,), generator=draw)


def gradient(model: nn.Module, step: int, index: int = 0, of: int = 1) -> Tensor:
    model.zero_grad()
    x, y = (each[index::of] for each in data(step))
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    return loss.detach()


STEPS = 12


def path(make: Make, every: int = 1) -> Iterator[tuple[list[Tensor], int]]:
    """After each `every` steps: the weights that are evaluated, and how often the closure was
    called. Training then goes on."""
    model, calls = network(), 0
    optimizer: Any = make(model)
    switch(optimizer, "train")
    for step in range(STEPS):

        def closure(index: int = 0, of: int = 1, step: int = step) -> Tensor:
            nonlocal calls
            calls += 1
            with torch.enable_grad():
                return gradient(model, step, index, of)

        if hasattr(optimizer, "spent"):
            optimizer.spent = step / STEPS
        optimizer.step(closure)
        if (step + 1) % every == 0:
            switch(optimizer, "eval")
            yield weights_of(model), calls
            switch(optimizer, "train")


def switch(optimizer: torch.optim.Optimizer, mode: str) -> None:
    getattr(optimizer, mode, lambda: None)()


def trained(make: Make) -> tuple[list[Tensor], int]:
    """Weights after the last step, the only one that is evaluated, and the calls of the closure."""
    return next(path(make, every=STEPS))


Step = Callable[[list[Tensor], list[Tensor]], list[Tensor]]
"""(weights, gradients) -> weights."""
Gradients = Callable[[nn.Module, list[Tensor], int], list[Tensor]]
"""(model, weights, step) -> what to step along."""
Twin = Iterator[list[Tensor]]
"""The weights that are evaluated after each step, written out slowly."""


def assert_agree(make: Make, twin: Twin, tolerance: float = 1e-12) -> None:
    """Ours and its slow twin, step by step."""
    for (got, _), expected in zip(path(make), twin, strict=True):
        assert_same(got, expected, tolerance)


def assert_same(a: list[Tensor], b: list[Tensor], tolerance: float = 0.0) -> None:
    for x, y in zip(a, b, strict=True):
        assert (x - y).abs().max() <= tolerance


def base(model: nn.Module) -> torch.optim.Optimizer:
    return adamw(model, lr=0.05)


def test_sam_without_radius_is_its_base_at_two_passes() -> None:
    expected, single = trained(base)
    got, double = trained(lambda model: SAM(model, base, rho=0.0))
    assert_same(got, expected)
    assert double == 2 * single


def walk(move: Step, at: Gradients | None = None) -> Twin:
    """Steps along the gradient, or along another one `at` the weights."""
    model = network()
    weights = weights_of(model)
    for step in range(STEPS):
        weights = move(weights, (at or gradients_at)(model, weights, step))
        yield weights


def uphill(rho: float) -> Gradients:
    """The gradient `rho` uphill: at w + rho * g / |g|."""

    def at(model: nn.Module, weights: list[Tensor], step: int) -> list[Tensor]:
        first = gradients_at(model, weights, step)
        norm = sum((g**2).sum() for g in first) ** 0.5
        there = [w + rho * g / norm for w, g in zip(weights, first, strict=True)]
        return gradients_at(model, there, step)

    return at


def test_sam_agrees_with_its_formula() -> None:
    """w <- w - lr * gradient(w + rho * g / |g|), written out with plain tensors."""
    assert_agree(lambda m: SAM(m, partial(sgd, lr=0.1), rho=0.3), walk(plain(0.1), uphill(0.3)))


def test_lookahead_that_moves_all_the_way_at_once_is_its_base() -> None:
    expected, calls = trained(base)
    got, same = trained(lambda model: Lookahead(model, base, k=1, alpha=1.0))
    assert_same(got, expected)
    assert calls == same


def slowed(move: Step, k: int, alpha: float, at: Gradients | None = None) -> Twin:
    """slow <- slow + alpha * (fast - slow) every k steps; evaluation on slow."""
    model = network()
    fast = slow = weights_of(model)
    for step in range(STEPS):
        fast = move(fast, (at or gradients_at)(model, fast, step))
        if (step + 1) % k == 0:
            fast = slow = [s + alpha * (f - s) for s, f in zip(slow, fast, strict=True)]
        yield slow


def test_lookahead_agrees_with_its_formula() -> None:
    make = partial(Lookahead, base=partial(sgd, lr=0.1), k=5, alpha=0.4)
    assert_agree(make, slowed(plain(0.1), 5, 0.4))


def test_lookahead_over_sam_over_adamw_agrees_with_its_formula() -> None:
    def inner(model: nn.Module) -> SAM:
        return SAM(model, partial(adamw, lr=0.05, weight_decay=0.3), rho=0.2)

    twin = slowed(SlowAdam(0.05, decay=0.3), 5, 0.4, uphill(0.2))
    assert_agree(partial(Lookahead, base=inner, k=5, alpha=0.4), twin, 1e-10)


def test_lookahead_evaluation_changes_nothing_in_training() -> None:
    model = network()
    optimizer = Lookahead(model, base, k=5)
    for step in range(7):
        optimizer.step(lambda step=step: gradient(model, step))  # type: ignore[misc]
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.eval()
    optimizer.eval()
    assert any((p != b).any() for p, b in zip(model.parameters(), before, strict=True))
    optimizer.train()
    optimizer.train()
    assert_same([p.detach() for p in model.parameters()], before)


def test_wrappers_share_their_bases_rates_at_any_depth() -> None:
    optimizer = Lookahead(network(), lambda m: SAM(m, lambda m: momentum(m, lr=1.0)))
    optimizer.param_groups[0]["lr"] = 0.25
    assert optimizer.base.base.param_groups[0]["lr"] == 0.25  # type: ignore[attr-defined]
    assert isinstance(optimizer, torch.optim.Optimizer)


def test_weight_decay_spares_norms_and_biases() -> None:
    for own, key in ((False, "decoupled_decay"), (True, "weight_decay")):
        groups = decayed(network(), 0.1, own=own)
        assert [group[key] for group in groups] == [0.1, 0.0]
        assert [{p.ndim for p in group["params"]} for group in groups] == [{2}, {1}]
        weights = sum(len(group["params"]) for group in groups)
        assert weights == len(list(network().parameters()))
    (everything,) = decayed(network(), 0.1, "all")
    assert len(everything["params"]) == weights


def test_what_has_no_gradient_stays() -> None:
    """Weights that a batch does not reach, a whole group of them included."""
    for make in (
        partial(sgd, lr=0.1, weight_decay=0.3),
        partial(SAM, base=partial(sgd, lr=0.1, weight_decay=0.3)),
        partial(Extragradient, base=partial(sgd, lr=0.1, weight_decay=0.3)),
        partial(local_sgd, base=partial(sgd, lr=0.1, weight_decay=0.3), workers=2),
    ):
        model: Any = network()
        before = weights_of(model)

        def closure(*shard: int, model: Any = model) -> Tensor:
            model.zero_grad()
            model[0].bias.grad = torch.ones_like(model[0].bias)
            return torch.zeros(())

        make(model).step(closure)
        moved = [not torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)]
        assert moved == [False, True, False, False, False, False]


def test_sgd_agrees_with_its_formula() -> None:
    assert_agree(partial(sgd, lr=0.1), walk(plain(0.1)))


def weights_of(model: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def put(model: nn.Module, weights: list[Tensor]) -> None:
    with torch.no_grad():
        for p, w in zip(model.parameters(), weights, strict=True):
            p.copy_(w)


def gradients_at(
    model: nn.Module, weights: list[Tensor], step: int, index: int = 0, of: int = 1
) -> list[Tensor]:
    put(model, weights)
    gradient(model, step, index, of)
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]


class SlowAdam:
    """Adam for one list of weights, number by number as in its paper."""

    def __init__(self, lr: float, decay: float = 0.0):
        self.lr, self.decay, self.t = lr, decay, 0
        self.m: list[Any] = []
        self.v: list[Any] = []

    def __call__(self, weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        self.m = self.m or [0.0] * len(weights)
        self.v = self.v or [0.0] * len(weights)
        self.t += 1
        new = []
        for i, (w, g) in enumerate(zip(weights, gradients, strict=True)):
            self.m[i] = 0.9 * self.m[i] + 0.1 * g
            self.v[i] = 0.999 * self.v[i] + 0.001 * g**2
            m, v = self.m[i] / (1 - 0.9**self.t), self.v[i] / (1 - 0.999**self.t)
            shrunk = w * (1 - self.lr * self.decay) if w.ndim >= 2 else w
            new.append(shrunk - self.lr * m / (v.sqrt() + 1e-8))
        return new


def plain(lr: float) -> Step:
    return lambda weights, gradients: [w - lr * g for w, g in zip(weights, gradients, strict=True)]


@pytest.mark.parametrize("ours", [adam, adamw])
def test_adam_with_decoupled_decay_agrees_with_its_formula(ours: Any) -> None:
    make = partial(ours, lr=0.05, weight_decay=0.3)
    assert_agree(make, walk(SlowAdam(0.05, decay=0.3)), 1e-10)


def shrunk_then(lr: float, decay: float, move: Step) -> Step:
    def step(weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        small = [w * (1 - lr * decay) if w.ndim >= 2 else w for w in weights]
        moved = move(weights, gradients)
        return [s + m - w for s, m, w in zip(small, moved, weights, strict=True)]

    return step


def heavy(lr: float, ahead: bool) -> Step:
    buffers: list[Tensor] = []

    def step(weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        if buffers:
            buffers[:] = [0.9 * b + g for b, g in zip(buffers, gradients, strict=True)]
        else:
            buffers[:] = [g.clone() for g in gradients]
        moves = [g + 0.9 * b if ahead else b for b, g in zip(buffers, gradients, strict=True)]
        return [w - lr * m for w, m in zip(weights, moves, strict=True)]

    return step


def scaled(lr: float, alpha: float | None) -> Step:
    squares: list[Any] = []

    def step(weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        old = squares or [0.0] * len(weights)
        keep, enter = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
        squares[:] = [keep * s + enter * g**2 for s, g in zip(old, gradients, strict=True)]
        return [
            w - lr * g / (s**0.5 + 1e-8)
            for w, g, s in zip(weights, gradients, squares, strict=True)
        ]

    return step


@pytest.mark.parametrize(
    ("ours", "move"),
    [
        (sgd, plain(0.05)),
        (momentum, heavy(0.05, ahead=False)),
        (nesterov, heavy(0.05, ahead=True)),
        (rmsprop, scaled(0.05, alpha=0.99)),
        (partial(adagrad, eps=1e-8), scaled(0.05, alpha=None)),
    ],
    ids=["sgd", "momentum", "nesterov", "rmsprop", "adagrad"],
)
def test_decay_is_decoupled_where_torch_has_none(ours: Any, move: Step) -> None:
    make = partial(ours, lr=0.05, weight_decay=0.3)
    assert_agree(make, walk(shrunk_then(0.05, 0.3, move)), 1e-10)


@pytest.mark.parametrize(
    ("ours", "torchs", "own"),
    [
        (nadam, torch.optim.NAdam, {"decoupled_weight_decay": True}),
        (adafactor, torch.optim.Adafactor, {}),
    ],
)
def test_torchs_own_decoupled_decay_is_used(ours: Any, torchs: Any, own: dict[str, Any]) -> None:
    """Ours is torch's slow form of the same, matrices decayed and vectors not."""

    def slow(model: nn.Module) -> torch.optim.Optimizer:
        groups = [{"params": [p], "weight_decay": 0.3 * (p.ndim >= 2)} for p in model.parameters()]
        made: torch.optim.Optimizer = torchs(groups, lr=0.05, foreach=False, **own)
        return made

    twin = (weights for weights, _ in path(slow))
    assert_agree(partial(ours, lr=0.05, weight_decay=0.3), twin, 1e-12)


def test_sam_over_adam_agrees_with_its_formula() -> None:
    """The adaptive step of the base is along the second gradient, from where the first was."""
    make = partial(SAM, base=partial(adamw, lr=0.05), rho=0.2)
    assert_agree(make, walk(SlowAdam(0.05, decay=0.01), uphill(0.2)), 1e-10)


def ahead(move: Step, at: Gradients) -> Gradients:
    """The gradient a step ahead."""

    def there(model: nn.Module, weights: list[Tensor], step: int) -> list[Tensor]:
        return at(model, move(weights, at(model, weights, step)), step)

    return there


def test_extragradient_agrees_with_its_formula() -> None:
    """Korpelevich: w <- w - lr * gradient(w - lr * gradient(w))."""
    make = partial(Extragradient, base=partial(sgd, lr=0.3))
    assert_agree(make, walk(plain(0.3), ahead(plain(0.3), gradients_at)))
    assert trained(make)[1] == 2 * STEPS


def test_extragradient_over_adam_is_extra_adam() -> None:
    """Gidel et al., algorithm 4: moments are updated by both gradients."""
    slow = SlowAdam(0.05, decay=0.3)
    make = partial(Extragradient, base=partial(adam, lr=0.05, weight_decay=0.3))
    assert_agree(make, walk(slow, ahead(slow, gradients_at)), 1e-10)


def test_sam_over_extragradient_is_sharp_at_both_places() -> None:
    make = partial(SAM, base=partial(Extragradient, base=partial(sgd, lr=0.3)), rho=0.2)
    assert_agree(make, walk(plain(0.3), ahead(plain(0.3), uphill(0.2))))
    assert trained(make)[1] == 4 * STEPS


@pytest.mark.parametrize(
    "name", ["sam", "lookahead", "ema", "swa", "extragradient", "local-sgd", "diloco"]
)
def test_extragradient_refuses_what_does_not_go_back(name: str, registry: Registry) -> None:
    inner = Choice(name, {"base": Choice("adamw")})
    said = TorchLearner.check_optimizer(of(registry, "extragradient", base=inner))
    assert "around" in said


def test_extragradient_refuses_several_gradients_a_step() -> None:
    with pytest.raises(MsbenchError, match="LBFGS takes several"):
        trained(partial(Extragradient, base=lbfgs))


def averaged(fast: Twin, longest: float) -> Twin:
    """decay = min(longest, (1 + t) / (10 + t)) of the average after t steps."""
    mean = weights_of(network())
    for t, weights in enumerate(fast, start=1):
        decay = min(longest, (1 + t) / (10 + t))
        mean = [decay * m + (1 - decay) * w for m, w in zip(mean, weights, strict=True)]
        yield mean


def test_ema_agrees_with_its_formula() -> None:
    make = partial(EMA, base=partial(sgd, lr=0.1), decay=0.4)
    assert_agree(make, averaged(walk(plain(0.1)), 0.4))


def test_ema_over_lookahead_over_adamw_agrees_with_its_formula() -> None:
    """With k = 1 the trained weights are the slow ones, which the twin gives."""
    inner = partial(Lookahead, base=partial(adamw, lr=0.05), k=1, alpha=0.4)
    twin = averaged(slowed(SlowAdam(0.05, decay=0.01), 1, 0.4), 0.9)
    assert_agree(partial(EMA, base=inner, decay=0.9), twin, 1e-10)


def test_ema_without_memory_is_the_last_iterate() -> None:
    assert_same(trained(lambda m: EMA(m, base, decay=0.0))[0], trained(base)[0])


def late_mean(fast: Twin, start: float, every: int) -> Twin:
    """The mean of the weights after every so many steps from `start` on; before, the weights."""
    kept: list[list[Tensor]] = []
    for step, weights in enumerate(fast):
        if step / STEPS >= start and (step + 1) % every == 0:
            kept.append(weights)
        yield [torch.stack(several).mean(0) for several in zip(*(kept or [weights]), strict=True)]


def test_swa_agrees_with_its_formula() -> None:
    """The mean of the weights after every second step of the second half."""
    make = partial(SWA, base=partial(sgd, lr=0.1), start=0.5, every=2)
    assert_agree(make, late_mean(walk(plain(0.1)), 0.5, 2))
    assert_same(trained(lambda m: SWA(m, base, start=0.99))[0], trained(base)[0])  # none yet


def local(outer_lr: float, mu: float, inner: Callable[[], Step]) -> Twin:
    """3 workers, which meet after every 4 steps: workers as lists, written out."""
    model = network()
    met = weights_of(model)
    workers, steps = [met] * 3, [inner() for _ in range(3)]
    buffer: list[Tensor] | None = None
    for step in range(STEPS):
        workers = [
            move(own, gradients_at(model, own, step, k, 3))
            for k, (own, move) in enumerate(zip(workers, steps, strict=True))
        ]
        mean = [sum(several) / 3 for several in zip(*workers, strict=True)]
        if (step + 1) % 4 == 0:
            delta = [old - new for old, new in zip(met, mean, strict=True)]
            old = buffer or [torch.zeros_like(d) for d in delta]
            buffer = [mu * b + d for b, d in zip(old, delta, strict=True)]
            mean = met = [
                w - outer_lr * (d + mu * b) for w, d, b in zip(met, delta, buffer, strict=True)
            ]
            workers = [met] * 3
        yield mean


def test_local_sgd_agrees_with_its_formula() -> None:
    make = partial(local_sgd, base=partial(sgd, lr=0.2), workers=3, every=4)
    assert_agree(make, local(1.0, 0.0, lambda: plain(0.2)))
    assert trained(make)[1] == 3 * STEPS


def test_diloco_agrees_with_its_formula() -> None:
    make = partial(diloco, base=partial(adamw, lr=0.05), workers=3, every=4)
    assert_agree(make, local(0.7, 0.9, lambda: SlowAdam(0.05, decay=0.01)), 1e-10)


def test_workers_send_their_weights_when_they_meet() -> None:
    model = network()
    made: Any = diloco(model, partial(adamw, lr=0.05), workers=3, every=4)
    size = 8 * sum(p.numel() for p in model.parameters())
    for step in range(12):
        made.step(lambda index, of, step=step: gradient(model, step, index, of))
        assert made.sent_bytes == (step + 1) // 4 * 3 * size


def test_workers_hand_on_what_their_optimizers_want_to_know() -> None:
    """Each averages its own weights late in the budget; evaluated is the mean of the averages."""
    inner = partial(SWA, base=partial(sgd, lr=0.2), start=0.5)

    def worker(k: int) -> Twin:
        shard = partial(gradients_at, index=k, of=3)
        return late_mean(walk(plain(0.2), shard), 0.5, 1)

    each = zip(*(worker(k) for k in range(3)), strict=True)
    twin = ([sum(w) / 3 for w in zip(*three, strict=True)] for three in each)
    assert_agree(partial(local_sgd, base=inner, workers=3, every=100), twin)


@pytest.mark.parametrize("outer", [SAM, Lookahead, EMA, SWA])
def test_wrappers_hand_on_what_their_base_wants_to_know(outer: Any) -> None:
    model = network()
    inner = SWA(model, base)
    optimizer = outer(model, lambda model: inner)
    optimizer.spent = 0.25
    optimizer.step(lambda: gradient(model, 0))
    assert inner.spent == optimizer.spent == 0.25


@pytest.mark.parametrize("outer", ["sam", "lookahead", "ema", "swa", "local-sgd"])
def test_workers_are_the_outermost(outer: str, registry: Registry) -> None:
    inner = Choice("local-sgd", {"base": Choice("sgd")})
    said = TorchLearner.check_optimizer(of(registry, outer, base=inner))
    assert "put them around the other optimizer instead" in said


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


def test_workers_that_have_not_met_are_evaluated_at_their_mean_and_go_on() -> None:
    model = network()
    made: Any = local_sgd(model, partial(sgd, lr=0.2), workers=3, every=100)
    for step in range(5):
        made.step(lambda index, of, step=step: gradient(model, step, index, of))
    own = [[p.clone() for p in worker] for worker in made.workers]
    made.eval()
    made.eval()
    mean = [sum(several) / 3 for several in zip(*own, strict=True)]
    assert_same([p.detach() for p in made.weights], mean, 1e-12)
    made.train()
    made.train()
    for worker, before in zip(made.workers, own, strict=True):
        assert_same(worker, before)


def test_muon_takes_hidden_matrices_and_leaves_the_rest_to_adamw() -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(5, 4)
            self.hidden, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    model = Small()
    made = muon(model, lr=0.1)
    assert isinstance(made, Together)
    rest, hidden = made.parts
    assert [p.shape for g in hidden.param_groups for p in g["params"]] == [(4, 4)]
    assert [p is model.hidden.weight for g in hidden.param_groups for p in g["params"]] == [True]
    assert sum(len(g["params"]) for g in rest.param_groups) == 4
    only = muon(nn.Embedding(5, 4))
    assert isinstance(only, Together)
    assert len(only.parts) == 1


def test_muon_agrees_with_its_parts() -> None:
    """Orthogonalized momentum by torch's Muon, AdamW for the others, on one gradient."""

    def twin() -> Twin:
        model: Any = network()
        hidden = [model[0].weight, model[3].weight]
        rest = [p for p in model.parameters() if all(p is not m for m in hidden)]
        how: dict[str, Any] = {"lr": 0.05, "weight_decay": 0.01, "adjust_lr_fn": "match_rms_adamw"}
        one = torch.optim.Muon(hidden, **how)
        two = torch.optim.AdamW(rest, lr=0.05, weight_decay=0, foreach=False)
        for step in range(STEPS):
            gradient(model, step)
            one.step()
            two.step()
            yield weights_of(model)

    assert_agree(partial(muon, lr=0.05), twin())
    assert trained(partial(muon, lr=0.05))[1] == STEPS


def test_lbfgs_counts_every_pass_and_falls() -> None:
    model = network()
    optimizer, losses, calls = lbfgs(model), [], 0

    def closure() -> Tensor:
        nonlocal calls
        calls += 1
        with torch.enable_grad():
            return gradient(model, 0)

    for _ in range(5):
        losses.append(float(optimizer.step(closure)))  # type: ignore[arg-type]
    assert losses[-1] < 0.2 * losses[0]
    assert 5 < calls <= 5 * 6


def test_averages_compose() -> None:
    """EMA over Lookahead over SAM: evaluation and back, twice, and nothing has changed."""
    model = network()

    def lookahead(m: nn.Module) -> Lookahead:
        return Lookahead(m, lambda m: SAM(m, base), k=3)

    optimizer = EMA(model, lookahead, decay=0.9)
    for step in range(7):
        optimizer.step(lambda step=step: gradient(model, step))  # type: ignore[misc]
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    before, average = weights_of(model), [p.clone() for p in optimizer.average]
    for _ in range(2):
        optimizer.eval()
        assert_same(weights, average)
        optimizer.train()
        assert_same(weights_of(model), before)


NAMES = [
    "sgd",
    "momentum",
    "nesterov",
    "rmsprop",
    "adagrad",
    "adam",
    "adamw",
    "nadam",
    "adafactor",
    "muon",
    "lbfgs",
    "sam",
    "extragradient",
    "lookahead",
    "ema",
    "swa",
    "local-sgd",
    "diloco",
]


def of(registry: Registry, name: str, **options: Any) -> Any:
    entry = registry.find("optimizer", name)
    if "base" in entry.options():
        options.setdefault("base", Choice("adamw", {"lr": 1e-2}))
    return registry.build("optimizer", registry.resolve("optimizer", Choice(name, options)))


def test_every_optimizer_is_tested(registry: Registry) -> None:
    ours = [e.name for e in registry.of("optimizer") if e.plugin == "msbench"]
    assert sorted(NAMES) == sorted(ours)


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_learns_and_tells_what_it_is(name: str, registry: Registry) -> None:
    entry = registry.find("optimizer", name)
    assert entry.idea
    assert entry.paper
    assert TorchLearner.check_optimizer(of(registry, name)) == ""
    made = learner(of(registry, name))
    held = [made.task.validation.batch(range(20))]  # type: ignore[arg-type]
    made.mode(training=False)
    before = made.validate(held)
    made.mode(training=True)
    passes = 0.0
    for number, batch in zip(range(15), batches(made.task), strict=False):
        made.set_rate(1.0, number / 15)
        passes += made.train_step(batch).passes
    if name != "lbfgs":
        assert passes == 15 * entry.passes
    made.mode(training=False)
    assert made.validate(held) < before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "options",
    [
        {"lr": -1.0},
        {"lr": 1e9},
        {"momentum": 1.0},
        {"beta2": 1.0},
        {"eps": 0.0},
        {"rho": -0.1},
        {"k": 0},
        {"alpha": 1.5},
        {"decay": 1.0},
        {"start": 1.0},
        {"workers": 1},
        {"every": 0},
        {"outer_lr": 0.0},
        {"weight_decay": -0.1},
        {"iterations": 0},
        {"steps": 0},
    ],
    ids=str,
)
def test_absurd_options_are_refused(name: str, options: dict[str, Any], registry: Registry) -> None:
    if set(options) <= set(registry.find("optimizer", name).options()):
        with pytest.raises(PluginError, match=next(iter(options))):
            of(registry, name, **options)


def test_a_batch_that_is_smaller_than_the_workers_is_refused(registry: Registry) -> None:
    made = learner(of(registry, "local-sgd", workers=9))
    with pytest.raises(Exception, match="a batch of 8 examples has no shard for each of 9 workers"):
        made.train_step(next(batches(made.task)))


def test_an_optimizer_without_a_pass_is_refused() -> None:
    class Idle(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            return None

    made = learner(lambda model: Idle(model.parameters(), lr=0.1))
    with pytest.raises(Exception, match="without calling its closure"):
        made.train_step(next(batches(made.task)))


def test_clip_is_the_length_of_the_whole_gradient() -> None:
    made = learner(partial(sgd, lr=1.0))
    made.clip = 0.01
    before = [p.detach().clone() for p in made.model.parameters()]
    made.train_step(next(batches(made.task)))
    moves = [p.detach() - b for p, b in zip(made.model.parameters(), before, strict=True)]
    assert float(sum((m**2).sum() for m in moves) ** 0.5) == pytest.approx(0.01, rel=1e-3)
