"""How files of the user's own are read, and what they have: rows, and what is wrong with them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msbench import TaskKind

TARGETS: Mapping[TaskKind, str] = {"classify": "label", "tag": "tags", "seq2seq": "target"}
"""What the column to predict is called if nobody says so."""

DELIMITERS = (",", ";", "\t", "|")

TABLES, OBJECTS = (".csv", ".tsv"), (".jsonl", ".ndjson", ".json")
"""The names of files with columns end so; all others are plain text."""

BIO = re.compile(r"O|[BI]-.+")

Item = tuple[Any, Any]
"""What the builders take: (text, label), (words, tags), (text, text); for `lm` (text, "")."""

Grouped = tuple[str, Item]
"""(value of the group column, item)."""


@dataclass(frozen=True)
class Form:
    """How a file is read: what it is for, its columns and how it is written."""

    kind: TaskKind
    source: str = "text"
    second: str = ""
    target: str = ""
    group: str = ""
    spans: bool = True
    """Whether tags must be O, B-name and I-name."""
    delimiter: str = ""
    """Between cells; "" for a comma, or a tab in a .tsv file."""
    encoding: str = "utf-8"

    @property
    def predicted(self) -> str:
        """The column of the label, tags or target text; "" of `lm`."""
        return self.target or TARGETS.get(self.kind, "")

    @property
    def columns(self) -> list[str]:
        """All that must be there."""
        return [c for c in (self.source, self.second, self.predicted, self.group) if c]


@dataclass(frozen=True)
class Fault:
    """What is wrong at a line of a file."""

    line: int
    reason: str
    fatal: bool = False
    """Whether the rows after it cannot be told, so that it cannot be skipped."""


@dataclass
class Rows:
    """What a file has: rows, and what is wrong with it."""

    good: list[Grouped] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
