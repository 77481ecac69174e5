"""Batch sizes that are compared: `batch_size = [16, 64]` in [training].

The first is that of the suite as if it were the only one, so its trials are the same. Every
strategy also runs with each of the others twice: with as many passes, and over as many examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from msbench.errors import shown
from msbench.spec import Choice, Equal, Training, display_name


def batch_sizes(table: Any, where: str, problems: list[str]) -> tuple[Any, list[int]]:
    """The [training] table with the first of its batch sizes, and the others."""
    sizes = table.get("batch_size") if isinstance(table, Mapping) else None
    if not isinstance(sizes, list):
        return table, []
    right = all(type(size) is int and size > 0 for size in sizes)
    if not right or len(set(sizes)) < max(2, len(sizes)):
        problems.append(
            f"{where}.batch_size: should be a batch size, or two or more different ones that are "
            f"compared, not {shown(sizes)}"
        )
        return {**table, "batch_size": 1}, []
    return {**table, "batch_size": sizes[0]}, sizes[1:]


def with_batch_sizes(optimizers: Sequence[Choice], sizes: Sequence[int]) -> list[Choice]:
    """The optimizers, and each of them with every other batch size."""
    return [*optimizers, *(each for size in sizes for one in optimizers for each in _at(one, size))]


def _at(choice: Choice, size: int) -> list[Choice]:
    name = f"{display_name(choice)}, batch {size}"
    labels = {"passes": name, "examples": f"{name}, equal examples"}
    return [
        replace(choice, label=labels[equal], batch_size=size, equal=equal)
        for equal in get_args(Equal)
    ]


def budgeted(training: Training, choice: Choice) -> Training:
    """The training of a task as it is with an optimizer."""
    own = replace(training, count=choice.count)
    if not choice.batch_size:
        return own
    passes = training.passes
    if choice.equal == "examples":
        passes = max(1, round(passes * training.batch_size / choice.batch_size))
    compared = (training.batch_size, training.passes)
    return replace(own, batch_size=choice.batch_size, passes=passes, compared=compared)
