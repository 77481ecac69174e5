"""Our optimizers against slow references and exact identities, in double precision."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from msbench.builtin.optimizers import adamw, decayed, momentum, sgd
from msbench.builtin.wrappers import SAM, Lookahead

Make = Callable[[nn.Module], torch.optim.Optimizer]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3)).double()


def data(step: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(step)
    x = torch.randn(6, 5, generator=draw, dtype=torch.double)
    return x, torch.randint(3, (6,), generator=draw)


def gradient(model: nn.Module, step: int) -> Tensor:
    model.zero_grad()
    x, y = data(step)
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    return loss.detach()


def trained(make: Make, steps: int = 12) -> tuple[list[Tensor], int]:
    """Weights after some steps, and how often the closure was called."""
    model = network()
    optimizer, calls = make(model), 0
    for step in range(steps):

        def closure(step: int = step) -> Tensor:
            nonlocal calls
            calls += 1
            with torch.enable_grad():
                return gradient(model, step)

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
    groups = decayed(network(), 0.1)
    assert [group["decoupled_decay"] for group in groups] == [0.1, 0.0]
    assert [{p.ndim for p in group["params"]} for group in groups] == [{2}, {1}]
    assert sum(len(group["params"]) for group in groups) == len(list(network().parameters()))


def test_sgd_agrees_with_its_formula() -> None:
    model = network()
    for step in range(12):
        gradient(model, step)
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
    got, _ = trained(lambda m: sgd(m, lr=0.1))
    assert_same(got, [p.detach() for p in model.parameters()], 1e-12)
