"""Models: logits that depend on an example alone, and steps that equal them.

Each check tries every kind of task that the model fits, small (its options `width`, `layers` and
`heads`, where it has them), in double precision and without dropout.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from msbench.checks.findings import Skipped, Wrong
from msbench.checks.learning import held_out, learns, need_kinds, trained
from msbench.checks.small import (
    CLOSE,
    apart,
    batch_for,
    gradients,
    model_for,
    needs_torch,
    short_for,
    unchanged,
)
from msbench.checks.subject import Subject
from msbench.data.task import IGNORE, PAD, Batch
from msbench.microbench.tasks import task_of
from msbench.plugins.options import supplied
from msbench.spec import TaskKind

GENERATING = ("seq2seq", "lm")


def can_be_made(subject: Subject) -> None:
    """For every kind of task it gives logits of the right shape, all of them numbers.

    (examples, classes) for `classify`, (examples, length, classes) for `tag`, else
    (examples, length, vocabulary)."""
    need_kinds(subject)
    if not subject.is_torch:
        subject.learner(subject.kinds[0])
        return
    for kind, model, batch in _cases(subject):
        logits, task = model(batch), task_of(kind)
        sizes = {
            "classify": (len(batch.rows), task.classes),
            "tag": (*batch.source.shape, task.classes),
        }
        expected = sizes.get(kind) or (*batch.input.shape, task.vocabulary)
        if tuple(logits.shape) != expected:
            raise Wrong(f"on {kind} its logits are {tuple(logits.shape)}, not {expected}")
        if not bool(logits[_counts(kind, batch)].isfinite().any(-1).all()):
            raise Wrong(f"on {kind} some logits are not numbers")


def ignores_padding(subject: Subject) -> None:
    """More padding changes no logits, whether or not the batch says that it has none."""
    for kind, model, _ in _cases(subject):
        narrow, wide = short_for(kind)
        _compare(kind, narrow, model(narrow), model(wide), "more padding changes its logits")
        masked = replace(narrow, same_length=0)
        _compare(kind, narrow, model(narrow), model(masked), "batch.full changes its logits")


def ignores_its_neighbours(subject: Subject) -> None:
    """An example's logits are the same alone, in a batch and in another order, also in training.

    A batch norm mixes examples: what is reported would depend on the batch size."""
    for kind, model, batch in (each for mode in (False, True) for each in _cases(subject, mode)):
        if model.training and _draws(model, batch):
            continue  # its dropout is no option
        _seed()
        logits, reverse = model(batch), torch.arange(len(batch.rows)).flip(0)
        _seed()
        turned = model(_taken(batch, reverse))
        where = f"on {kind}{', in training without dropout,' if model.training else ''}"
        if not _same(kind, batch, logits, turned.index_select(0, reverse)):
            raise Wrong(f"{where} another order of the examples changes their logits")
        size = 2 if model.training else 1  # of one example a batch norm in training takes none
        for row in range(0, len(batch.rows) - 1, 3):
            few = _taken(batch, torch.arange(row, row + size))
            _seed()
            if not _same(kind, few, logits[row : row + size], model(few)):
                raise Wrong(f"{where} an example's logits depend on the others in its batch")


def is_the_same_again(subject: Subject) -> None:
    """Evaluated twice, it gives the same: nothing is random or counted there."""
    for kind, model, batch in _cases(subject):
        if apart(model(batch), model(batch)) > 0:
            raise Wrong(f"on {kind} two evaluations of one batch differ")


def is_drawn_from_the_seed(subject: Subject) -> None:
    """Its weights follow from torch's generator, which the learner seeds, and from nothing else."""
    needs_torch(subject)
    kind = subject.kinds[0]
    make, task = subject.model(kind), task_of(kind)

    def made(seed: int, others: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        np.random.seed(others)
        random.seed(others)
        state: dict[str, Tensor] = make(task).state_dict()
        return state

    first, again, other = made(1, 1), made(1, 2), made(2, 1)
    for name, weight in first.items():
        if not torch.equal(weight, again[name]):
            raise Wrong(f"with the same seed {name!r} is another one: draw from torch's generator")
    if all(torch.equal(weight, other[name]) for name, weight in first.items()):
        raise Wrong("with another seed its weights are the same")


def sees_no_future(subject: Subject) -> None:
    """Logits at a position depend on no token after it (`seq2seq`, `lm`).

    One that sees what it is to predict is perfect in training, and useless."""
    for kind, model, batch in _generating(subject):
        middle = batch.input.shape[1] // 2
        changed = batch.input.clone()
        changed[:, middle:] = changed[:, middle:].flip(0).roll(1, 1)
        logits, other = model(batch), model(replace(batch, input=changed))
        if apart(logits[:, :middle], other[:, :middle]) > CLOSE:
            raise Wrong(f"on {kind} logits depend on tokens that come after them")


def steps_as_it_reads(subject: Subject) -> None:
    """`start` and `step`, with rows repeated, reordered and left out by `select`, give the logits
    of the whole forward pass (`seq2seq`, `lm`)."""
    for kind, model, batch in _generating(subject):
        if not int(getattr(model, "max_length", 0)) > 0:
            raise Wrong(f"on {kind} it has no max_length, the most tokens that it writes")
        expected = model(batch)
        state, rows = model.start(batch), torch.arange(len(batch.rows))
        begin = (batch.source != PAD).sum(1) if kind == "lm" else torch.zeros_like(rows)
        for ahead in range(min(6, int(model.max_length))):
            place = begin[rows] + ahead
            real = place < batch.input.shape[1]
            at = place.clamp(max=batch.input.shape[1] - 1)
            tokens = batch.input[rows, at] if ahead else torch.full_like(rows, 1)
            logits, state = model.step(state, tokens)
            real &= batch.input[rows, at] != PAD
            if apart(logits[real], expected[rows, at][real]) > 100 * CLOSE:
                raise Wrong(
                    f"on {kind} the logits of step {ahead + 1} are not those of the forward pass"
                    + (" after select(rows)" if ahead in (2, 4) else "")
                )
            if ahead in (1, 3):
                chosen = [3, 0, 0, 5, 1] if ahead == 1 else [4, 2, 2]
                state, rows = state.select(torch.tensor(chosen)), rows[chosen]


def saves_and_loads(subject: Subject) -> None:
    """Weights that are saved and loaded by a model with another seed give the same loss."""
    kind = subject.kinds[0]
    one, other = subject.learner(kind, 0), subject.learner(kind, 1)
    loss = trained(one, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        one.save(path, {})
        other.mode(training=False)
        other.load(path)
    if loss != float(other.validate(held_out(other))):
        raise Wrong(
            "loaded into another model, the saved weights give another loss: it keeps state that "
            "is neither a parameter nor a buffer"
        )


def leaves_the_batch_alone(subject: Subject) -> None:
    """The batch is as before."""
    for _, model, batch in _cases(subject):
        with unchanged(batch, "the model"):
            model(batch)


def uses_every_weight(subject: Subject) -> None:
    """Every trained weight has a gradient on some kind of batch that it fits.

    One that has none is counted and stored, and never learns."""
    for kind, model, batch in _cases(subject, training=True):
        loss = supplied(subject.plain("loss", kind), task=task_of(kind))
        total, _ = loss(model, batch)
        names = [name for name, p in model.named_parameters() if p.requires_grad]
        found = gradients(model, total)
        if idle := [n for n, g in zip(names, found, strict=True) if not bool((g != 0).any())]:
            raise Wrong(
                f"on {kind} {len(idle)} of {len(names)} weights have no gradient, such as "
                f"{idle[0]!r}; leave them out, or set requires_grad = False"
            )


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    ignores_padding,
    ignores_its_neighbours,
    is_the_same_again,
    is_drawn_from_the_seed,
    sees_no_future,
    steps_as_it_reads,
    saves_and_loads,
    leaves_the_batch_alone,
    uses_every_weight,
    learns,
)


def _cases(subject: Subject, training: bool = False) -> Iterator[tuple[TaskKind, Any, Batch]]:
    """(kind, model, batch) for every kind of task it fits."""
    needs_torch(subject)
    for kind in subject.kinds:
        with torch.set_grad_enabled(training):
            yield kind, model_for(subject, kind).train(training), batch_for(kind)


def _generating(subject: Subject) -> Iterator[tuple[TaskKind, Any, Batch]]:
    needs_torch(subject)
    if not set(GENERATING) & set(subject.kinds):
        raise Skipped("it does not generate")
    yield from (case for case in _cases(subject) if case[0] in GENERATING)


def _counts(kind: TaskKind, batch: Batch) -> Any:
    """Where logits count."""
    return torch.ones(len(batch.rows), dtype=torch.bool) if kind == "classify" else (
        batch.target != IGNORE
    )  # fmt: skip


def _same(kind: TaskKind, batch: Batch, one: Tensor, other: Tensor) -> bool:
    where = _counts(kind, batch)
    if kind != "classify":  # one may be wider than the other
        one, other = (each[:, : where.shape[1]] for each in (one, other))
    return apart(one[where], other[where]) <= CLOSE


def _compare(kind: TaskKind, batch: Batch, one: Tensor, other: Tensor, what: str) -> None:
    if not _same(kind, batch, one, other):
        raise Wrong(f"on {kind} {what}: mask positions that hold PAD")


def _taken(batch: Batch, rows: Tensor) -> Batch:
    part = batch.map(lambda array: array[rows])
    return replace(part, rows=batch.rows[rows.numpy()])


def _draws(model: Any, batch: Batch) -> bool:
    """Whether it is random."""
    _seed()
    first = model(batch)
    _seed(1)
    return apart(first, model(batch)) > 0


def _seed(seed: int = 0) -> None:
    torch.manual_seed(seed)
