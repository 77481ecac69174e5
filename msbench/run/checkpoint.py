"""Checkpoints: what a trial that is killed in mid-training goes on from.

A file per trial, KEY.safetensors beside the records: the state of the learner as tensors, and
where the loop was as JSON in the file's metadata. Whoever reads it runs no code of it.
"""

import json
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from msbench.errors import MsbenchError
from msbench.paths import inside
from msbench.run.learner import Learner
from msbench.run.weights import SUFFIX, made_whole
from msbench.version import __version__

FOLDER = "checkpoints"
"""Checkpoints of RESULTS/trials.jsonl are RESULTS/checkpoints/KEY.safetensors."""

ENDED = ("ok", "diverged", "pruned", "failed")
"""What a trial ends with in its own process, so that there is nothing left to go on with."""


@dataclass(frozen=True)
class Checkpoints:
    """Where trials keep their checkpoints, and how often."""

    folder: Path
    minutes: float

    def of(self, key: str) -> "Checkpoint":
        """That of a trial."""
        return Checkpoint(inside(self.folder, f"{key}{SUFFIX}"), key, 60 * self.minutes)


@dataclass
class Checkpoint:
    """Of one trial."""

    file: Path
    key: str
    seconds: float
    """Between two writes."""
    _last: float = field(default_factory=monotonic)

    def is_due(self) -> bool:
        """Whether so long has passed since it was written, or training began."""
        return monotonic() - self._last >= self.seconds

    def write(self, learner: Learner, position: Mapping[str, Any]) -> None:
        """Keep the learner and the position, plain data, instead of what was kept before.

        Where it cannot be written, the trial goes on without: it is worth more.
        """
        told = {"position": position, "generators": _generators()}
        about = {"trial": self.key, "msbench": __version__, "run": json.dumps(told)}
        try:
            with made_whole(self.file) as half:
                learner.write_checkpoint(half, about)
        except Exception as error:
            print(f"no checkpoint was kept: {error}", file=sys.stderr, flush=True)
        self._last = monotonic()

    def position(self) -> dict[str, Any] | None:
        """The position that was kept; None if there is none."""
        if not self.file.exists():
            return None
        found: dict[str, Any] = self._told()["position"]
        return found

    def go_on(
        self, learner: Learner, loss: Callable[..., Any], optimizer: Callable[..., Any]
    ) -> None:
        """Bring a learner, and all generators of random numbers, to where they were."""
        learner.read_checkpoint(self.file, loss, optimizer)
        _set_generators(self._told()["generators"])

    def remove(self) -> None:
        """It is not needed any more."""
        self.file.unlink(missing_ok=True)

    def _told(self) -> dict[str, Any]:
        """The JSON in the file; MsbenchError if it is of another trial, or not whole."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.file, framework="numpy") as opened:
                about = opened.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise MsbenchError(f"{self.file}: this is no whole checkpoint: {error}") from error
        if about.get("trial") != self.key:
            raise MsbenchError(f"{self.file}: this is the checkpoint of {about.get('trial')!r}")
        told: dict[str, Any] = json.loads(about["run"])
        return told


def _generators() -> list[Any]:
    """Those of Python and numpy; a framework's belong to its learner."""
    name, keys, *rest = np.random.get_state()
    return [random.getstate(), [name, np.asarray(keys).tolist(), *rest]]


def _set_generators(state: list[Any]) -> None:
    (version, numbers, gauss), (name, keys, *rest) = state
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
