"""Splits of items whose groups were found apart from them."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from msbench import split

Item = TypeVar("Item")


def split_by(groups: Iterable[int], items: Sequence[Item]) -> dict[str, list[Item]]:
    """The splits of the items; those of one group are in the same split."""
    parts = split(list(zip(groups, items, strict=True)), group=lambda pair: pair[0])
    return {name: [item for _, item in part] for name, part in parts.items()}
