"""Records on disk: JSON lines, appended one by one, never rewritten."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from msbench.errors import RecordsError, StoreError, did_you_mean
from msbench.faults import fault
from msbench.paths import refuse_special, special_file
from msbench.records.checksum import is_sealed
from msbench.records.lines import Jobs, record_of
from msbench.records.outputs import keep_outputs
from msbench.records.record import Record

TRIALS, THROUGHPUT = "trials.jsonl", "throughput.jsonl"

ROOM = 2**18
"""Bytes that must fit on the disk before anything is run: a few records."""

_BUFFER = 2**20
"""Bytes read at once: with the usual 8 KiB, two records, reading takes four times as long."""

BAD = (ValueError, TypeError, RecursionError)
"""What a line that is no record may raise."""


@dataclass(frozen=True)
class Stored:
    """What was read."""

    records: tuple[Record, ...]
    problems: tuple[str, ...] = ()
    """A sentence for every line that could not be."""
    unsealed: tuple[str, ...] = ()
    """A sentence for every file with records that have no checksum."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone among all programs that write to a folder; StoreError if that takes a minute."""
    from filelock import FileLock, Timeout  # late: reading needs no lock

    if not folder.is_dir():  # filelock would make it again, empty, somewhere else
        raise StoreError(f"cannot write to {folder}: the folder is gone")
    try:
        fault("lock")
        with FileLock(folder / ".lock", timeout=60):
            yield
    except Timeout as error:
        raise StoreError(
            f"cannot write to {folder}: another msbench has held its lock for 60 s"
        ) from error
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from error


def append(folder: Path, record: Record) -> None:
    """Add one record and return only when it is on the disk.

    A lock keeps two programs from writing at once. If an earlier write broke off in the middle
    of a line, the new record starts on a line of its own.
    """
    with locked(folder):
        write_record(folder, record)


def write_record(folder: Path, record: Record) -> Record:
    """`append` for a caller that holds the lock; the record as it is kept, its outputs in a file of
    their own, which is written first. A write that fails leaves no part of the record behind."""
    path = folder / (TRIALS if record.is_trial else THROUGHPUT)
    record = keep_outputs(folder, record)
    line = record.to_json().encode() + b"\n"
    try:
        with _opened(path, "ab+", buffering=0) as file:
            line = line if _ends_whole(file) else b"\n" + line
            size = file.seek(0, os.SEEK_END)
            try:
                fault("append", half=lambda: file.write(line[: len(line) // 2]))
                while line:
                    line = line[file.write(line) :]
                fault("sync")
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(size)
                raise
        fault("acknowledge")
        return record
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def prepare_folder(folder: Path) -> None:
    """Make the folder and prove that records can be written there, before any compute."""
    scratch = folder / ".room"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            for name in (TRIALS, THROUGHPUT):
                _opened(folder / name, "ab").close()
            try:
                with _opened(scratch, "wb") as file:
                    file.write(bytes(ROOM))
            finally:
                scratch.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write results to {folder}: {error.strerror or error}") from error


def read(path: Path, *, strict: bool = True) -> Stored:
    """The records of a folder or file; of records with equal keys the last one counts.

    Lines that are not records (half-written, damaged, of another layout) are named in
    `problems` and left alone. RecordsError if the path cannot be read or, where `strict`, if
    there is no record.
    """
    problems: list[str] = []
    unsealed: list[str] = []
    records: dict[str, Record] = {}
    for found in stream(path, problems, unsealed, strict=strict):
        records.pop(found.key, None)
        records[found.key] = found
    return Stored(tuple(records.values()), tuple(problems), tuple(unsealed))


def stream(
    path: Path,
    problems: list[str],
    unsealed: list[str] | None = None,
    *,
    strict: bool = True,
    content: "hashlib._Hash | None" = None,
) -> Iterator[Record]:
    """Every record of a folder or file as it is read, also several with equal keys.

    Of many records only what the reader keeps is in memory. A sentence for every line that is no
    record is added to `problems`, and one for every file with records that have no checksum to
    `unsealed`; RecordsError as in `read`. content: what is read is added to it, so that at the end
    it is `content_of` exactly these records.
    """
    content = content or hashlib.sha256()
    count = 0
    jobs: Jobs = {}
    for file in _files(path):
        without = 0
        content.update(_title(file))
        for number, line in _lines(file):
            content.update(line)
            if line.isspace():
                continue
            try:
                record = record_of(line, jobs)
            except BAD as error:
                problems.append(f"{file}, line {number}: skipped, not a whole record ({error})")
                behind = _behind(line)
                if behind is None:
                    continue
                record = behind
            count += 1
            without += not is_sealed(line)
            yield record
        if without and unsealed is not None:
            unsealed.append(
                f"{file}: {without} records have no checksum, since an older msbench wrote them; "
                f"a changed number in them may go unseen"
            )
    if strict and not count:
        raise RecordsError(
            f"{path}: holds no msbench records; {problems[0] if problems else 'it is empty'}"
        )


def content_of(path: Path) -> str:
    """The digest of all files of results, and of their names."""
    content = hashlib.sha256()
    for file in _files(path):
        content.update(_title(file))
        try:
            with _opened(file, "rb", buffering=0) as opened:
                while piece := opened.read(_BUFFER):
                    content.update(piece)
        except OSError as error:
            raise RecordsError(f"{file}: cannot be read: {error.strerror or error}") from error
    return content.hexdigest()


def results_size(path: Path) -> int:
    """Bytes of all files of results; 0 for what cannot be read."""
    try:
        return sum(file.stat().st_size for file in _files(path))
    except OSError:
        return 0


def _title(file: Path) -> bytes:
    return f"\0{file}\0".encode(errors="surrogateescape")


def find_results(name: str, out: Path = Path("results")) -> Path:
    """The folder or file of results: a path, or the name of a suite under `out`."""
    try:
        for path in (Path(name), out / name, out / "reference" / name):
            if special := special_file(path) if not path.is_dir() else "":
                raise RecordsError(f"{path}: is {special}, not a file or folder of records")
            if path.is_file() or (path.is_dir() and any(path.glob("*.jsonl"))):
                return path
    except OSError as error:
        raise RecordsError(f"{name[:80]}: cannot be read: {error.strerror}") from error
    there = _with_records(out) + _with_records(out / "reference")
    if Path(name).is_dir():
        raise RecordsError(f"{name}: holds no .jsonl files")
    raise RecordsError(
        f"no results {name!r}, neither a path nor under {out}{did_you_mean(name, there)}"
    )


def _with_records(folder: Path) -> list[str]:
    return [path.parent.name for path in folder.glob("*/trials.jsonl")]


def _files(path: Path) -> list[Path]:
    try:
        return sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read: {error.strerror or error}") from error


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with _opened(file, "rb") as lines:
            yield from enumerate(lines, start=1)
    except OSError as error:
        raise RecordsError(f"{file}: cannot be read: {error.strerror or error}") from error


def _behind(line: bytes) -> Record | None:
    """The record at the end of a bad line, if only the end of the line before it is damaged."""
    start = line.rfind(b'{"key": "', 1)
    try:
        return Record.from_json(line[start:]) if start > 0 else None
    except BAD:
        return None


def _opened(path: Path, mode: str, buffering: int = _BUFFER) -> BinaryIO:
    """An open file; OSError at once, and no waiting, if it is anything but a regular file."""
    refuse_special(path)
    return cast(BinaryIO, path.open(mode, buffering=buffering))


def _ends_whole(file: BinaryIO) -> bool:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return True
    file.seek(size - 1)
    return file.read(1) == b"\n"
