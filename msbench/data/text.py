"""What the builders of tasks share: checked and normalized text."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msbench.data.task import Scores
from msbench.data.tokens import SPLITS
from msbench.errors import DataError

Pair = tuple[str, str]

Score = Callable[[Sequence[str], Sequence[str]], Scores]


def check_splits(splits: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    for name in SPLITS:
        if not splits.get(name):
            raise DataError(f"the {name} split is empty")
        for number, row in enumerate(splits[name], start=1):
            parts = [part for each in row for part in (each if isinstance(each, tuple) else [each])]
            if not all(parts):
                raise DataError(f"an empty text or label: example {number} of the {name} split")


def cleaned(text: str) -> str:
    """A label or target in normal form and without spaces around it, as predictions are."""
    return unicodedata.normalize("NFC", text).strip()


def as_one_text(text: str | Pair) -> str:
    return text if isinstance(text, str) else " = ".join(text)
