"""`msbench selftest`: identities that hold exactly, or up to rounding, on a small real model.

Each compares a strategy with something simpler that it must equal or must differ from.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import click
import torch
from tabulate import tabulate
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

import msbench
from msbench import Batch, PluginError, Task, printable
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.optimizers.inspection import Make
from msbench.builtin.optimizers.local_sgd import local_sgd
from msbench.builtin.optimizers.torch_optim import adam, adamw, sgd
from msbench.builtin.optimizers.wrappers import EMA, SAM, SWA, Lookahead
from msbench.builtin.tasks.numbers import numbers_fr

STEPS, SIZE = 6, 8


@dataclass(frozen=True)
class Check:
    """One identity between two results, each a list of tensors, such as all weights."""

    name: str
    expected: Sequence[Tensor]
    got: Sequence[Tensor]
    limit: float = 0.0
    """The largest difference allowed between two numbers."""
    differs: bool = False
    """Whether some numbers must differ by more than `limit` instead."""

    @property
    def error(self) -> float:
        """The largest difference between any two numbers; NaN if one of them is."""
        pairs = zip(self.expected, self.got, strict=True)
        return float(torch.stack([(x - y).abs().max() for x, y in pairs]).max())

    @property
    def ok(self) -> bool:
        """Whether it holds; NaN and infinity neither equal nor differ."""
        return math.isfinite(self.error) and (self.error > self.limit) == self.differs

    def row(self) -> list[str]:
        """Name, both results (the sum of all absolute values), error, allowed error, verdict."""
        sums = [
            f"{float(sum(t.double().abs().sum() for t in side)):.9g}"
            for side in (self.expected, self.got)
        ]
        allowed = f"{'>' if self.differs else '<=' if self.limit else '='} {self.limit:g}"
        return [self.name, *sums, f"{self.error:.3g}", allowed, "ok" if self.ok else "FAILED"]


@click.command()
def selftest() -> None:
    """Identities that training must satisfy exactly; exit code 1 if one does not."""
    checks, skipped = [], []
    for name, check in CHECKS.items():
        try:
            checks += list(check())
        except PluginError as error:  # of a plugin that is not installed
            skipped.append(f"skipped: {name} ({error})")
    headers = ["identity", "expected", "got", "error", "allowed", ""]
    click.echo(tabulate([c.row() for c in checks], headers, "simple", disable_numparse=True))
    for line in skipped:
        click.echo(printable(line))
    failed = [check.name for check in checks if not check.ok]
    if failed:
        click.echo(f"msbench: {len(failed)} failed: {'; '.join(failed)}", err=True)
        click.get_current_context().exit(1)


def sharpness() -> Iterator[Check]:
    """SAM with radius 0 is its base."""
    base, passes = trained(fast)
    wrapped, double = trained(lambda model: SAM(model, fast, rho=0.0))
    yield Check("SAM, rho 0 = its base", base, wrapped)
    yield Check("SAM: 2 passes a step", [torch.tensor(2 * passes)], [torch.tensor(double)])


def lookahead() -> Iterator[Check]:
    """Lookahead that moves all the way after every step is its base."""
    wrapped, _ = trained(lambda model: Lookahead(model, fast, k=1, alpha=1.0))
    yield Check("Lookahead, k 1, alpha 1 = its base", trained(fast)[0], wrapped)


def moving_average() -> Iterator[Check]:
    """An average without memory is the last iterate."""
    wrapped, _ = trained(lambda model: EMA(model, fast, decay=0.0))
    yield Check("EMA, decay 0 = the last iterate", trained(fast)[0], wrapped)


def plain_average() -> Iterator[Check]:
    """The mean of constant weights is these weights."""
    still = partial(sgd, lr=1e-45)  # a rate that changes no weight
    wrapped, _ = trained(lambda model: SWA(model, still, start=0.0))
    yield Check("SWA over constant weights = the weights", weights_of(learner(sgd).model), wrapped)


def schedule_free() -> Iterator[Check]:
    """Evaluation leaves no trace in training."""
    registry = msbench.load_plugins()
    part = registry.resolve("optimizer", msbench.Choice("schedulefree-adamw"))
    warm = learner(registry.build("optimizer", part), warm=STEPS)
    before = weights_of(warm.model)
    warm.mode(training=False)
    evaluated = weights_of(warm.model)
    warm.mode(training=True)
    yield Check("schedule-free: eval, then train again", before, weights_of(warm.model))
    yield Check("schedule-free: other weights in eval", before, evaluated, differs=True)


def local() -> Iterator[Check]:
    """Workers that meet after every step are data-parallel with SGD, and not with Adam."""
    for name, inner, differs in (("SGD", partial(sgd, lr=0.5), False), ("Adam", adam, True)):
        workers, _ = trained(partial(local_sgd, base=inner, workers=4, every=1), exact=True)
        relation = "is not" if differs else "="
        yield Check(
            f"local SGD, H 1, {name} inside {relation} data-parallel {name}",
            data_parallel(inner, workers=4),
            workers,
            1e-4 if differs else 1e-12,
            differs,
        )


def decay() -> Iterator[Check]:
    """Decoupled decay is an L2 penalty for SGD, and not for Adam."""
    rates = {"lr": 0.05, "weight_decay": 0.1}
    kinds: tuple[tuple[str, Any, Any, bool], ...] = (
        ("SGD", sgd, SGD, False),
        ("Adam", adam, Adam, True),
    )
    for name, ours, torchs, differs in kinds:

        def penalized(model: nn.Module, torchs: Any = torchs) -> Any:
            return torchs(model.parameters(), **rates)

        relation = "is not" if differs else "="
        yield Check(
            f"decoupled decay {relation} L2 for {name}",
            trained(penalized, exact=True)[0],
            trained(partial(ours, decay="all", **rates), exact=True)[0],
            1e-4 if differs else 1e-12,
            differs,
        )


CHECKS: dict[str, Callable[[], Iterator[Check]]] = {
    "SAM": sharpness,
    "Lookahead": lookahead,
    "EMA": moving_average,
    "SWA": plain_average,
    "schedule-free": schedule_free,
    "local SGD": local,
    "decoupled decay": decay,
}


def fast(model: nn.Module) -> Optimizer:
    """A base with large steps."""
    return adamw(model, lr=1e-2)


def learner(optimizer: Make, warm: int = 0, exact: bool = False) -> TorchLearner:
    """A small encoder-decoder on numbers after `warm` steps; in double precision if `exact`."""
    small = TorchLearner(
        numbers_fr(below=200, examples=200),
        model=partial(EncoderDecoder, width=16, layers=1, heads=2, dropout=0.0),
        loss=cross_entropy,
        optimizer=optimizer,
        seed=0,
        dtype="float64" if exact else "float32",
    )
    small.mode(training=True)
    for batch in islice(batches(small.task), warm):
        small.train_step(batch)
    return small


def trained(optimizer: Make, exact: bool = False) -> tuple[list[Tensor], float]:
    """The weights that are evaluated after some steps, and the passes they took."""
    trained = learner(optimizer, exact=exact)
    passes = 0.0
    for step, batch in enumerate(islice(batches(trained.task), STEPS)):
        trained.set_rate(1.0, step / STEPS)
        passes += trained.train_step(batch).passes
    trained.mode(training=False)
    return weights_of(trained.model), passes


def data_parallel(optimizer: Make, workers: int) -> list[Tensor]:
    """Weights after the same steps along the mean of the workers' gradients."""
    small = learner(optimizer, exact=True)
    for batch in islice(batches(small.task), STEPS):
        shards = [placed(batch).shard(index, workers) for index in range(workers)]
        losses = [total / count for total, count in (small.loss(small.model, s) for s in shards)]
        small.optimizer.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        small.optimizer.step(lambda: torch.zeros(()))  # type: ignore[arg-type, return-value]
    return weights_of(small.model)


def batches(task: Task) -> Iterator[Batch]:
    """Batches of unequal lengths, always the same."""
    for start in range(0, len(task.train) - SIZE, SIZE):
        yield task.train.batch(
            msbench.stream(start, "selftest").permutation(len(task.train))[:SIZE]
        )


def placed(batch: Batch) -> Batch:
    """The batch as tensors."""
    return batch.map(torch.from_numpy)


def weights_of(model: nn.Module) -> list[Tensor]:
    """A copy of the weights."""
    return [p.detach().clone() for p in model.parameters()]
