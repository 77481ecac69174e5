"""The phases of a trial's training, one after the other on one stream of batches."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from msbench.data.batches import evaluation_batches, longest_batch, training_batches
from msbench.data.task import Batch, Task
from msbench.plugins.registry import Registry
from msbench.run.checkpoint import Checkpoint
from msbench.run.learner import Learner
from msbench.run.seeds import stream
from msbench.run.train import Progress, Run, train
from msbench.spec import Trial

EVALUATION_BATCH = 64

BUCKET = 8
"""Positions; `python benchmarks/batches.py` has the shapes and the padding that come of it."""


@dataclass
class Cost:
    """What training took besides passes and seconds."""

    flops: float = 0.0
    optimizer_bytes: int = 0
    sent_bytes: int = 0
    peak_memory: float = 0.0
    compile_seconds: float = 0.0
    replayed: int = 0
    compiler: str = ""


def trial_batches(trial: Trial, task: Task, purpose: str = "order") -> Iterator[Batch]:
    """Training batches without end, in an order that depends on the seed and the purpose alone."""
    order = stream(trial.seed, purpose)
    return training_batches(task.train, trial.training.batch_size, order, rounding(trial))


def rounding(trial: Trial) -> int:
    """What lengths of training batches are padded up to a multiple of: shapes are few where each
    is captured by itself. Compiled code serves all lengths, and there padding would only cost."""
    return BUCKET if trial.training.graph and trial.device != "cpu" else 1


@dataclass(frozen=True)
class Position:
    """Where in its phases a trial is, and what it needs to go on from there."""

    phase: int = 0
    """Number of the phase, from 0."""
    run: Run = field(default_factory=Run)
    """Of the phases before."""
    cost: Cost = field(default_factory=Cost)
    at: Progress | None = None
    """Within the phase; None = at its start."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Position":
        """What `asdict` turned into `data`."""
        at = Progress(**{**data["at"], "run": Run.of(data["at"]["run"])})
        return cls(data["phase"], Run.of(data["run"]), Cost(**data["cost"]), at)

    @property
    def batches(self) -> int:
        """How many are read: one a step."""
        return self.run.steps + (self.at.run.steps if self.at else 0)


@dataclass(frozen=True)
class Keeping:
    """Checkpoints of one phase."""

    checkpoint: Checkpoint
    learner: Learner
    start: Position

    def is_due(self) -> bool:
        """Whether it is time for one."""
        return self.checkpoint.is_due(self.learner)

    def keep(self, progress: Progress) -> None:
        """Write where training is."""
        here = replace(self.start, at=progress)
        self.checkpoint.write(self.learner, asdict(here), here.batches)


def validation_batches(trial: Trial, task: Task) -> list[Batch]:
    """What validation losses are of."""
    most = trial.training.validation_examples
    return evaluation_batches(task.validation, EVALUATION_BATCH, most=most)


def train_phases(
    learner: Learner,
    trial: Trial,
    task: Task,
    registry: Registry,
    validation: Sequence[Batch] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Run, Cost]:
    """Train phase by phase on one stream of batches.

    validation: batches of the validation split, if there are any already. checkpoint: where to go
    on, if there is one, and where to keep one now and then.

    The learner counts the operations of every step. Memory is that of a step on the longest batch,
    so that it depends on the work and not on which examples a seed puts together.
    """
    found = checkpoint.position(learner) if checkpoint else None
    start = Position.of(found) if found else Position()
    run, cost = start.run, start.cost
    batches = islice(trial_batches(trial, task), start.batches, None)
    validation = validation or validation_batches(trial, task)
    longest = longest_batch(task.train, trial.training.batch_size, rounding(trial))
    for number, phase in list(enumerate(trial.stages()))[start.phase :]:
        loss, optimizer = (
            registry.build("loss", phase.loss),
            registry.build("optimizer", phase.optimizer),
        )
        at = start.at if number == start.phase else None
        if checkpoint and at:
            checkpoint.go_on(learner, loss, optimizer)
        elif number:
            learner.begin(loss, optimizer)
        schedule = registry.build("schedule", phase.schedule)()
        budget = replace(trial.training, passes=phase.passes)
        here = Position(number, run, cost, at)
        keeping = Keeping(checkpoint, learner, here) if checkpoint else None
        above = trial.prune_above[len(run.curve) if number else 0 :]
        stage = train(learner, batches, validation, budget, schedule, at, keeping, above)
        run = run.then(stage) if number else stage
        _add_cost(cost, learner, trial, longest)
        if run.is_stopped:
            break
    return run, cost


def _add_cost(cost: Cost, learner: Learner, trial: Trial, longest: Batch) -> None:
    """Add what a phase took, now that it is over."""
    cost.sent_bytes += learner.sent_bytes()
    cost.optimizer_bytes = max(cost.optimizer_bytes, learner.optimizer_bytes())
    flops = learner.flops()
    cost.flops += math.nan if flops is None else flops
    if trial.training.modes:
        prepared = learner.prepared()
        cost.compile_seconds += prepared.seconds
        cost.replayed += prepared.replayed
        cost.compiler = prepared.compiler
    cost.peak_memory = float(np.maximum(cost.peak_memory, _peak_memory(learner, longest)))


def _peak_memory(learner: Learner, longest: Batch) -> float:
    """Not a number if the step fails: the trial is trained, and worth more than this figure."""
    try:
        return learner.peak_memory(longest)
    except Exception:
        return math.nan
