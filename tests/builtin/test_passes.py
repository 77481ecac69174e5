"""Passes that can be differentiated, passes on sampled labels, and passes that nobody announced."""

from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

from msbench import IGNORE, Batch, MsbenchError, training_batches
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy as cross_entropy_loss
from msbench.builtin.losses.pointwise import r_drop
from msbench.builtin.models.lstm import LSTM
from msbench.builtin.optimizers.local_sgd import local_sgd
from msbench.builtin.optimizers.wrappers import SAM
from msbench.builtin.placing import placed
from msbench.builtin.replaying import made_up, small_model
from msbench.builtin.sampled import labels_from
from msbench.run.clock import Clock

KINDS = ["classify", "tag", "seq2seq", "lm"]


class Curious(Optimizer):
    """SGD that hands whatever it is given to `look` before it moves."""

    def __init__(self, model: nn.Module, look: Any = None, lr: float = 0.1):
        super().__init__(model.parameters(), {"lr": lr})
        self.model, self.look, self.seen = model, look, list[Any]()

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        loss = closure()
        if self.look is not None:
            self.seen.append(self.look(self, closure))
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad, alpha=-group["lr"])
        return loss


def learner(kind: str, look: Any = None, model: Any = None, **options: Any) -> TorchLearner:
    parts: dict[str, Any] = {"loss": cross_entropy_loss, "optimizer": partial(Curious, look=look)}
    model = model or partial(small_model(kind), dropout=0.0)
    made = TorchLearner(made_up(kind), model=model, seed=0, **{**parts, **options})
    made.mode(training=True)
    return made


def a_batch(kind: str) -> Batch:
    return next(islice(training_batches(made_up(kind).train, 8, np.random.default_rng(0)), 1))


def plain(gradient: list[Tensor | None]) -> Tensor:
    return torch.cat([g.detach().flatten() for g in gradient if g is not None])


