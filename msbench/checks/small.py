"""Small models of torch and batches as tensors, for parts whose inside is looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench.checks.findings import Skipped, Wrong
from msbench.checks.subject import Subject
from msbench.data.task import IGNORE, PAD, Batch, Task
from msbench.microbench.tasks import task_of
from msbench.spec import TaskKind

GAIN = 1.5
"""By which weights are multiplied, so that predictions are far from uniform and mistakes show."""

CLOSE = 1e-8
"""The largest difference between numbers in double precision that may be rounding, relative to the
larger of 1 and the numbers."""


def needs_torch(subject: Subject) -> None:
    """Skipped for parts of other frameworks."""
    if not subject.is_torch:
        raise Skipped(f"the inside of {subject.framework}'s parts is not looked at")


def model_for(subject: Subject, kind: TaskKind, **options: Any) -> Any:
    """A small model in double precision, without dropout, evaluating."""
    torch.manual_seed(0)
    model = subject.model(kind, **options)(task_of(kind)).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(GAIN)
    return model


def batch_for(kind: TaskKind, rows: Any = range(8)) -> Batch:
    """Examples of a small task, of several lengths, as tensors."""
    return tensors(task_of(kind).train.batch(_ragged(kind)[np.asarray(rows)]))


def tensors(batch: Batch) -> Batch:
    """The batch as tensors of its own."""
    return batch.map(lambda array: torch.from_numpy(np.array(array)))


def short_for(kind: TaskKind) -> tuple[Batch, Batch]:
    """A batch of short examples, and the same with as much padding as the task has room for."""
    task = task_of(kind)
    narrow = tensors(task.train.batch(_by_length(task)[:6]))
    return narrow, padded(narrow, task)


def padded(batch: Batch, task: Task) -> Batch:
    """The batch, as wide as the task's longest example."""

    def wider(array: Any, longest: int, value: int) -> Any:
        if array is None or array.ndim == 1:
            return array
        return functional.pad(array, (0, max(0, longest - array.shape[1])), value=value)

    target = task.longest_target if batch.input is not None else task.longest_source
    return replace(
        batch,
        source=wider(batch.source, task.longest_source, PAD),
        input=wider(batch.input, task.longest_target, PAD),
        target=wider(batch.target, target, IGNORE),
    )


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the larger of 1 and the numbers; infinite if one is
    finite and the other is not."""
    both = torch.isfinite(one) & torch.isfinite(other)
    if not torch.equal(one[~both].nan_to_num(), other[~both].nan_to_num()):
        return float("inf")
    scale = max(1.0, float(one[both].abs().max())) if both.any() else 1.0
    return float((one[both] - other[both]).abs().max()) / scale if both.any() else 0.0


@contextmanager
def unchanged(batch: Batch, what: str) -> Iterator[None]:
    """Wrong if the batch's arrays or references differ afterwards."""
    before = batch.map(torch.clone)  # type: ignore[arg-type]
    references = list(batch.references)
    yield
    for name in ("source", "input", "target", "words"):
        old, new = getattr(before, name), getattr(batch, name)
        if old is not None and not torch.equal(old, new):
            raise Wrong(f"{what} changes batch.{name}, which others read, too; work on a copy")
    if references != list(batch.references):
        raise Wrong(f"{what} changes batch.references; work on a copy")


def gradients(model: nn.Module, total: Tensor) -> list[Tensor]:
    """The gradient of every weight, 0 where there is none."""
    weights = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(total, weights, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(weights, found, strict=True)]


def _ragged(kind: TaskKind) -> Any:
    """Rows in an order in which short and long examples alternate."""
    order = _by_length(task_of(kind))
    return np.stack([order[: len(order) // 2], order[::-1][: len(order) // 2]], axis=1).ravel()


def _by_length(task: Task) -> Any:
    return np.argsort(np.sum(task.train.lengths, axis=0), kind="stable")
