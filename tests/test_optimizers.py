"""Our optimizers against slow references and exact identities, in double precision."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from msbench import Choice, PluginError, Registry
from msbench.builtin.learner import TorchLearner
from msbench.builtin.local import diloco, local_sgd
from msbench.builtin.optimizers import (
    Together,
    adagrad,
    adam,
    adamw,
    decayed,
    lbfgs,
    momentum,
    muon,
    nesterov,
    rmsprop,
    sgd,
)
from msbench.builtin.selftest import batches, learner
from msbench.builtin.wrappers import EMA, SAM, SWA, Extragradient, Lookahead

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


def trained(make: Make, steps: int = 12) -> tuple[list[Tensor], int]:
    """Weights after some steps, and how often the closure was called."""
    model = network()
    optimizer, calls = make(model), 0
    for step in range(steps):

        def closure(index: int = 0, of: int = 1, step: int = step) -> Tensor:
            nonlocal calls
            calls += 1
            with torch.enable_grad():
                return gradient(model, step, index, of)

        if hasattr(optimizer, "spent"):
            optimizer.spent = step / steps
        optimizer.step(closure)  # type: ignore[arg-type]
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    return [p.detach().clone() for p in model.parameters()], calls


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


def test_sam_agrees_with_its_formula() -> None:
    """w <- w - lr * gradient(w + rho * g / |g|), written out with plain tensors."""
    lr, rho = 0.1, 0.3
    model = network()
    weights = list(model.parameters())
    for step in range(12):
        gradient(model, step)
        first = [p.grad.clone() for p in weights if p.grad is not None]
        norm = sum((g**2).sum() for g in first) ** 0.5
        before = [p.detach().clone() for p in weights]
        with torch.no_grad():
            for p, g in zip(weights, first, strict=True):
                p += rho * g / norm
        gradient(model, step)
        with torch.no_grad():
            for p, old in zip(weights, before, strict=True):
                p.copy_(old - lr * p.grad)
    got, _ = trained(lambda m: SAM(m, lambda m: sgd(m, lr=lr), rho=rho))
    assert_same(got, [p.detach() for p in weights], 1e-12)


def test_lookahead_that_moves_all_the_way_at_once_is_its_base() -> None:
    expected, calls = trained(base)
    got, same = trained(lambda model: Lookahead(model, base, k=1, alpha=1.0))
    assert_same(got, expected)
    assert calls == same


def test_lookahead_agrees_with_its_formula() -> None:
    """slow <- slow + alpha * (fast - slow) every k steps; evaluation on slow."""
    model = network()
    optimizer = sgd(model, lr=0.1)
    slow = [p.detach().clone() for p in model.parameters()]
    for step in range(12):
        gradient(model, step)
        optimizer.step()
        if (step + 1) % 5 == 0:
            with torch.no_grad():
                slow = [s + 0.4 * (p - s) for s, p in zip(slow, model.parameters(), strict=True)]
                for p, s in zip(model.parameters(), slow, strict=True):
                    p.copy_(s)
    got, _ = trained(lambda m: Lookahead(m, lambda m: sgd(m, lr=0.1), k=5, alpha=0.4))
    assert_same(got, slow, 1e-12)


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


def test_sgd_agrees_with_its_formula() -> None:
    model = network()
    for step in range(12):
        gradient(model, step)
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
    got, _ = trained(lambda m: sgd(m, lr=0.1))
    assert_same(got, [p.detach() for p in model.parameters()], 1e-12)


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


Step = Callable[[list[Tensor], list[Tensor]], list[Tensor]]


def plain(lr: float) -> Step:
    return lambda weights, gradients: [w - lr * g for w, g in zip(weights, gradients, strict=True)]


@pytest.mark.parametrize("ours", [adam, adamw])
def test_adam_with_decoupled_decay_agrees_with_its_formula(ours: Any) -> None:
    model, slow = network(), SlowAdam(0.05, decay=0.3)
    weights = weights_of(model)
    for step in range(12):
        weights = slow(weights, gradients_at(model, weights, step))
    got, _ = trained(partial(ours, lr=0.05, weight_decay=0.3))
    assert_same(got, weights, 1e-10)


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
    model = network()
    weights, step_of = weights_of(model), shrunk_then(0.05, 0.3, move)
    for step in range(12):
        weights = step_of(weights, gradients_at(model, weights, step))
    got, _ = trained(partial(ours, lr=0.05, weight_decay=0.3))
    assert_same(got, weights, 1e-10)


def test_sam_over_adam_agrees_with_its_formula() -> None:
    """The adaptive step of the base is along the second gradient, from where the first was."""
    model, slow = network(), SlowAdam(0.05, decay=0.01)
    weights = weights_of(model)
    for step in range(12):
        first = gradients_at(model, weights, step)
        norm = sum((g**2).sum() for g in first) ** 0.5
        uphill = [w + 0.2 * g / norm for w, g in zip(weights, first, strict=True)]
        weights = slow(weights, gradients_at(model, uphill, step))
    got, _ = trained(lambda m: SAM(m, partial(adamw, lr=0.05), rho=0.2))
    assert_same(got, weights, 1e-10)


def test_extragradient_agrees_with_its_formula() -> None:
    """Korpelevich: w <- w - lr * gradient(w - lr * gradient(w))."""
    model = network()
    weights = weights_of(model)
    for step in range(12):
        ahead = plain(0.3)(weights, gradients_at(model, weights, step))
        weights = plain(0.3)(weights, gradients_at(model, ahead, step))
    got, calls = trained(lambda m: Extragradient(m, partial(sgd, lr=0.3)))
    assert_same(got, weights, 1e-12)
    assert calls == 24


def test_extragradient_over_adam_is_extra_adam() -> None:
    """Gidel et al., algorithm 4: moments are updated by both gradients."""
    model, slow = network(), SlowAdam(0.05)
    weights = weights_of(model)
    for step in range(12):
        ahead = slow(weights, gradients_at(model, weights, step))
        weights = slow(weights, gradients_at(model, ahead, step))
    got, _ = trained(lambda m: Extragradient(m, partial(adam, lr=0.05)))
    assert_same(got, weights, 1e-10)


def test_ema_agrees_with_its_formula() -> None:
    model = network()
    weights = weights_of(model)
    mean = weights
    for step in range(12):
        weights = plain(0.1)(weights, gradients_at(model, weights, step))
        decay = min(0.4, (2 + step) / (11 + step))
        mean = [decay * m + (1 - decay) * w for m, w in zip(mean, weights, strict=True)]
    got, _ = trained(lambda m: EMA(m, partial(sgd, lr=0.1), decay=0.4))
    assert_same(got, mean, 1e-12)


def test_ema_without_memory_is_the_last_iterate() -> None:
    assert_same(trained(lambda m: EMA(m, base, decay=0.0))[0], trained(base)[0])


def test_swa_agrees_with_its_formula() -> None:
    """The mean of the weights after every second step of the second half."""
    model = network()
    weights, kept = weights_of(model), []
    for step in range(12):
        weights = plain(0.1)(weights, gradients_at(model, weights, step))
        if step / 12 >= 0.5 and (step + 1) % 2 == 0:
            kept.append(weights)
    mean = [torch.stack(several).mean(0) for several in zip(*kept, strict=True)]
    got, _ = trained(lambda m: SWA(m, partial(sgd, lr=0.1), start=0.5, every=2))
    assert_same(got, mean, 1e-12)
    assert_same(trained(lambda m: SWA(m, base, start=0.99))[0], trained(base)[0])  # none yet


def local(outer_lr: float, mu: float, inner: Callable[[], Step]) -> tuple[list[Tensor], int]:
    """3 workers, which meet after every 4 steps: workers as lists, written out."""
    model = network()
    met = weights_of(model)
    workers, steps = [met] * 3, [inner() for _ in range(3)]
    buffer: list[Tensor] | None = None
    meetings = 0
    for step in range(12):
        workers = [
            move(own, gradients_at(model, own, step, k, 3))
            for k, (own, move) in enumerate(zip(workers, steps, strict=True))
        ]
        if (step + 1) % 4 == 0:
            mean = [sum(several) / 3 for several in zip(*workers, strict=True)]
            delta = [old - new for old, new in zip(met, mean, strict=True)]
            buffer = (
                delta
                if buffer is None
                else [mu * b + d for b, d in zip(buffer, delta, strict=True)]
            )
            met = [w - outer_lr * (d + mu * b) for w, d, b in zip(met, delta, buffer, strict=True)]
            workers, meetings = [met] * 3, meetings + 1
    return met, meetings


def test_local_sgd_agrees_with_its_formula() -> None:
    expected, _ = local(1.0, 0.0, lambda: plain(0.2))
    got, calls = trained(partial(local_sgd, base=partial(sgd, lr=0.2), workers=3, every=4))
    assert_same(got, expected, 1e-12)
    assert calls == 36


def test_diloco_agrees_with_its_formula() -> None:
    expected, meetings = local(0.7, 0.9, lambda: SlowAdam(0.05, decay=0.01))
    inner = partial(adamw, lr=0.05)
    got, _ = trained(partial(diloco, base=inner, workers=3, every=4))
    assert_same(got, expected, 1e-10)
    model = network()
    made: Any = diloco(model, inner, workers=3, every=4)
    for step in range(12):
        made.step(lambda index, of, step=step: gradient(model, step, index, of))
    assert made.sent_bytes == meetings * 3 * 8 * sum(p.numel() for p in model.parameters())


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
    model = network()
    muons, rest = [model[0].weight, model[3].weight], []
    rest = [p for p in model.parameters() if all(p is not m for m in muons)]
    how: dict[str, Any] = {"lr": 0.05, "weight_decay": 0.01, "adjust_lr_fn": "match_rms_adamw"}
    one, two = torch.optim.Muon(muons, **how), torch.optim.AdamW(rest, lr=0.05, weight_decay=0)
    for step in range(12):
        gradient(model, step)
        one.step()
        two.step()
    got, calls = trained(partial(muon, lr=0.05))
    assert_same(got, weights_of(model), 1e-12)
    assert calls == 12


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
