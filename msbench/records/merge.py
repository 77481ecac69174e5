"""Several folders of records -> a new one, if they do not contradict each other."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from msbench.errors import RecordsError, StoreError
from msbench.paths import write_whole
from msbench.records.outputs import copy_outputs
from msbench.records.planned import read_plan, write_plan
from msbench.records.question import FILE, read_question, write_question
from msbench.records.record import Record
from msbench.records.store import THROUGHPUT, TRIALS, prepare_folder, read
from msbench.spec import Question

SHOWN = 5
"""Trials that contradict each other, of which a message names at most so many."""

CLOCKED = ("seconds", "setup_seconds", "peak_memory", "tokens_per_second", "outputs")
"""Results that two runs of one trial need not have in common; outputs may have been left out."""


@dataclass
class Merged:
    """What a merge did."""

    records: int = 0
    twice: int = 0
    """Trials that several folders had, with equal results."""
    weights: int = 0
    outputs: int = 0
    """Trials whose outputs were copied."""
    problems: list[str] = field(default_factory=list)
    """A sentence for every line that is no record, and is left out."""


def merge(folders: Sequence[Path], into: Path) -> Merged:
    """Put the records of all folders into a new one, with their question and what trials kept.

    A trial that several folders have must have the same results in all of them, whatever time it
    took; of one that ended ok only somewhere, that record is kept. RecordsError if results
    contradict each other, folders answer different questions, or the new one has records;
    StoreError if it cannot be written.
    """
    if any((into / name).exists() for name in (TRIALS, THROUGHPUT)):
        raise RecordsError(f"{into}: has records already: name a new folder")
    gathered = gather(folders)
    kept, question = gathered.records, _question(folders)
    prepare_folder(into)
    _write(into, list(kept.values()), question)
    _join_plans(folders, into)
    weights = _copy_weights(folders, into, kept)
    outputs = copy_outputs(folders, into, kept.values())
    return Merged(len(kept), gathered.twice, weights, outputs, gathered.problems)


@dataclass
class Gathered:
    """Records of several folders that may stand together."""

    records: dict[str, Record] = field(default_factory=dict)
    """By key."""
    twice: int = 0
    """Trials that several folders had, with equal results."""
    problems: list[str] = field(default_factory=list)
    """A sentence for every line that is no record, and is left out."""
    unsealed: list[str] = field(default_factory=list)
    """A sentence for every file with records that have no checksum."""


def gather(folders: Sequence[Path]) -> Gathered:
    """The records of all folders, or files; RecordsError if results contradict each other.

    Of a trial that ended ok, or has outputs, only somewhere, that record is kept.
    """
    found, contradictions = Gathered(), list[str]()
    for folder in folders:
        stored = read(folder)
        found.problems += stored.problems
        found.unsealed += stored.unsealed
        for record in stored.records:
            other = found.records.get(record.key)
            found.twice += other is not None
            if other is None or (other.status != "ok" and record.status == "ok"):
                found.records[record.key] = record
            elif record.is_trial and record.status == "ok" and not same_results(other, record):
                contradictions.append(f"{record.key} in {folder}")
            elif "outputs" in record.results and "outputs" not in other.results:
                found.records[record.key] = record
    if contradictions:
        told = ", ".join(contradictions[:SHOWN]) + (", ..." if len(contradictions) > SHOWN else "")
        raise RecordsError(
            f"{len(contradictions)} trials have other results than in a folder named before: {told}"
            "; the machines or what is installed there differ in a way that no version tells"
        )
    return found


def same_results(one: Record, other: Record) -> bool:
    """Whether two records of a trial have equal losses, scores and counts."""
    return bool(_unclocked(one.results) == _unclocked(other.results))


def _unclocked(value: Any) -> Any:
    """Results without what clocks and machines say."""
    if isinstance(value, Mapping):
        return {
            name: _unclocked(each)
            for name, each in value.items()
            if name not in CLOCKED and not name.endswith("_seconds")
        }
    return [_unclocked(each) for each in value] if isinstance(value, list | tuple) else value


def _question(folders: Sequence[Path]) -> Question | None:
    """The one that all folders have, each for its tasks; None if none has one."""
    found = {folder: asked for folder in folders if (asked := read_question(folder))}
    metric, decoder = dict[str, str](), dict[str, str]()
    for asked in found.values():
        metric, decoder = {**metric, **asked.metric}, {**decoder, **asked.decoder}
    united = [
        replace(asked, metric={**metric, **asked.metric}, decoder={**decoder, **asked.decoder})
        for asked in found.values()
    ]
    if any(asked != united[0] for asked in united):
        named = ", ".join(map(str, found))
        raise RecordsError(f"{named}: their suites ask different questions ({FILE})")
    return united[0] if united else None


def _write(into: Path, records: Sequence[Record], question: Question | None) -> None:
    """Files that are whole or not there."""
    lines: dict[str, list[str]] = {TRIALS: [], THROUGHPUT: []}
    for record in records:
        lines[TRIALS if record.is_trial else THROUGHPUT].append(record.to_json() + "\n")
    try:
        for name, own in lines.items():
            write_whole(into / name, "".join(own).encode())
        if question:
            write_question(into, question)
    except OSError as error:
        raise StoreError(f"cannot write to {into}: {error.strerror or error}") from error


def _join_plans(folders: Sequence[Path], into: Path) -> None:
    """What all of them were to do together, if one of them says so."""
    plans = [plan for folder in folders if (plan := read_plan(folder))]
    if plans:
        write_plan(into, plans[0].suite, frozenset().union(*(plan.trials for plan in plans)))


def _copy_weights(folders: Sequence[Path], into: Path, kept: Mapping[str, Record]) -> int:
    """Kept weights of the trials, those of the first folder that has them."""
    count = 0
    try:
        for folder in folders:
            for file in sorted((folder / "weights").glob("*.safetensors")):
                target = into / "weights" / file.name
                if file.stem in kept and not target.exists():
                    target.parent.mkdir(exist_ok=True)
                    shutil.copy2(file, target)
                    count += 1
    except OSError as error:
        raise StoreError(f"cannot write to {into}: {error.strerror or error}") from error
    return count
