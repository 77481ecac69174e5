"""The trials of a plan: a file beside records, which says how complete they are.

It is of the suite as it was run last, the trials of other shards included. Nothing but a list of
results reads it, so a file that is missing or damaged costs that number alone.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from msbench.errors import StoreError
from msbench.paths import read_file, write_whole

FILE = "plan.json"

MOST = 2**26
"""Bytes that the file may have."""


@dataclass(frozen=True)
class Plan:
    """What was to be done, as far as was known when it was written: a search adds trials."""

    suite: str
    trials: frozenset[str]
    """Their keys."""


def write_plan(folder: Path, suite: str, trials: Collection[str]) -> None:
    """Keep the plan in a folder of records; StoreError if it cannot be."""
    path = folder / FILE
    content = json.dumps({"suite": suite, "trials": sorted(trials)}, indent=0).encode()
    try:
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def read_plan(folder: Path) -> Plan | None:
    """The plan beside records; None if there is none that can be read."""
    try:
        data = json.loads(read_file(folder / FILE, MOST))
        return Plan(str(data["suite"]), frozenset(map(str, data["trials"])))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
