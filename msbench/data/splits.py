"""Fixed splits of items into train, validation and test: seeded, leak-free, nested in size."""

import random
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from msbench.errors import DataError

Item = TypeVar("Item")


def shuffled(items: Sequence[Item], purpose: str) -> list[Item]:
    """All items in an order that depends on nothing but their number and the purpose."""
    return random.Random(f"msbench/{purpose}").sample(items, len(items))


def split(
    items: Sequence[Item], group: Callable[[Item], Hashable] | None = None, seed: int = 0
) -> dict[str, list[Item]]:
    """A tenth for test, a tenth for validation, the rest for training.

    group: items of equal group (the same film, chapter, question) land in the same split; the
    held-out splits then have a tenth of the items or a little more. seed: another split.
    """
    purpose = f"split {seed}" if seed else "split"
    if group is None:
        order = shuffled(items, purpose)
        tenth = len(order) // 10
        bounds = [order[:tenth], order[tenth : 2 * tenth], order[2 * tenth :]]
        return dict(zip(("test", "validation", "train"), bounds, strict=True))
    members: dict[Hashable, list[Item]] = {}
    for item in items:
        members.setdefault(group(item), []).append(item)
    parts: dict[str, list[Item]] = {"test": [], "validation": [], "train": []}
    for each in shuffled(list(members.values()), purpose):
        open_ones = (name for name, part in parts.items() if len(part) < len(items) // 10)
        parts[next(open_ones, "train")].extend(each)
    return {name: shuffled(part, "order") for name, part in parts.items()}


def plain(text: str) -> str:
    """A text by its words alone, to tell what is alike."""
    return " ".join(re.findall(r"\w+", text.lower()))


def sentences(text: str, words: int = 10) -> set[str]:
    """Its sentences of so many words or more, in lower case."""
    found = (" ".join(each.lower().split()) for each in re.split(r"(?<=[.!?])\W*\s", text))
    return {each for each in found if len(each.split()) >= words}


def passages(text: str, words: int = 10) -> set[str]:
    """Every run of so many words on end, by the words alone: what a near copy shares."""
    said = plain(text).split()
    return {" ".join(said[i : i + words]) for i in range(len(said) - words + 1)}


def linked(keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """For every item, given by its keys, the group it is in: items that share a key are together.

    So are those that are connected through others. For `split`, where there is no one column to
    group by: texts that share a sentence, requests that share a function.
    """
    above = list(range(len(keys)))

    def top(item: int) -> int:
        while above[item] != item:
            above[item] = above[above[item]]
            item = above[item]
        return item

    first: dict[Hashable, int] = {}
    for item, its in enumerate(keys):
        for key in its:
            above[top(item)] = top(first.setdefault(key, item))
    return [top(item) for item in range(len(keys))]


def take(splits: Mapping[str, Sequence[Item]], train_size: int) -> dict[str, Sequence[Item]]:
    """The splits with the first `train_size` training items (0 = all): more contains less."""
    train = splits["train"]
    if not 0 <= train_size <= len(train):
        raise DataError(f"train_size must be 0 (all) to {len(train)}, not {train_size}")
    return {**splits, "train": train[:train_size] if train_size else train}


def mislabel(
    splits: Mapping[str, Sequence[tuple[str, str]]], share: float
) -> dict[str, Sequence[tuple[str, str]]]:
    """The splits with a share of the training labels replaced by another label."""
    if not 0 <= share < 1:
        raise DataError(f"label_noise must be from 0 to below 1, not {share}")
    train = list(splits["train"])
    labels = sorted({label for _, label in train})
    if share and len(labels) < 2:
        raise DataError(f"label_noise needs two labels or more in training, found: {labels}")
    draw = random.Random("msbench/label noise")
    for row in shuffled(range(len(train)), "label noise")[: round(share * len(train))]:
        text, label = train[row]
        train[row] = (text, draw.choice([other for other in labels if other != label]))
    return {**splits, "train": train}
