"""Checkpoints: what a trial that is killed in mid-training goes on from.

A file per trial, KEY.safetensors beside the records: the state of the learner as tensors, and
where the loop was as JSON in the file's metadata. Whoever reads it runs no code of it. Where
several processes train a trial each has a file of its own, all of the same step.
"""

import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from msbench.errors import MsbenchError
from msbench.paths import inside
from msbench.run.learner import Learner
from msbench.run.ranks import rank
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
        """That of a trial; of several processes, this one's."""
        name = f"{key}.{rank()}{SUFFIX}" if rank() else f"{key}{SUFFIX}"
        return Checkpoint(inside(self.folder, name), key, 60 * self.minutes)


@dataclass
class Checkpoint:
    """Of one trial."""

    file: Path
    key: str
    seconds: float
    """Between two writes."""
    _last: float = field(default_factory=monotonic)
    _steps: int = 0
    """Since then."""
    _look: int = 1
    """At which of them to look at the clock."""

    def is_due(self, learner: Learner) -> bool:
        """Whether, after a step, so long has passed since it was written, or training began.

        It is the first process's clock that counts. Asking it sends a message, so that it is asked
        when about half of the time that was left is over, by the steps so far.
        """
        self._steps += 1
        if self._steps < self._look:
            return False
        passed = _told_by_all(learner, monotonic() - self._last)[0]
        if passed < self.seconds:
            left = self._steps * (self.seconds / max(passed, 1e-9) - 1)
            self._look = self._steps + max(1, int(left / 2))
        return passed >= self.seconds

    def write(self, learner: Learner, position: Mapping[str, Any], step: int) -> None:
        """Keep the learner and the position after this step, plain data, instead of what was kept
        before.

        Where it cannot be written, the trial goes on without: it is worth more. Of several
        processes, all keep theirs or none does.
        """
        told = {"step": step, "position": position, "generators": _generators()}
        about = {"trial": self.key, "msbench": __version__, "run": json.dumps(told)}
        said = False
        try:
            with made_whole(self.file) as half:
                learner.write_checkpoint(half, about)
                said = True
                if not all(_told_by_all(learner, 1.0)):
                    raise OSError("another process of the trial could not write its part")
        except Exception as error:
            if not said:
                _told_by_all(learner, 0.0)
            print(f"no checkpoint was kept: {error}", file=sys.stderr, flush=True)
        _told_by_all(learner, 1.0)  # nobody takes a step while another moves its file
        self._last, self._steps, self._look = monotonic(), 0, 1

    def position(self, learner: Learner) -> dict[str, Any] | None:
        """The position that was kept; None if there is none, or not the same one in each of several
        processes, which were then killed while they moved their files."""
        told = self._told() if self.file.exists() else None
        steps = _told_by_all(learner, told["step"] if told else 0)
        if len(set(steps)) > 1:
            print("checkpoints of several steps: training begins anew", file=sys.stderr, flush=True)
            return None
        found: dict[str, Any] | None = told and told["position"]
        return found

    def go_on(
        self, learner: Learner, loss: Callable[..., Any], optimizer: Callable[..., Any]
    ) -> None:
        """Bring a learner, and all generators of random numbers, to where they were."""
        learner.read_checkpoint(self.file, loss, optimizer)
        _set_generators(self._told()["generators"])

    def remove(self) -> None:
        """It is not needed any more, by any process."""
        for file in self.file.parent.glob(f"{self.key}*{SUFFIX}"):
            file.unlink(missing_ok=True)

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


def _told_by_all(learner: Learner, number: float) -> Sequence[float]:
    """What each process of the trial says, by its rank."""
    return learner.told_by_all(number) if hasattr(learner, "told_by_all") else [number]


def _generators() -> list[Any]:
    """Those of Python and numpy; a framework's belong to its learner."""
    name, keys, *rest = np.random.get_state()
    return [random.getstate(), [name, np.asarray(keys).tolist(), *rest]]


def _set_generators(state: list[Any]) -> None:
    (version, numbers, gauss), (name, keys, *rest) = state
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
