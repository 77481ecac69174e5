"""The plugin: complete, bit-identical to loops by hand, and beside it msbench's own."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("pytorch_optimizer")
pytest.importorskip("msbench_pytorch_optimizer")
sys.path.insert(0, str(Path(__file__).parents[1]))

import pytorch_optimizer_checks as checks
from msbench_pytorch_optimizer import factories
from msbench_pytorch_optimizer.catalog import CLASSES
from msbench_pytorch_optimizer.forms import CALLS, REFUSED
from msbench_pytorch_optimizer.spaces import RATES
from pytorch_optimizer.optimizer import OPTIMIZERS

from msbench import MsbenchError
from msbench.builtin.learner import TorchLearner
from msbench.builtin.optimizers.adam_family import lion
from msbench.builtin.optimizers.parameter_free import dadapt_adam, prodigy
from msbench.builtin.optimizers.torch_optim import adamw

TEN = ["adahessian", "adan", "bsam", "lamb", "lion", "muon"]
TEN += ["prodigy", "schedulefreeadamw", "soap", "sophiah"]


def test_the_table_is_the_packages_list() -> None:
    listed = {name: class_name for name, (class_name, _) in CLASSES.items()}
    assert listed == {name: cls.__name__ for name, cls in OPTIMIZERS.items()}
    assert CLASSES.keys() >= {*REFUSED, *RATES, *CALLS}
    assert len(RATES) == 20


def test_listing_imports_neither_torch_nor_the_package() -> None:
    code = (
        "import sys, msbench_pytorch_optimizer as plugin; "
        "plugin.register_optimizers(lambda *a, **k: None); "
        "assert not {'torch', 'pytorch_optimizer'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", TEN)
def test_the_same_bits_as_a_loop_by_hand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "STEPS", 4)
    weights, _, _ = checks.by_msbench(name, evaluated=True)
    assert checks.all_equal(weights, checks.by_hand(name))


def test_passes_are_counted() -> None:
    for name, expected in (("lion", 1.0), ("adahessian", 2.0)):
        made = partial(factories.factory(name), **checks.options_of(name))
        small = checks.learner(made)
        assert small.train_step(next(checks.batches(small.task))).passes == expected


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_work_is_refused_with_the_reason(name: str) -> None:
    made = partial(factories.factory(name), **checks.options_of(name))
    with pytest.raises(MsbenchError, match=f"po-{name} does not work in msbench: it"):
        TorchLearner.check_optimizer(made)


def theirs(name: str, **options: Any) -> Callable[[nn.Module], Any]:
    return partial(factories.factory(name), **{**checks.options_of(name), **options})


decayed: dict[str, Any] = {"lr": 0.05, "weight_decay": 0.3}
free: dict[str, Any] = {"d0": 1e-4, "weight_decay": 0.3, "weight_decouple": True}


@pytest.mark.parametrize(
    ("ours", "package", "tolerance"),
    [
        (partial(adamw, **decayed), theirs("adamw", **decayed), 1e-12),
        (partial(lion, **decayed), theirs("lion", **decayed), 1e-12),
        # The package keeps its sums in float32.
        (partial(prodigy, d0=1e-4, weight_decay=0.3), theirs("prodigy", **free), 1e-4),
        (partial(dadapt_adam, d0=1e-4, weight_decay=0.3), theirs("dadaptadam", **free), 1e-4),
    ],
    ids=["adamw", "lion", "prodigy", "dadapt-adam"],
)
def test_msbenchs_own_are_theirs(ours: Any, package: Any, tolerance: float) -> None:
    models = [network(), network()]
    optimizers = [make(model) for make, model in zip((ours, package), models, strict=True)]
    for _ in range(8):
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.step(partial(gradient, model))
    weights = ([p.detach() for p in model.parameters()] for model in models)
    for a, b in zip(*weights, strict=True):
        assert float((a - b).abs().max()) <= tolerance


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3)).double()


def gradient(model: nn.Module) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(6, 5, generator=draw, dtype=torch.double)
    model.zero_grad()
    with torch.enable_grad():
        loss = nn.functional.cross_entropy(model(x), torch.arange(6) % 3)
        loss.backward()
    return loss.detach()
