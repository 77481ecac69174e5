"""The plugin's tables, from the package itself.

    python heavyball_checks.py names     # msbench_heavyball/catalog.py
    python heavyball_checks.py checks    # checks.json, which the README shows

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

import heavyball
import torch
from msbench_heavyball import REFUSED, factories

from msbench.builtin.commands.selftest import batches, learner, placed, weights_of

HERE = Path(__file__).parent
STEPS = 24
CLASSES = {name: getattr(heavyball, name) for name in heavyball.__all__ if name[0].isupper()}


def write_names() -> None:
    """The names, classes and rates of the package's own list."""
    rows = []
    for name, cls in sorted(CLASSES.items()):
        parameter = factories.options_of(cls).get("lr")
        rate = float(parameter.default) if parameter is not None else 0.0
        rows.append(f'    "{name.lower()}": ("{name}", {rate!r}),\n')
    head = '"""By name, class and default rate: `python heavyball_checks.py names`."""'
    text = head + "\n\nCLASSES: dict[str, tuple[str, float]] = {\n" + "".join(rows)
    (HERE / "msbench_heavyball" / "catalog.py").write_text(text + "}\n")


def options_of(name: str) -> dict[str, Any]:
    """All options at their defaults."""
    return {k: p.default for k, p in factories.options_of(CLASSES[name]).items()}


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
    factories_own, factories.adapted = factories.adapted, CLASSES.__getitem__
    try:
        optimizer: Any = factories.factory(name)(model, **options_of(name))
    finally:
        factories.adapted = factories_own
    rates = [group["lr"] for group in optimizer.param_groups]
    small.mode(training=True)
    with contextlib.suppress(AttributeError):
        optimizer.train()
    for step, batch in enumerate(islice(batches(small.task), STEPS)):

        def closure(batch: Any = batch) -> torch.Tensor:
            optimizer.zero_grad()
            total, count = loss_of(model, placed(batch))
            loss = total / count
            loss.backward()
            return loss

        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - step / STEPS)
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
    for name in names or sorted(CLASSES):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows[name] = checked(name)
        print(name, rows[name], flush=True)
        path.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    torch.set_num_threads(1)
    write_names() if command == "names" else write_checks(rest)
