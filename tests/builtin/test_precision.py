"""Precision and compiling: what they change, what they leave, and what a plan says of them."""

from functools import partial
from typing import Any

import pytest
import torch
from test_operations import MODELS, batches, learner, trained
from torch import Tensor

from msbench.builtin import compiling
from msbench.builtin.losses.pointwise import cross_entropy, focal
from msbench.builtin.losses.sequence import self_critical
from msbench.builtin.models.bag import Bag
from msbench.builtin.optimizers.torch_optim import muon
from msbench.builtin.precision import mode_notes


def weights(made: Any, kind: str, steps: int = 4) -> list[Tensor]:
    made.reseed("dropout")
    return trained(made, batches(kind, steps), made.train_step)


@pytest.mark.parametrize("kind", MODELS)
def test_bfloat16_is_of_products_alone(kind: str) -> None:
    """Weights, gradients, the optimizer and losses stay float32, and nearly what they were."""
    exact, short = weights(learner(kind), kind), learner(kind, precision="bfloat16")
    found = weights(short, kind)
    state = [t for each in short.optimizer.state.values() for t in each.values()]
    assert {t.dtype for t in [*found, *state]} == {torch.float32}
    assert any(not torch.equal(a, b) for a, b in zip(exact, found, strict=True))
    for one, other in zip(exact[-4:], found[-4:], strict=True):
        assert torch.allclose(one, other, rtol=0.03), "losses"


@pytest.mark.parametrize("changed", [{"loss": focal}, {"optimizer": muon}, {"accumulate": 3}])
def test_bfloat16_suits_other_parts(changed: dict[str, Any]) -> None:
    found = weights(learner("labels", precision="bfloat16", **changed), "labels")
    assert all(each.isfinite().all() for each in found)


def test_logits_are_float32_before_a_loss_takes_logarithms() -> None:
    seen: list[torch.dtype] = []

    def loss() -> Any:
        def watching(model: Any, batch: Any) -> Any:
            logits = model(batch)
            seen.append(logits.dtype)
            return logits.logsumexp(-1).sum(), torch.tensor(1.0)

        return watching

    weights(learner("labels", precision="bfloat16", loss=loss), "labels", 1)
    assert set(seen) == {torch.float32}


def test_a_loss_that_generates_first_has_a_gradient_in_bfloat16() -> None:
    """Weights that were cast without gradients must not be used again with them."""
    made = learner("pairs", precision="bfloat16", loss=partial(self_critical, mix=0.5))
    made.train_step(batches("pairs", 1)[0])
    made.mode(training=False)
    made.validate(batches("pairs", 1))
    assert all(p.grad is not None and p.grad.any() for p in made.model.encoder.parameters())


def test_switches_of_the_process_are_those_of_a_step_and_then_as_before() -> None:
    seen: list[str] = []

    def loss() -> Any:
        def watching(model: Any, batch: Any) -> Any:
            seen.append(torch.get_float32_matmul_precision())
            return cross_entropy()(model, batch)

        return watching

    torch.set_float32_matmul_precision("medium")
    try:
        for precision in ("float32", "tf32"):
            made = learner("labels", precision=precision, loss=loss)
            made.train_step(batches("labels", 1)[0])
            made.mode(training=False)
            made.validate(batches("labels", 1))
            assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == ["highest", "highest", "high", "highest"]


def test_one_piece_of_code_serves_batches_of_all_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled off the clock, without a trace in training; counted as if it were not compiled."""
    torch._dynamo.reset()
    made: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        made.append(graph)
        return graph.forward

    monkeypatch.setattr(compiling, "backend_for", lambda device: (backend, ""))
    compiled, plain = (
        learner("labels", model=partial(Bag, dropout=0.0), compile=each) for each in (True, False)
    )
    drawn = batches("labels")
    assert len({batch.shapes for batch in drawn}) > 2
    pauses: list[int] = []

    def aside() -> Any:
        pauses.append(1)
        return torch.no_grad()

    found, expected = (
        trained(each, drawn, partial(each.train_step, aside=aside)) for each in (compiled, plain)
    )
    assert len(made) == 1
    assert len(pauses) == len({batch.shapes for batch in drawn})
    assert compiled.prepared().seconds > 0
    assert compiled.flops() == plain.flops() > 0
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_without_a_compiler_the_missing_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiling.backend_for("cuda")[0] in ("inductor", "aot_eager")
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    assert compiling.backend_for("cpu") == ("aot_eager", "none of g++, clang++, c++")
    notes = mode_notes({"precision": "tf32", "compile": True, "graph": True}, "cpu")
    assert [note.split(" is ")[0].split(":")[0] for note in notes] == [
        "precision = 'tf32'",
        "graph = true",
        "compile = true saves little here",
    ]
