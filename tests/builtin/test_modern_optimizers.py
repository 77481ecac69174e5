"""The optimizers of the last years against their papers, written out slowly in double precision."""

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from test_optimizer_formulas import (
    DECAY,
    LR,
    STEPS,
    Step,
    Weights,
    assert_same,
    gradient,
    gradients_at,
    network,
    path,
    walk,
)
from torch import Tensor

from msbench.builtin.commands.selftest import weights_of
from msbench.builtin.optimizers.adam_family import ademamix, cautious_adamw, lamb, lion, mars
from msbench.builtin.optimizers.kronecker import shampoo, soap
from msbench.builtin.optimizers.orthogonalized import adamuon, normuon, orthogonalized, scion
from msbench.builtin.optimizers.parameter_free import dadapt_adam, prodigy
from msbench.builtin.optimizers.sophia import sophia_g

Way = Callable[["Slow", int, Tensor, Tensor], Tensor]
"""(memory, number of the weight tensor, it, its gradient) -> the way to go, times the rate."""

D0 = 1e-5
"""The first estimate of those that find their rate."""


class Slow:
    """One tensor at a time, with what is remembered of each by name."""

    def __init__(self, way: Way, lr: float = LR, decay: float = DECAY):
        self.way, self.lr, self.decay, self.t = way, lr, decay, 0
        self.memory: dict[Any, Any] = {}

    def __call__(self, weights: Weights, gradients: Weights) -> Weights:
        self.t += 1
        new = []
        for i, (w, g) in enumerate(zip(weights, gradients, strict=True)):
            small = w * (1 - self.lr * self.decay) if w.ndim >= 2 else w
            new.append(small - self.lr * self.way(self, i, w, g))
        return new

    def mean(self, name: Any, value: Tensor, keep: float) -> Tensor:
        """The moving mean under this name, with the value in it."""
        old = self.memory.get(name, torch.zeros_like(value))
        self.memory[name] = keep * old + (1 - keep) * value
        return self.memory[name]

    def adam(self, i: int, g: Tensor, beta1: float, beta2: float, eps: float = 1e-8) -> Tensor:
        m = self.mean(("m", i), g, beta1) / (1 - beta1**self.t)
        v = self.mean(("v", i), g * g, beta2) / (1 - beta2**self.t)
        return m / (v.sqrt() + eps)


