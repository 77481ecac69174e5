"""The contract between the loop and a framework: a model that can take a step and predict."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from msbench.data.task import Batch
from msbench.run.meter import Meter

Decoder = Callable[[Any, Any], Any]
"""(model, batch) -> predictions, a sequence or tensor with one an example; it sees no clock.

If it has `calibrate(model)`, that is called once before, with the trained model.
"""

Schedule = Callable[..., float]
"""Share of the budget that is spent (0 to 1) -> factor on every learning rate.

One with a second parameter `step` is also told the share that the coming step takes, as far as that
is known.
"""


@dataclass(frozen=True)
class Step:
    """What one training step cost and gave."""

    passes: float
    """Gradients of one whole batch that it took; one of a shard is its share of a pass."""
    loss: Any
    """Mean loss per target unit before the step; `float(loss)` may wait for the device."""


@dataclass(frozen=True)
class Prepared:
    """What compiling and capturing a phase's steps took and gave."""

    seconds: float
    """Off the clock."""
    replayed: int
    """Steps that were replayed."""
    compiler: str
    """What compiled; empty if nothing did."""


@dataclass(frozen=True)
class Seen:
    """What a learner saw of its parts in training; what it cannot tell stays as it is here."""

    moved: float = math.nan
    """Of the trained numbers, the share that training has changed."""
    still: Sequence[str] = ()
    """Names of the weights in which it has changed nothing."""
    weights: int = 0
    """How many weights there are."""
    single: bool = False
    """Whether the loss counted one unit in every validation batch of several examples."""


class Learner(Protocol):
    """A model in one framework, with its loss and optimizer.

    Built by `factory(task, *, model, loss, optimizer, seed, device, threads, dtype, accumulate,
    clip)`, where model, loss and optimizer are factories with their options bound. Weights are
    drawn from the stream (seed, "init"), everything random in training from (seed, "dropout").
    accumulate: parts in which the gradient of a batch is summed, exactly; clip: largest norm of a
    gradient, 0 = any. Also precision, compile and graph, but only where a suite sets them: a
    factory without these parameters is refused by the plan then.
    """

    @staticmethod
    def check_device(device: str) -> None:
        """MsbenchError with the reason if this framework cannot use the device."""

    def reseed(self, purpose: str) -> None:
        """Draw all that is random from now on from the stream (seed, purpose)."""

    def train_step(
        self, batch: Batch, aside: Callable[[], AbstractContextManager[None]] | None = None
    ) -> Step:
        """One optimizer step; the passes are counted, not assumed.

        aside: if given, the step's operations are counted too, and what only counting needs is done
        in the context that `aside()` makes, where no clock runs.
        """

    def set_rate(self, factor: float, spent: float) -> None:
        """Before every step: the factor on every initial learning rate, and the share of the
        budget that is spent, for optimizers that depend on it."""

    def begin(self, loss: Callable[[], Any], optimizer: Callable[[Any], Any]) -> None:
        """Another phase: the same weights under another loss and a new optimizer."""

    def validate(self, batches: Sequence[Batch]) -> float:
        """Mean loss per target unit; nothing is learned."""

    def calibrate(self, decoder: Decoder) -> None:
        """Let a decoder that has `calibrate` see the trained model; nothing is learned."""

    def predict(self, batch: Batch, decoder: Decoder, meter: Meter | None = None) -> Sequence[Any]:
        """The decoder's predictions as plain data, the model watched by the meter."""

    def log_probabilities(
        self, batch: Batch, outputs: Sequence[Sequence[int]]
    ) -> Sequence[float] | None:
        """Nats of one generated output for each example, its END included unless it was cut at the
        model's limit; None if it cannot tell."""

    def mode(self, training: bool) -> None:
        """Called before training steps, and before validation and prediction."""

    def save(self, path: Path, about: Mapping[str, str]) -> None:
        """Write the weights as they are now as safetensors, with these words as its metadata."""

    def load(self, path: Path) -> None:
        """The weights that `save` wrote, to be evaluated and not trained; MsbenchError if they are
        of another model, or not whole."""

    def write_checkpoint(self, path: Path, about: Mapping[str, str]) -> None:
        """Write all that training goes on from, generators of random numbers included, as
        safetensors with these words in its metadata; called between two steps. Optional: the plan
        refuses `checkpoint` of a suite for a learner without it. Its class then has
        `why_no_checkpoint(kind, make, task kind, dtype)` as well: why a model, loss or optimizer
        would go on differently, "" if it would not."""

    def read_checkpoint(
        self, path: Path, loss: Callable[[], Any], optimizer: Callable[[Any], Any]
    ) -> None:
        """Begin a phase with this loss and optimizer, and be where the learner was that wrote the
        file; MsbenchError if it is of another model, or not whole."""

    def told_by_all(self, number: float) -> Sequence[float]:
        """What each process of the trial says, by its rank; all are asked at once. Optional:
        several processes keep checkpoints only with a learner that has it."""

    def synchronize(self) -> None:
        """Wait until the device has done all it was given."""

    def peak_memory(self, batch: Batch) -> float:
        """Bytes at the peak of training; where that is not known, of training on this batch, the
        largest there is; NaN for unknown. Everything is as before when it returns."""

    def optimizer_bytes(self) -> int:
        """Bytes that the optimizer keeps from step to step, weights and gradients apart."""

    def sent_bytes(self) -> int:
        """Bytes that the optimizer's workers would have sent each other so far."""

    def flops(self) -> float | None:
        """Floating point operations of the phase's counted steps, exactly; None or not a number if
        it cannot tell. Weights and streams of randomness are as before when it returns."""

    def prepared(self) -> Prepared:
        """What `compile` and `graph` took in this phase; only asked if the trial sets a mode."""

    def seen(self) -> Seen:
        """What it saw of its parts in training; optional."""

    def parameters(self) -> int:
        """Number of trained numbers."""

    def checksum(self) -> float:
        """A sum over the weights that any step should change."""
