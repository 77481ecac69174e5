"""The plugin's tables, from the package itself.

    python pytorch_optimizer_checks.py names     # msbench_pytorch_optimizer/catalog.py
    python pytorch_optimizer_checks.py checks    # checks.json, which the README shows

Each optimizer trains the small encoder-decoder of `msbench selftest` for 24 steps under a falling
rate, once through msbench and once by a loop written by hand as the package's own documents have
it, on the same batches. `same`: all weights are equal, bit for bit. `learns`: the loss on held-out
examples is lower than before. `trace`: whether an evaluation in between changes what is trained.
"""

import contextlib
import json
import sys
import warnings
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from msbench_pytorch_optimizer import factories
from msbench_pytorch_optimizer.forms import AROUND, HESSIAN, REFUSED
from pytorch_optimizer.optimizer import OPTIMIZERS
from torch.nn.attention import SDPBackend, sdpa_kernel

from msbench.builtin.commands.selftest import batches, learner, placed, weights_of

HERE = Path(__file__).parent
STEPS = 24
REQUIRED = {"bsam": {"num_data": 200}, "ranger21": {"num_iterations": STEPS}}
"""Options without a default."""


def write_names() -> None:
    """The names, classes and rates of the package's own list."""
    rows = []
    for name, cls in sorted(OPTIMIZERS.items()):
        parameter = factories.options_of(cls).get("lr")
        rate = float(parameter.default) if parameter is not None else 0.0
        rows.append(f'    "{name}": ("{cls.__name__}", {rate!r}),\n')
    head = '"""By name, class and default rate: `python pytorch_optimizer_checks.py names`."""'
    text = head + "\n\nCLASSES: dict[str, tuple[str, float]] = {\n" + "".join(rows)
    (HERE / "msbench_pytorch_optimizer" / "catalog.py").write_text(text + "}\n")


def options_of(name: str) -> dict[str, Any]:
    """All options at their defaults."""
    known = factories.options_of(OPTIMIZERS[name])
    return {k: p.default for k, p in known.items()} | REQUIRED.get(name, {})


def idle(model: torch.nn.Module) -> torch.optim.Optimizer:
    """What moves no weight."""
    return torch.optim.SGD(model.parameters(), lr=0.0)


def by_msbench(name: str, evaluated: bool = False) -> tuple[list[torch.Tensor], float, float]:
    """The weights after training, and the held-out loss before and after."""
    small = learner(partial(factories.factory(name), **options_of(name)))
    held_out = [small.task.validation.batch(range(20))]
    small.mode(training=False)
    before = small.validate(held_out)
    small.mode(training=True)
    for step, batch in enumerate(islice(batches(small.task), STEPS)):
        small.set_rate(1 - step / STEPS, step / STEPS)
        small.train_step(batch)
        if evaluated:
            small.mode(training=False)
            small.mode(training=True)
    weights = weights_of(small.model)
    small.mode(training=False)
    return weights, before, small.validate(held_out)


def by_hand(name: str) -> list[torch.Tensor]:
    """The same steps without msbench's loop, and without what the plugin adapts."""
    small = learner(idle)
    model, loss_of = small.model, small.loss
    factories_own, factories.adapted = factories.adapted, OPTIMIZERS.__getitem__
    try:
        optimizer: Any = factories.factory(name)(model, **options_of(name))
    finally:
        factories.adapted = factories_own
    rates = [group["lr"] for group in optimizer.param_groups]
    small.mode(training=True)
    with contextlib.suppress(AttributeError):
        optimizer.train()
    for step, batch in enumerate(islice(batches(small.task), STEPS)):

        def closure(batch: Any = batch, step: int = step) -> torch.Tensor:
            optimizer.zero_grad()
            # As msbench does it: torch's fast attention cannot be differentiated twice.
            twice = name in HESSIAN and step % optimizer.update_period == 0
            with sdpa_kernel(SDPBackend.MATH) if twice else contextlib.nullcontext():
                total, count = loss_of(model, placed(batch))
                loss = total / count
                loss.backward(create_graph=twice)
            return loss

        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - step / STEPS)
        if name in AROUND:
            closure()
        optimizer.step(closure)
    return weights_of(model)


def checked(name: str) -> dict[str, Any]:
    """A row of the table."""
    if name in REFUSED:
        return {"refused": REFUSED[name]}
    try:
        weights, before, after = by_msbench(name)
        again, _, _ = by_msbench(name, evaluated=True)
        mine = by_hand(name)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    equal = partial(all_equal, weights)
    moved = not all_equal(weights, weights_of(learner(idle).model))
    return {
        "moves": moved,
        "same": equal(mine),
        "trace": not equal(again),
        "learns": after < before,
        "loss": [round(before, 4), round(after, 4)],
    }


def all_equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def write_checks(names: list[str]) -> None:
    """checks.json; of all, or of some names again."""
    path = HERE / "checks.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    for name in names or sorted(OPTIMIZERS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows[name] = checked(name)
        print(name, rows[name], flush=True)
        path.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    torch.set_num_threads(1)
    write_names() if command == "names" else write_checks(rest)
