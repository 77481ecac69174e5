"""Splits of items whose groups were found apart from them."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from msbench import split

Item = TypeVar("Item")


def split_by(groups: Iterable[int], items: Sequence[Item], seed: int = 0) -> dict[str, list[Item]]:
    """The splits of the items as `msbench.split` draws them, each group in one split."""
    parts = split(list(zip(groups, items, strict=True)), group=lambda pair: pair[0], seed=seed)
    return {name: [item for _, item in part] for name, part in parts.items()}
