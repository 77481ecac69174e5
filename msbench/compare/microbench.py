"""Files of pytest-benchmark's JSON -> how each case compares with an earlier time."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from msbench.errors import RecordsError
from msbench.paths import read_file

LIMIT = 0.1
"""How much slower a case must be to be named."""


class CaseRow(TypedDict):
    """One case, in seconds; NaN where an earlier time is not known."""

    case: str
    median: float
    least: float
    before: float
    """The least of the earlier time."""
    change: float
    """Of the least, as a share: positive is slower."""
    slower: bool
    """By more than the limit."""


@dataclass(frozen=True)
class Microbench:
    """What was timed, and why some was not."""

    rows: Sequence[CaseRow]
    compared_with: str
    skipped: Mapping[str, str]
    failed: Mapping[str, str]

    @property
    def slower(self) -> list[CaseRow]:
        """The regressions."""
        return [row for row in self.rows if row["slower"]]


def new_file(folder: Path) -> Path:
    """A name for the next file, which sorts behind all others."""
    return folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.json"


def read_times(file: Path) -> dict[str, Any]:
    """The content of a file; RecordsError if it is not pytest-benchmark's."""
    try:
        data: dict[str, Any] = json.loads(read_file(file))
        place(data)
        for each in data["benchmarks"]:
            if not (each["name"].partition("[")[1] and float(each["stats"]["min"]) > 0):
                raise ValueError(f"a case with the time {each['stats']['min']!r}")
    except OSError as error:
        raise RecordsError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordsError(f"{file}: not a file of msbench microbench: {error!r}") from error
    return data


def newest(folder: Path, like: Mapping[str, Any], but: Path) -> Path | None:
    """The last file of a folder, but one, that is of the same machine and device."""
    for file in sorted(set(folder.glob("*.json")) - {but}, reverse=True):
        try:
            if place(read_times(file)) == place(like):
                return file
        except RecordsError:
            continue
    return None


def place(data: Mapping[str, Any]) -> tuple[str, str]:
    """(processor, device) that times depend on."""
    machine = data.get("machine_info", {})
    device = machine.get("msbench", {}).get("device", "")
    return str(machine.get("cpu", {}).get("brand_raw", "")), str(device)


def compared(
    now: Mapping[str, Any], before: Mapping[str, Any] | None, limit: float = LIMIT
) -> list[CaseRow]:
    """A row for every case that was timed now.

    The least times are compared: whatever else a machine does only adds to them.
    """
    old = {each["name"]: each["stats"]["min"] for each in (before or {}).get("benchmarks", ())}
    return [_row(each, old.get(each["name"], math.nan), limit) for each in now["benchmarks"]]


def _row(timed: Mapping[str, Any], before: float, limit: float) -> CaseRow:
    least = timed["stats"]["min"]
    change = least / before - 1
    return {
        "case": timed["name"].partition("[")[2].removesuffix("]"),
        "median": timed["stats"]["median"],
        "least": least,
        "before": before,
        "change": change,
        "slower": change > limit,
    }
