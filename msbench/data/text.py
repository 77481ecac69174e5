"""What the builders of tasks share: checked and normalized text, and splits by name."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msbench.data.task import SPLITS, Scores, Split
from msbench.errors import DataError

Pair = tuple[str, str]

Text = TypeVar("Text")

Score = Callable[[Sequence[str], Sequence[str]], Scores]
"""(predicted texts, target texts) -> Scores."""


def cleaned_pairs(
    splits: Mapping[str, Sequence[tuple[Text, str]]],
) -> dict[str, list[tuple[Text, str]]]:
    """The three splits with clean labels or targets; DataError as from `check_splits`."""
    cleaned = {n: [(text, clean(target)) for text, target in splits.get(n, ())] for n in SPLITS}
    check_splits(cleaned)
    return cleaned


def check_splits(splits: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """DataError if a split is missing or empty, or any text or label in it is empty."""
    for name in SPLITS:
        if not splits.get(name):
            raise DataError(f"the {name} split is empty")
        for number, row in enumerate(splits[name], start=1):
            parts = [part for each in row for part in (each if isinstance(each, tuple) else [each])]
            if not all(parts):
                raise DataError(f"an empty text or label: example {number} of the {name} split")


def clean(text: str) -> str:
    """A label or target in normal form (NFC) and without spaces around it, as predictions are."""
    return unicodedata.normalize("NFC", text).strip()


def by_split(make: Callable[[str], Split]) -> dict[str, Any]:
    """The arguments of `Task` that are splits, each made from its name."""
    return {name: make(name) for name in SPLITS}
