"""The learner that fits in one step what no optimizer trains."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import msbench
from msbench import Batch, Decoder, Meter, Prepared, Step, Task


class Fitted(Protocol):
    """A model of this learner."""

    def fit(self) -> None:
        """Learn from the training split; what is to be chosen is chosen on validation."""

    def losses(self, batch: Batch) -> tuple[float, int]:
        """(sum over target units, their number): nats, or mistakes where there are none."""

    def predict(self, batch: Batch) -> Sequence[Any]:
        """What a decoder for this kind of task would return.

        That for `lm` also has `write(batch, draw)`: prompts continued at random.
        """

    def size(self) -> int:
        """How many numbers were fitted."""


class LinearLearner:
    """A model that is fitted as a whole; see `msbench.Learner`.

    One step is the whole fit, whatever batch it is given, and counts as one pass.
    """

    fits_once = True
    """What training in steps promises is not asked of it by `msbench check`."""

    def __init__(
        self,
        task: Task,
        *,
        model: Callable[[Task], Fitted],
        loss: Callable[..., Any],
        optimizer: Callable[..., Any],
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        dtype: str = "float64",
        accumulate: int = 1,
        clip: float = 0.0,
    ):
        self.model, self.seed = model(task), seed
        self._fitted = False
        self.reseed("init")

    @staticmethod
    def check_device(device: str) -> None:
        """MsbenchError for anything but a CPU."""
        if device != "cpu":
            raise msbench.MsbenchError("scikit-learn fits on a CPU")

    def reseed(self, purpose: str) -> None:
        """Draw from the stream (seed, purpose) from now on."""
        self.draw = msbench.stream(self.seed, purpose)

    def train_step(
        self, batch: Batch, aside: Callable[[], AbstractContextManager[None]] | None = None
    ) -> Step:
        """Fit to the whole training split; the loss is that on the batch."""
        self.model.fit()
        self._fitted = True
        total, count = self.model.losses(batch)
        return Step(1.0, total / max(1, count))

    def set_rate(self, factor: float, spent: float) -> None:
        """There is no rate."""

    def begin(self, loss: Callable[..., Any], optimizer: Callable[..., Any]) -> None:
        """There is nothing to go on with."""

    def validate(self, batches: Sequence[Batch]) -> float:
        """Mean loss per target unit."""
        sums = [self.model.losses(batch) for batch in batches]
        return sum(total for total, _ in sums) / max(1, sum(count for _, count in sums))

    def calibrate(self, decoder: Decoder) -> None:
        """There is nothing to calibrate."""

    def predict(self, batch: Batch, decoder: Decoder, meter: Meter | None = None) -> Sequence[Any]:
        """The decoder's predictions."""
        return list(decoder(self, batch))

    def log_probabilities(self, batch: Batch, outputs: Sequence[Sequence[int]]) -> list[float]:
        """Not known."""
        return [float("nan")] * len(outputs)

    def mode(self, training: bool) -> None:
        """Nothing differs."""

    def save(self, path: Path, about: Mapping[str, str]) -> None:
        """Weights of scikit-learn are not kept: fitting them again takes seconds."""
        raise msbench.MsbenchError("a fitted baseline keeps no weights")

    def load(self, path: Path) -> None:
        """As `save`."""
        raise msbench.MsbenchError("a fitted baseline keeps no weights")

    def synchronize(self) -> None:
        """There is no device to wait for."""

    def peak_memory(self, batch: Batch) -> float:
        """Not known."""
        return float("nan")

    def optimizer_bytes(self) -> int:
        """Nothing is kept from step to step."""
        return 0

    def sent_bytes(self) -> int:
        """There are no workers."""
        return 0

    def flops(self) -> float:
        """Not known."""
        return float("nan")

    def prepared(self) -> Prepared:
        """Nothing is compiled."""
        return Prepared(0.0, 0, "")

    def parameters(self) -> int:
        """How many numbers were fitted."""
        return self.model.size()

    def checksum(self) -> float:
        """Whether it was fitted."""
        return float(self._fitted)
