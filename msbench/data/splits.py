"""Fixed splits of items into train, validation and test: seeded, leak-free, nested in size."""

import random
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from msbench.data.words import lowered, spaced, words_of
from msbench.errors import DataError

Item = TypeVar("Item")

_SENTENCE_END = re.compile(r"(?<=[.!?।؟])\W*\s|(?<=[。！？])")


def shuffled(items: Sequence[Item], purpose: str) -> list[Item]:
    """All items in an order that depends only on how many there are, and on the purpose."""
    return random.Random(f"msbench/{purpose}").sample(items, len(items))


def split(
    items: Sequence[Item],
    group: Callable[[Item], Hashable] | None = None,
    seed: int = 0,
    every: Callable[[Item], Hashable] | None = None,
) -> dict[str, list[Item]]:
    """A tenth for test, a tenth for validation, the rest for training.

    group: items of one group (the same film, chapter, question) are in the same split; the
    held-out splits then have a tenth of the items or a little more. The largest group is in
    training if it has more than that, and no split is empty where there are three groups. every:
    of each of its values, such as labels, something is in training (with groups). seed: draws
    another split.
    """
    purpose = f"split {seed}" if seed else "split"
    if group is None:
        order, tenth = shuffled(items, purpose), len(items) // 10
        return {
            "test": order[:tenth],
            "validation": order[tenth : 2 * tenth],
            "train": order[2 * tenth :],
        }
    members: dict[Hashable, list[Item]] = {}
    for item in items:
        members.setdefault(group(item), []).append(item)
    parts: dict[str, list[Item]] = {"test": [], "validation": [], "train": []}
    drawn = shuffled(list(members), purpose)
    # Held out are the first ones, so the last of a label is held out only if all of them are.
    last = {every(item): key for key in drawn for item in members[key]} if every else {}
    kept = {*last.values(), *_too_large(members, len(items))}
    left = len(drawn) - len(kept)
    for key in drawn:
        parts[_part(parts, left, len(items) // 10) if key not in kept else "train"] += members[key]
        left -= key not in kept
    return {name: shuffled(part, "order") for name, part in parts.items()}


def _part(parts: Mapping[str, Sequence[Item]], left: int, tenth: int) -> str:
    """Where the next group goes: held out until there is a tenth, but where nothing is if there
    are no more groups than such places."""
    empty = [name for name, part in parts.items() if not part]
    unfilled = [name for name, part in parts.items() if len(part) < tenth]
    return empty[0] if empty and left <= len(empty) else next(iter(unfilled), "train")


def _too_large(members: Mapping[Hashable, Sequence[Item]], items: int) -> list[Hashable]:
    """The largest group, if it has more than a tenth: held out, it would be nearly all there is."""
    largest = max(members, key=lambda key: len(members[key]), default=None)
    return [largest] if members and 10 * len(members[largest]) > items else []


def plain(text: str) -> str:
    """A text reduced to its lower-case words, to recognize duplicates."""
    return " ".join(words_of(text, underscores=True))


def sentences(text: str, words: int = 10) -> set[str]:
    """The sentences of a text that have at least so many words, in lower case."""
    normalized = (" ".join(lowered(each).split()) for each in _SENTENCE_END.split(text))
    return {each for each in normalized if len(spaced(each).split()) >= words}


def passages(text: str, words: int = 10) -> set[str]:
    """All runs of so many consecutive words, as in `plain`: near copies share some."""
    plain_words = plain(text).split()
    return {" ".join(plain_words[i : i + words]) for i in range(len(plain_words) - words + 1)}


def linked(keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """The group of every item, given the keys of each: items that share a key are in one group.

    So are those that are connected through others. For `split`, where there is no one column to
    group by: texts that share a sentence, requests that share a function.
    """
    parent = list(range(len(keys)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    first: dict[Hashable, int] = {}
    for item, item_keys in enumerate(keys):
        for key in item_keys:
            parent[root(item)] = root(first.setdefault(key, item))
    return [root(item) for item in range(len(keys))]


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
    draw, place = random.Random("msbench/label noise"), {label: n for n, label in enumerate(labels)}
    for row in shuffled(range(len(train)), "label noise")[: round(share * len(train))]:
        text, label = train[row]
        other = draw.randrange(len(labels) - 1)
        train[row] = (text, labels[other + (other >= place[label])])
    return {**splits, "train": train}