def curvature(optimizer: Curious, closure: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient, once plain and once with its graph, and the Hessian's product with itself."""
    weights = [p for p in optimizer.model.parameters() if p.grad is not None]
    before = plain([p.grad for p in weights])
    closure(create_graph=True)
    gradients = [p.grad for p in weights]
    with torch.enable_grad():
        products = torch.autograd.grad(
            gradients,
            weights,
            grad_outputs=[g.detach() for g in gradients],
            allow_unused=True,
            materialize_grads=True,
        )
    return before, plain(list(gradients)), plain(list(products))


PARTS = {"accumulate": 3, "clip": 0.1}


@pytest.mark.parametrize(
    ("kind", "options"),
    [("classify", {}), ("tag", PARTS), ("seq2seq", PARTS), ("lm", {}), ("recurrent", {})],
)
def test_a_gradient_that_can_be_differentiated_is_the_same_one(
    kind: str, options: dict[str, Any]
) -> None:
    model = partial(LSTM, width=8, dropout=0.0) if kind == "recurrent" else None
    kind = "classify" if kind == "recurrent" else kind
    made = learner(kind, curvature, model, **options)
    step = made.train_step(a_batch(kind))
    before, after, product = made.optimizer.seen[0]  # type: ignore[attr-defined]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-6)
    assert step.passes == 3, "the closure twice, and the product of the Hessian"
    assert all(p.grad is None or p.grad.grad_fn is None for p in made.model.parameters())

    expected, norm = slope_along_itself(kind, model)
    clipped = float(before.norm()) / norm
    torch.testing.assert_close(product.double(), expected * clipped**2, rtol=5e-3, atol=1e-5)


def slope_along_itself(kind: str, model: Any) -> tuple[Tensor, float]:
    """The Hessian's product with the gradient, by differences, and the norm of the gradient."""
    made = learner(kind, None, model, dtype="float64")
    weights = list(made.model.parameters())

    def gradient() -> list[Tensor | None]:
        made.optimizer.zero_grad()
        made._gradient(placed(a_batch(kind), made.device), made.loss)
        return [p.grad for p in weights]

    way, ends = gradient(), []
    for far in (1e-5, -2e-5):
        for p, g in zip(weights, way, strict=True):
            if g is not None:
                p.data.add_(g, alpha=far)
        ends.append(plain(gradient()))
    return (ends[0] - ends[1]) / 2e-5, float(plain(way).norm())


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_drawn_from_the_model_where_there_are_targets(kind: str) -> None:
    drawn: list[tuple[Tensor, Batch]] = []

    def loss() -> Any:
        plain = cross_entropy_loss()

        def kept(model: Any, batch: Batch) -> Any:
            drawn.append((model(batch).detach(), batch))
            assert model.training
            assert isinstance(model, nn.Module)
            return plain(model, batch)

        return kept

    made = learner(kind, lambda _, closure: closure(labels="sampled"), loss=loss)
    step = made.train_step(a_batch(kind))
    (_, given), (logits, batch) = drawn
    assert step.passes == 2
    assert torch.equal(batch.source, given.source)
    assert torch.equal(batch.target == IGNORE, given.target == IGNORE)
    expected = cross_entropy(
        logits.flatten(0, -2), batch.target.flatten(), ignore_index=IGNORE, reduction="mean"
    )
    torch.testing.assert_close(made.optimizer.seen[0], expected)  # type: ignore[attr-defined]
    assert float(step.loss) != pytest.approx(float(expected)), "the loss of a step is on the data"


def test_labels_are_as_likely_as_the_model_says() -> None:
    logits = torch.randn(4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    labels = labels_from(logits.expand(40_000, 4), torch.zeros(40_000, dtype=torch.long))
    shares = labels.bincount(minlength=4) / len(labels)
    torch.testing.assert_close(shares, logits.softmax(-1), rtol=0, atol=0.01)
    with pytest.raises(MsbenchError, match=r"targets of shape \(2,\) and logits of shape \(3, 4\)"):
        labels_from(torch.zeros(3, 4), torch.zeros(2, dtype=torch.long))


def own_gradient(optimizer: Curious, closure: Any) -> None:
    with torch.enable_grad():
        loss = sum(p.square().sum() for p in optimizer.model.parameters())
        torch.autograd.grad(loss, list(optimizer.model.parameters()))
        torch.func.grad(lambda x: x.square().sum())(torch.ones(3))


def backward_in_parts(optimizer: Curious, closure: Any) -> None:
    with torch.enable_grad():
        x = torch.ones(3, requires_grad=True)
        for _ in range(3):
            x = checkpoint(torch.sin, x, use_reentrant=True)
        x.sum().backward()


@pytest.mark.parametrize(
    ("look", "passes"),
    [(None, 1), (own_gradient, 3), (backward_in_parts, 2)],
    ids=["the closure", "gradients of its own", "checkpoints"],
)
def test_what_does_without_the_closure_counts_as_well(look: Any, passes: float) -> None:
    made = learner("classify", look)
    assert made.train_step(a_batch("classify")).passes == passes
    own_gradient(made.optimizer, None)  # type: ignore[arg-type]  # outside of steps nothing counts
    assert made.train_step(a_batch("classify")).passes == passes


def test_a_shard_counts_as_its_share_and_counting_itself_does_not() -> None:
    def workers(model: nn.Module) -> Optimizer:
        return local_sgd(model, partial(Curious, look=own_gradient), workers=4)

    step = learner("classify", optimizer=workers).train_step(a_batch("classify"))
    assert step.passes == 3

    def loss() -> Any:
        def unsteady(model: Any, batch: Batch) -> Any:
            own_gradient(Curious(model), None)
            return cross_entropy_loss()(model, batch)

        unsteady.steady = False  # type: ignore[attr-defined]  # made twice, once to be counted
        return unsteady

    clock = Clock(lambda: None)
    with clock.running():
        step = learner("classify", loss=loss).train_step(a_batch("classify"), clock.paused)
    assert step.passes == 3


def test_a_wrapper_passes_on_what_its_base_asks_for() -> None:
    def twice(optimizer: Curious, closure: Any) -> Any:
        closure(create_graph=True)
        return any(p.grad.grad_fn is not None for p in optimizer.model.parameters())

    made = learner("lm", optimizer=partial(SAM, base=partial(Curious, look=twice)))
    assert made.train_step(a_batch("lm")).passes == 4
    assert made.optimizer.base.seen == [True]  # type: ignore[attr-defined]


def test_a_step_needs_the_given_labels() -> None:
    class Blind(Curious):
        def step(self, closure: Any) -> Any:  # type: ignore[override]
            return closure(labels="sampled")

    with pytest.raises(MsbenchError, match="without calling its closure for the given labels"):
        learner("classify", optimizer=Blind).train_step(a_batch("classify"))
    with pytest.raises(MsbenchError, match="'given', 'sampled'"):
        learner("classify", lambda _, closure: closure(labels="s")).train_step(a_batch("classify"))


def test_sampled_labels_serve_losses_that_run_the_model_twice() -> None:
    made = learner("seq2seq", lambda _, closure: closure(labels="sampled"), loss=r_drop)
    assert torch.isfinite(made.train_step(a_batch("seq2seq")).loss)
