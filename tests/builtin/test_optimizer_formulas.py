"""Our optimizers against slow twins, step by step, in double precision."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adafactor, NAdam

from msbench.builtin.commands.selftest import weights_of
from msbench.builtin.optimizers.inspection import Make
from msbench.builtin.optimizers.local_sgd import diloco, local_sgd
from msbench.builtin.optimizers.torch_optim import (
    adafactor,
    adagrad,
    adam,
    adamw,
    momentum,
    muon,
    nadam,
    nesterov,
    rmsprop,
    sgd,
)
from msbench.builtin.optimizers.wrappers import EMA, SAM, SWA, Extragradient, Lookahead

STEPS = 12
LR, DECAY = 0.05, 0.3
Weights = list[Tensor]
Step = Callable[[Weights, Weights], Weights]
"""(weights, gradients) -> weights."""
Gradients = Callable[[nn.Module, Weights, int], Weights]
"""(model, weights, step) -> the gradients to step along."""
Twin = Iterator[Weights]
"""The weights that are evaluated after each step, computed slowly."""


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3)).double()


def gradient(model: nn.Module, step: int, index: int = 0, of: int = 1) -> Tensor:
    """Backward through the batch of this step, or a shard of it; returns the loss."""
    draw = torch.Generator().manual_seed(step)
    x = torch.randn(6, 5, generator=draw, dtype=torch.double)
    y = torch.randint(3, (6,), generator=draw)
    model.zero_grad()
    with torch.enable_grad():
        loss = nn.functional.cross_entropy(model(x[index::of]), y[index::of])
        loss.backward()
    return loss.detach()


def path(make: Make, every: int = 1) -> Iterator[tuple[Weights, int]]:
    """After each `every` steps: the weights that are evaluated, and how often the closure was
    called. Training then goes on."""
    model, calls = network(), 0
    optimizer: Any = make(model)
    switch(optimizer, "train")
    for step in range(STEPS):

        def closure(index: int = 0, of: int = 1, step: int = step) -> Tensor:
            nonlocal calls
            calls += 1
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


def trained(make: Make) -> tuple[Weights, int]:
    """Weights after the last step, the only one that is evaluated, and the calls of the closure."""
    return next(path(make, every=STEPS))


def assert_same(a: Weights, b: Weights, tolerance: float = 0.0) -> None:
    for x, y in zip(a, b, strict=True):
        assert (x - y).abs().max() <= tolerance


# ── slow twins ──────────────────────────────────────────────────────────────────────────────


def gradients_at(
    model: nn.Module, weights: Weights, step: int, index: int = 0, of: int = 1
) -> Weights:
    torch._foreach_copy_([p.detach() for p in model.parameters()], weights)
    gradient(model, step, index, of)
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]


def walk(move: Step, at: Gradients = gradients_at) -> Twin:
    """Steps along the gradient, or along another one `at` the weights."""
    model = network()
    weights = weights_of(model)
    for step in range(STEPS):
        weights = move(weights, at(model, weights, step))
        yield weights


def plain(lr: float = LR) -> Step:
    return lambda weights, gradients: [w - lr * g for w, g in zip(weights, gradients, strict=True)]


class SlowAdam:
    """Adam for one list of weights, number by number as in its paper."""

    def __init__(self, decay: float = DECAY):
        self.decay, self.t = decay, 0
        self.m: list[Any] = []
        self.v: list[Any] = []

    def __call__(self, weights: Weights, gradients: Weights) -> Weights:
        self.m = self.m or [0.0] * len(weights)
        self.v = self.v or [0.0] * len(weights)
        self.t += 1
        new = []
        for i, (w, g) in enumerate(zip(weights, gradients, strict=True)):
            self.m[i] = 0.9 * self.m[i] + 0.1 * g
            self.v[i] = 0.999 * self.v[i] + 0.001 * g**2
            m, v = self.m[i] / (1 - 0.9**self.t), self.v[i] / (1 - 0.999**self.t)
            shrunk = w * (1 - LR * self.decay) if w.ndim >= 2 else w
            new.append(shrunk - LR * m / (v.sqrt() + 1e-8))
        return new


def heavy_ball(ahead: bool) -> Step:
    buffers: Weights = []

    def step(weights: Weights, gradients: Weights) -> Weights:
        old = buffers or [torch.zeros_like(g) for g in gradients]
        buffers[:] = [0.9 * b + g for b, g in zip(old, gradients, strict=True)]
        moves = [g + 0.9 * b if ahead else b for b, g in zip(buffers, gradients, strict=True)]
        return plain()(weights, moves)

    return step


def scaled(keep: float, enter: float) -> Step:
    squares: list[Any] = []

    def step(weights: Weights, gradients: Weights) -> Weights:
        old = squares or [0.0] * len(weights)
        squares[:] = [keep * s + enter * g**2 for s, g in zip(old, gradients, strict=True)]
        moves = [g / (s**0.5 + 1e-8) for g, s in zip(gradients, squares, strict=True)]
        return plain()(weights, moves)

    return step


def decoupled(move: Step) -> Step:
    """Matrices shrink by LR * DECAY, whatever the step along the gradient is."""

    def step(weights: Weights, gradients: Weights) -> Weights:
        small = [w * (1 - LR * DECAY) if w.ndim >= 2 else w for w in weights]
        moved = move(weights, gradients)
        return [s + m - w for s, m, w in zip(small, moved, weights, strict=True)]

    return step


def uphill(rho: float) -> Gradients:
    """The gradient `rho` uphill: at w + rho * g / |g|."""

    def at(model: nn.Module, weights: Weights, step: int) -> Weights:
        first = gradients_at(model, weights, step)
        norm = sum((g**2).sum() for g in first) ** 0.5
        return gradients_at(model, plain(-rho / norm)(weights, first), step)

    return at


def ahead(move: Step, at: Gradients = gradients_at) -> Gradients:
    """The gradient a step ahead."""
    return lambda model, weights, step: at(model, move(weights, at(model, weights, step)), step)


def slowed(move: Step, k: int, alpha: float, at: Gradients = gradients_at) -> Twin:
    """slow <- slow + alpha * (fast - slow) every k steps; evaluation on slow."""
    model = network()
    fast = slow = weights_of(model)
    for step in range(STEPS):
        fast = move(fast, at(model, fast, step))
        if (step + 1) % k == 0:
            fast = slow = [s + alpha * (f - s) for s, f in zip(slow, fast, strict=True)]
        yield slow


def averaged(fast: Twin, longest: float) -> Twin:
    """decay = min(longest, (1 + t) / (10 + t)) of the average after t steps."""
    mean = weights_of(network())
    for t, weights in enumerate(fast, start=1):
        decay = min(longest, (1 + t) / (10 + t))
        mean = [decay * m + (1 - decay) * w for m, w in zip(mean, weights, strict=True)]
        yield mean


def late_mean(fast: Twin, start: float, every: int) -> Twin:
    """The mean of the weights after every so many steps from `start` on; before, the weights."""
    kept: list[Weights] = []
    for step, weights in enumerate(fast):
        if step / STEPS >= start and (step + 1) % every == 0:
            kept.append(weights)
        yield [torch.stack(copies).mean(0) for copies in zip(*(kept or [weights]), strict=True)]


def local(outer_lr: float, mu: float, inner: Callable[[], Step]) -> Twin:
    """3 workers, which meet after every 4 steps, as lists of weights."""
    model = network()
    met = weights_of(model)
    workers, steps = [met] * 3, [inner() for _ in range(3)]
    buffer = [torch.zeros_like(w) for w in met]
    for step in range(STEPS):
        workers = [
            move(own, gradients_at(model, own, step, k, 3))
            for k, (own, move) in enumerate(zip(workers, steps, strict=True))
        ]
        mean = [sum(copies) / 3 for copies in zip(*workers, strict=True)]
        if (step + 1) % 4 == 0:
            delta = [old - new for old, new in zip(met, mean, strict=True)]
            buffer = [mu * b + d for b, d in zip(buffer, delta, strict=True)]
            moves = [d + mu * b for d, b in zip(delta, buffer, strict=True)]
            mean = met = plain(outer_lr)(met, moves)
            workers = [met] * 3
        yield mean


def late_means_of_workers() -> Twin:
    """Each of 3 workers averages its own weights; evaluated is the mean of the averages."""
    shards = [partial(gradients_at, index=k, of=3) for k in range(3)]
    workers = [late_mean(walk(plain(), shard), 0.5, 1) for shard in shards]
    for averages in zip(*workers, strict=True):
        yield [sum(copies) / 3 for copies in zip(*averages, strict=True)]


def by_torch(make: Any, **options: Any) -> Twin:
    """torch's slow form of the same, matrices decayed and vectors not."""

    def slow(model: nn.Module) -> Any:
        groups = [
            {"params": [p], "weight_decay": DECAY * (p.ndim >= 2)} for p in model.parameters()
        ]
        return make(groups, lr=LR, foreach=False, **options)

    return (weights for weights, _ in path(slow))


