"""Registry -> what can be timed: every optimizer, loss, model and decoder of any plugin."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msbench.data.task import Batch, Task
from msbench.errors import MsbenchError, PluginError, did_you_mean
from msbench.microbench.choices import able, model_of, plain
from msbench.microbench.tasks import task_of
from msbench.plugins.options import supplied
from msbench.plugins.registry import Entry, Registry
from msbench.run.learner import Learner
from msbench.run.pieces import pieces_of
from msbench.spec import Choice, Kind, Part, TaskKind

WIDTHS = (16, 64, 256)
"""Of the models whose optimizer step is timed."""

WIDTH, EXAMPLES = 64, 16
"""Of the other models, and of every batch."""

TIMED: tuple[Kind, ...] = ("optimizer", "loss", "model", "decoder")
"""The kinds that can be timed alone: the others do next to nothing, or need data or a machine."""


@dataclass(frozen=True)
class Case:
    """One thing to time."""

    kind: Kind
    name: str
    piece: str
    width: int = WIDTH

    def __str__(self) -> str:
        piece = f"width {self.width}" if self.kind == "optimizer" else self.piece
        return f"{self.kind}:{self.name} {piece}"


def cases(registry: Registry, only: Sequence[str] = ()) -> list[Case]:
    """All there are, or those of `KIND` or `KIND:NAME`; MsbenchError for what there is not."""
    entries = timed(registry)
    known = [*TIMED, *(f"{entry.kind}:{entry.name}" for entry in entries)]
    for name in only:
        if name not in known:
            raise MsbenchError(f"there is no {name!r} to time{did_you_mean(name, known)}")
    return [
        case
        for entry in entries
        if not only or entry.kind in only or f"{entry.kind}:{entry.name}" in only
        for case in _cases_of(entry)
    ]


def timed(registry: Registry) -> list[Entry]:
    """What can be timed: parts of learners that do pieces of a step apart."""
    entries = [entry for kind in TIMED for entry in registry.of(kind)]
    learners = {entry.learner for entry in entries}
    apart = {each for each in learners if hasattr(registry.find("learner", each).load(), "pieces")}
    return [entry for entry in entries if entry.learner in apart]


def _cases_of(entry: Entry) -> Iterator[Case]:
    if entry.kind == "optimizer":
        yield from (Case("optimizer", entry.name, "step", width) for width in WIDTHS)
    elif entry.kind == "loss":
        yield Case("loss", entry.name, "forward and backward")
    elif entry.kind == "model":
        yield Case("model", entry.name, "forward")
        if {"seq2seq", "lm"} & set(entry.fits):
            yield Case("model", entry.name, "cached steps")
    else:
        yield Case("decoder", entry.name, "prediction")


PIECES = {
    "step": "optimizer",
    "forward and backward": "gradient",
    "forward": "model",
    "cached steps": "cached steps",
}
"""What a learner calls them; see `msbench.run.pieces`."""


def prepared(case: Case, registry: Registry, device: str) -> tuple[Learner, Callable[[], Any]]:
    """(a learner, what does the work whenever it is called); MsbenchError says why there is none.

    Required options are filled as `choices.able` fills them, all others are at their defaults.
    """
    entry = registry.find(case.kind, case.name)
    kinds: Sequence[Any] = entry.fits or ("classify",)
    kind: TaskKind = kinds[0]
    task = task_of(kind)
    learner = _learner(case, entry, kind, task, registry, device)
    batch = task.train.batch(np.arange(EXAMPLES))
    learner.mode(training=case.piece in ("step", "forward and backward"))
    if case.kind == "decoder":
        return learner, _prediction(learner, registry, able(registry, entry), task, batch)
    piece = pieces_of(learner, batch).get(PIECES[case.piece])
    if piece is None:
        raise PluginError(f"learner {entry.learner!r} does not do {case.piece!r} apart")
    return learner, piece


def _learner(
    case: Case, entry: Entry, kind: TaskKind, task: Task, registry: Registry, device: str
) -> Learner:
    """With the case's part, and the plainest of everything else in its framework."""
    framework = entry.learner
    parts: dict[str, Part] = {
        "model": model_of(registry, kind, framework, case.width),
        "loss": plain(registry, "loss", framework, kind),
        "optimizer": plain(registry, "optimizer", framework, kind),
    }
    if case.kind in parts:
        parts[case.kind] = able(registry, entry, case.width)
    built = {name: registry.build(name, part) for name, part in parts.items()}  # type: ignore[arg-type]
    make = registry.build("learner", registry.resolve("learner", Choice(framework)))
    learner: Learner = make(
        task, **built, seed=0, device=device, threads=1, dtype="float32", accumulate=1, clip=0.0
    )
    return learner


def _prediction(
    learner: Learner, registry: Registry, part: Part, task: Task, batch: Batch
) -> Callable[[], Any]:
    decoder = supplied(registry.build("decoder", part), task=task)
    learner.calibrate(decoder)
    return lambda: learner.predict(batch, decoder)
