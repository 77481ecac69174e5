"""Training steps that are captured once for each shape and kind of step, then replayed."""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from torch import Tensor

from msbench import Batch, Step
from msbench.builtin.capture import Record, Replay
from msbench.builtin.operations import Aside, Work
from msbench.builtin.optimizers.capturing import note_replay, step_kind
from msbench.builtin.placing import Resident

Shard = tuple[int, int]
"""(index, of): every `of`-th example from the one at `index` on."""

Take = Callable[[Batch, Callable[[], Batch], Aside | None], tuple[Step, list[Shard]]]
"""(batch, what places it, aside) -> a step taken eagerly, and what its passes were over."""


OnStream = Callable[[], AbstractContextManager[None]]
"""Makes a context in which the device does everything in one order."""


@dataclass
class Captured:
    """One step that can be replayed."""

    rows: Tensor
    """Which examples it reads; written before every replay."""
    step: Step
    """Its loss is the tensor that every replay writes."""
    shards: list[Shard]
    operations: float
    """Of the optimizer besides its passes."""
    replay: Replay


class CapturedSteps:
    """Takes steps: of a new shape or kind the first eagerly, the second while it is recorded, all
    others by replaying.

    The first one makes whatever is made once: state of the optimizer, compiled code, libraries'
    workspaces.
    """

    def __init__(
        self,
        record: Record,
        take: Take,
        optimizer: Any,
        resident: Resident,
        work: Work,
        on_stream: OnStream = nullcontext,
    ):
        self._record, self._take, self._optimizer = record, take, optimizer
        self._resident, self._work, self._on_stream = resident, work, on_stream
        self._captured: dict[Hashable, Captured] = {}
        self._warm: set[Hashable] = set()
        self.replayed, self.seconds = 0, 0.0

    def step(self, batch: Batch, aside: Aside | None) -> Step:
        """One step of the optimizer."""
        key = batch.shapes, step_kind(self._optimizer)
        with self._on_stream():
            if key in self._captured:
                return self._again(self._captured[key], batch, aside)
            if key in self._warm:
                captured = self._captured[key] = self._capture(batch, aside)
                return self._replayed(captured)
            self._warm.add(key)
            return self._take(batch, lambda: self._resident.place(batch), aside)[0]

    def _again(self, captured: Captured, batch: Batch, aside: Aside | None) -> Step:
        captured.rows.copy_(self._resident.rows(batch), non_blocking=True)
        note_replay(self._optimizer)
        if aside is not None:
            parts = [batch if of == 1 else batch.shard(i, of) for i, of in captured.shards]
            self._work.count_again(parts, captured.operations)
        return self._replayed(captured)

    def _replayed(self, captured: Captured) -> Step:
        captured.replay()
        self.replayed += 1
        # A copy, since the next replay writes the next loss into the same place.
        return Step(captured.step.passes, captured.step.loss.clone())

    def _capture(self, batch: Batch, aside: Aside | None) -> Captured:
        """Off the clock. The host does all that it does in a step, and counts it."""
        with (aside or nullcontext)():
            start, before = perf_counter(), self._work.own_total
            rows = self._resident.rows(batch).clone()
            (step, shards), replay = self._record(
                lambda: self._take(batch, lambda: self._resident.gather(batch, rows), aside)
            )
            self.seconds += perf_counter() - start
        operations = self._work.own_total - before
        return Captured(rows, step, shards, operations, replay)