def muon_by_parts() -> Twin:
    """Orthogonalized momentum by torch's Muon, AdamW for the others, on one gradient."""
    model: Any = network()
    hidden = [model[0].weight, model[3].weight]
    rest = [p for p in model.parameters() if all(p is not m for m in hidden)]
    parts = [
        torch.optim.Muon(hidden, lr=LR, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=LR, weight_decay=0, foreach=False),
    ]
    for step in range(STEPS):
        gradient(model, step)
        for part in parts:
            part.step()
        yield weights_of(model)


# ── ours ────────────────────────────────────────────────────────────────────────────────────

options: dict[str, Any] = {"lr": LR, "weight_decay": DECAY}
sam_adamw = partial(SAM, base=partial(adamw, **options), rho=0.2)
extra_sgd = partial(Extragradient, base=partial(sgd, lr=LR))
lookahead_adamw = partial(Lookahead, base=partial(adamw, lr=LR), k=1, alpha=0.4)
late_swa = partial(SWA, base=partial(sgd, lr=LR), start=0.5)

FORMULAS: dict[str, tuple[Any, Callable[[], Twin]]] = {
    "sgd": (partial(sgd, lr=LR), lambda: walk(plain())),
    "sgd, decay": (partial(sgd, **options), lambda: walk(decoupled(plain()))),
    "momentum": (partial(momentum, **options), lambda: walk(decoupled(heavy_ball(ahead=False)))),
    "nesterov": (partial(nesterov, **options), lambda: walk(decoupled(heavy_ball(ahead=True)))),
    "rmsprop": (partial(rmsprop, **options), lambda: walk(decoupled(scaled(0.99, 0.01)))),
    "adagrad": (partial(adagrad, eps=1e-8, **options), lambda: walk(decoupled(scaled(1, 1)))),
    "adam": (partial(adam, **options), lambda: walk(SlowAdam())),
    "adamw": (partial(adamw, **options), lambda: walk(SlowAdam())),
    "nadam": (partial(nadam, **options), lambda: by_torch(NAdam, decoupled_weight_decay=True)),
    "adafactor": (partial(adafactor, **options), lambda: by_torch(Adafactor)),
    "muon": (partial(muon, lr=LR), muon_by_parts),
    "sam": (partial(SAM, base=partial(sgd, lr=LR), rho=0.3), lambda: walk(plain(), uphill(0.3))),
    # The adaptive step of the base is along the second gradient, from where the first was.
    "sam over adamw": (sam_adamw, lambda: walk(SlowAdam(), uphill(0.2))),
    # Korpelevich: w <- w - lr * gradient(w - lr * gradient(w)).
    "extragradient": (extra_sgd, lambda: walk(plain(), ahead(plain()))),
    # Gidel et al., algorithm 4: moments are updated by both gradients.
    "extragradient over adam": (
        partial(Extragradient, base=partial(adam, **options)),
        lambda: walk(slow := SlowAdam(), ahead(slow)),
    ),
    "sam over extragradient": (
        partial(SAM, base=extra_sgd, rho=0.2),
        lambda: walk(plain(), ahead(plain(), uphill(0.2))),
    ),
    "lookahead": (
        partial(Lookahead, base=partial(sgd, lr=LR), k=5, alpha=0.4),
        lambda: slowed(plain(), 5, 0.4),
    ),
    "lookahead over sam over adamw": (
        partial(Lookahead, base=sam_adamw, k=5, alpha=0.4),
        lambda: slowed(SlowAdam(), 5, 0.4, uphill(0.2)),
    ),
    "ema": (
        partial(EMA, base=partial(sgd, lr=LR), decay=0.4),
        lambda: averaged(walk(plain()), 0.4),
    ),
    # With k = 1 the trained weights are the slow ones, which the twin gives.
    "ema over lookahead over adamw": (
        partial(EMA, base=lookahead_adamw, decay=0.9),
        lambda: averaged(slowed(SlowAdam(decay=0.01), 1, 0.4), 0.9),
    ),
    "swa": (
        partial(SWA, base=partial(sgd, lr=LR), start=0.5, every=2),
        lambda: late_mean(walk(plain()), 0.5, 2),
    ),
    "local-sgd": (
        partial(local_sgd, base=partial(sgd, lr=LR), workers=3, every=4),
        lambda: local(1.0, 0.0, plain),
    ),
    "local-sgd over swa": (
        partial(local_sgd, base=late_swa, workers=3, every=100),
        late_means_of_workers,
    ),
    "diloco": (
        partial(diloco, base=partial(adamw, lr=LR), workers=3, every=4),
        lambda: local(0.7, 0.9, lambda: SlowAdam(decay=0.01)),
    ),
}
CALLS = {
    **dict.fromkeys(["sam", "sam over adamw", "lookahead over sam over adamw"], 2),
    **dict.fromkeys(["extragradient", "extragradient over adam"], 2),
    **dict.fromkeys(["local-sgd", "local-sgd over swa", "diloco"], 3),
    "sam over extragradient": 4,
}
"""Of the closure in each step; of all others 1."""


@pytest.mark.parametrize("name", FORMULAS)
def test_an_optimizer_agrees_with_its_formula(name: str) -> None:
    make, twin = FORMULAS[name]
    for step, ((weights, called), expected) in enumerate(zip(path(make), twin(), strict=True)):
        assert_same(weights, expected, 1e-12)
        assert called == CALLS.get(name, 1) * (step + 1)