def slow_lion(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    old = slow.memory.get(i, torch.zeros_like(g))
    slow.mean(i, g, 0.99)
    return (0.9 * old + 0.1 * g).sign()


def slow_cautious(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    u = slow.adam(i, g, 0.9, 0.999)
    kept = [[float(a), float(a * b > 0)] for a, b in zip(u.flatten(), g.flatten(), strict=True)]
    share = max(sum(k for _, k in kept) / len(kept), 1e-3)
    return torch.tensor([a * k / share for a, k in kept], dtype=torch.double).view_as(u)


def slow_ademamix(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    share = (slow.t - 1) / STEPS
    low, high = math.log(0.9), math.log(0.9999)
    beta3 = min(math.exp(low * high / ((1 - share) * high + share * low)), 0.9999)
    slowest = slow.mean(("slow", i), g, beta3)
    m = slow.mean(("m", i), g, 0.9) / (1 - 0.9**slow.t)
    v = slow.mean(("v", i), g * g, 0.999) / (1 - 0.999**slow.t)
    return (m + 8.0 * share * slowest) / (v.sqrt() + 1e-8)


def slow_mars(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    last = slow.memory.get(("last", i), g)
    slow.memory["last", i] = g
    c = g + 0.5 * 0.95 / 0.05 * (g - last)
    return slow.adam(i, c / max(1.0, float(c.norm())), 0.95, 0.99)


def slow_lamb(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    u = slow.adam(i, g, 0.9, 0.999, 1e-6) + DECAY * (w.ndim >= 2) * w
    return u * (w.norm() / u.norm() if w.norm() > 0 and u.norm() > 0 else 1.0)


def newton_schulz(matrix: Tensor) -> Tensor:
    """By singular values: the quintic of Jordan et al. applied to each, five times."""
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s) @ v


def beside_adamw(way: Way) -> Way:
    return lambda slow, i, w, g: way(slow, i, w, g) if w.ndim == 2 else slow.adam(i, g, 0.9, 0.999)


def slow_normuon(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    o = newton_schulz(slow.mean(("m", i), g, 0.95))
    rows = slow.mean(("rows", i), (o * o).mean(1, keepdim=True), 0.9)
    o = o / (rows.sqrt() + 1e-8)
    return 0.2 * math.sqrt(o.numel()) * o / o.norm()


def slow_adamuon(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    slow.memory["m", i] = 0.95 * slow.memory.get(("m", i), 0.0) + g
    o = newton_schulz(slow.memory["m", i].sign())
    o = o / (slow.mean(("v", i), o * o, 0.95).sqrt() + 1e-8)
    return 0.2 * math.sqrt(o.numel()) * o / o.norm()


def slow_scion(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    m = slow.mean(i, g, 0.9)
    if w.ndim == 1:
        return 2.0 * m / m.square().mean().sqrt()
    return 2.0 * math.sqrt(len(w) / w.shape[1]) * newton_schulz(m)


def slow_scion_in_a_ball(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    return slow_scion(slow, i, w, g) + w


def slow_shampoo(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    """Inverse fourth roots made anew in every third step; the ridge is a share of the largest."""
    u = slow.adam(i, g, 0.9, 0.999)
    if w.ndim == 1:
        return u
    left = slow.mean(("left", i), g @ g.T, 0.999)
    right = slow.mean(("right", i), g.T @ g, 0.999)
    if (slow.t - 1) % 3 == 0:
        slow.memory["roots", i] = [quarter_root(side) for side in (left, right)]
    a, b = slow.memory["roots", i]
    way = a @ slow.memory["m", i] @ b
    return way * u.norm() / way.norm()


def quarter_root(side: Tensor) -> Tensor:
    """By singular values, which are the eigenvalues of such a matrix."""
    u, s, _ = torch.linalg.svd(side)
    return u @ torch.diag((s + 1e-3 * s[0]) ** -0.25) @ u.T


def slow_soap(slow: Slow, i: int, w: Tensor, g: Tensor) -> Tensor:
    """Bases by Gram-Schmidt, which agree with those of a QR decomposition but for signs."""
    if w.ndim == 1:
        return slow.adam(i, g, 0.9, 0.8)
    first, squares = slow.t == 1, (g @ g.T, g.T @ g)
    if first:
        sides = [slow.mean((side, i), square, 0.8) for side, square in enumerate(squares)]
        slow.memory["bases", i] = [torch.linalg.eigh(side)[1].flip(1) for side in sides]
    left, right = slow.memory["bases", i]
    m = slow.mean(("m", i), g, 0.9) / (1 - 0.9**slow.t)
    v = slow.mean(("v", i), (left.T @ g @ right) ** 2, 0.8) / (1 - 0.8**slow.t)
    way = left @ ((left.T @ m @ right) / (v.sqrt() + 1e-8)) @ right.T
    if not first:
        sides = [slow.mean((side, i), square, 0.8) for side, square in enumerate(squares)]
        if (slow.t - 1) % 3 == 0:
            pairs = zip(sides, (left, right), strict=True)
            slow.memory["bases", i] = [gram_schmidt(s @ b) for s, b in pairs]
    return way


def gram_schmidt(matrix: Tensor) -> Tensor:
    columns: list[Tensor] = []
    for column in matrix.T:
        for _ in range(2):  # once more, for the digits that the first time loses
            for other in columns:
                column = column - (column @ other) * other
        columns.append(column / column.norm())
    return torch.stack(columns, 1)


def slow_prodigy(weights: Weights, lr: float = 1.0) -> Step:
    """All weights as one long vector, as in the paper."""
    d, r = D0, 0.0
    start = [w.clone() for w in weights]
    m, v, s = ([torch.zeros_like(w) for w in weights] for _ in range(3))
    root = math.sqrt(0.999)

    def step(weights: Weights, gradients: Weights) -> Weights:
        nonlocal d, r
        inner = sum(
            float((g * (a - w)).sum()) for g, a, w in zip(gradients, start, weights, strict=True)
        )
        r = root * r + (1 - root) * lr * d**2 * inner
        new = []
        for i, (w, g) in enumerate(zip(weights, gradients, strict=True)):
            s[i] = root * s[i] + (1 - root) * lr * d**2 * g
            m[i] = 0.9 * m[i] + 0.1 * d * g
            v[i] = 0.999 * v[i] + 0.001 * d**2 * g * g
            small = w * (1 - lr * d * DECAY) if w.ndim >= 2 else w
            new.append(small - lr * d * m[i] / (v[i].sqrt() + d * 1e-8))
        d = max(d, r / float(sum(each.abs().sum() for each in s)))
        seen.append(d)
        return new

    seen: list[float] = []
    step.seen = seen  # type: ignore[attr-defined]
    return step


def slow_dadapt(weights: Weights, lr: float = 1.0) -> Step:
    d, r = D0, 0.0
    m, v, s = ([torch.zeros_like(w) for w in weights] for _ in range(3))
    root = math.sqrt(0.999)

    def step(weights: Weights, gradients: Weights) -> Weights:
        nonlocal d, r
        inner, new = 0.0, []
        for i, (w, g) in enumerate(zip(weights, gradients, strict=True)):
            inner += float((g * s[i] / (v[i].sqrt() + 1e-8)).sum())
            m[i] = 0.9 * m[i] + 0.1 * d * lr * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            s[i] = root * s[i] + (1 - root) * lr * d * g
            small = w * (1 - lr * d * DECAY) if w.ndim >= 2 else w
            new.append(small - m[i] / (v[i].sqrt() + 1e-8))
        r = root * r + (1 - root) * lr * d * inner
        d = max(d, r / ((1 - root) * float(sum(each.abs().sum() for each in s))))
        seen.append(d)
        return new

    seen: list[float] = []
    step.seen = seen  # type: ignore[attr-defined]
    return step


decayed: dict[str, Any] = {"lr": LR, "weight_decay": DECAY}
scion_options: dict[str, Any] = {"lr": LR, "radius": 2.0, "outer_radius": 2.0}

PAPERS: dict[str, tuple[Any, Slow]] = {
    "lion": (partial(lion, **decayed), Slow(slow_lion)),
    "cautious-adamw": (partial(cautious_adamw, **decayed), Slow(slow_cautious)),
    "ademamix": (partial(ademamix, **decayed), Slow(slow_ademamix)),
    "mars": (partial(mars, gamma=0.5, **decayed), Slow(slow_mars)),
    "lamb": (partial(lamb, **decayed), Slow(slow_lamb, decay=0.0)),
    "normuon": (partial(normuon, beta2=0.9, **decayed), Slow(beside_adamw(slow_normuon))),
    "adamuon": (partial(adamuon, **decayed), Slow(beside_adamw(slow_adamuon))),
    "scion, unconstrained": (
        partial(scion, constrained=False, **scion_options),
        Slow(slow_scion, decay=0.0),
    ),
    "scion": (partial(scion, **scion_options), Slow(slow_scion_in_a_ball, decay=0.0)),
    "shampoo": (
        partial(shampoo, beta2=0.999, ridge=1e-3, every=3, **decayed),
        Slow(slow_shampoo),
    ),
    "soap": (partial(soap, beta1=0.9, beta2=0.8, every=3, **decayed), Slow(slow_soap)),
}

TOLERANCES = {"shampoo": 1e-9, "soap": 1e-7, "dadapt-adam": 1e-10}
"""Of absolute differences; small eigenvalues, and an estimate that grows, have fewer digits."""


@pytest.mark.parametrize("name", PAPERS)
def test_an_optimizer_is_that_of_its_paper(name: str) -> None:
    make, slow = PAPERS[name]
    for (weights, _), expected in zip(path(make), walk(slow), strict=True):
        assert_same(weights, expected, TOLERANCES.get(name, 1e-12))


@pytest.mark.parametrize(("make", "slow"), [(prodigy, slow_prodigy), (dadapt_adam, slow_dadapt)])
def test_an_optimizer_without_a_rate_is_that_of_its_paper(make: Any, slow: Any) -> None:
    """On one batch, since the estimate only grows where gradients agree with each other."""
    model, twin = network(), network()
    optimizer = make(model, d0=D0, weight_decay=DECAY)
    weights = weights_of(twin)
    step = slow(weights)
    for _ in range(STEPS):
        optimizer.step(lambda: gradient(model, 0))
        weights = step(weights, gradients_at(twin, weights, 0))
        assert_same(list(model.parameters()), weights, TOLERANCES["dadapt-adam"])
    assert step.seen[-1] > 2 * D0, "the estimate has grown"


def test_sophia_g_is_that_of_its_paper() -> None:
    """Curvature from the gradient on other labels, in every third step first."""
    model, twin = network(), network()
    optimizer: Any = sophia_g(model, every=3, gamma=30.0, **decayed)
    kinds, asked = [], []

    def closure(labels: str = "given") -> Tensor:
        asked.append(labels)
        return gradient(model, step + 100 * (labels == "sampled"))

    weights = weights_of(twin)
    m, h = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(STEPS):
        kinds.append(optimizer.step_kind())
        optimizer.step(closure)
        if step % 3 == 0:
            seen = gradients_at(twin, weights, step + 100)
            h = [0.99 * a + 0.01 * g * g for a, g in zip(h, seen, strict=True)]
        m = [0.96 * a + 0.04 * g for a, g in zip(m, gradients_at(twin, weights, step), strict=True)]
        ways = [a / torch.clamp(30.0 * b, min=1e-12) for a, b in zip(m, h, strict=True)]
        small = [w * (1 - LR * DECAY) if w.ndim >= 2 else w for w in weights]
        weights = [w - LR * way.clamp(-1, 1) for w, way in zip(small, ways, strict=True)]
        assert_same(list(model.parameters()), weights, 1e-12)
    assert any(0 < float(way.abs().min()) < 1 for way in ways), "some are not clipped"
    assert kinds == [True, False, False] * 4
    assert asked == ["sampled", "given", "given", "given"] * 4


@pytest.mark.parametrize(
    "make",
    [partial(prodigy, d0=D0), partial(dadapt_adam, d0=D0), partial(soap, every=3), mars, sophia_g],
    ids=["prodigy", "dadapt-adam", "soap", "mars", "sophia-g"],
)
def test_a_state_is_all_that_training_needs_to_go_on(make: Any) -> None:
    """Counts and estimates are of all weights, and belong to the state, too."""
    model = network()
    optimizer = make(model)
    for _ in range(4):
        optimizer.step(lambda labels="given": gradient(model, 0))
    later = deepcopy(model)
    other = make(later)
    other.load_state_dict(deepcopy(optimizer.state_dict()))
    for _ in range(3):
        optimizer.step(lambda labels="given": gradient(model, 0))
        other.step(lambda labels="given": gradient(later, 0))
    assert_same(list(model.parameters()), list(later.parameters()))


def test_orthogonal_matrices_of_any_shape() -> None:
    for shape in [(4, 9), (9, 4), (5, 5)]:
        values = torch.linalg.svdvals(orthogonalized(torch.randn(shape), 5))
        assert values.min() > 0.3
        assert values.max() < 1.3
