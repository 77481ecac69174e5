"""What decoders wrote: one compressed file of JSON lines for each trial, beside the records.

RESULTS/outputs/KEY.jsonl.gz begins with a line that says what it is of. Then there is a line for
each test example, in the order of the split: a list with what every decoder of the record wrote for
it, null for one that writes nothing. The record has the digest of the lines, so that a file which
is torn, changed or of another run of the trial is never taken for its own.
"""

import base64
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from msbench.errors import RecordsError, StoreError
from msbench.faults import fault
from msbench.paths import inside, read_file
from msbench.records.record import Record
from msbench.records.schema import OutputsData, PartData

FOLDER, SUFFIX = "outputs", ".jsonl.gz"

MOST, UNPACKED = 2**24, 2**28
"""Bytes of a file, and of its lines: a trial that wrote more keeps no outputs."""

Outputs = Sequence[Sequence[Any] | None]
"""Of each decoder, what it wrote for every example: a text, the name of a label or a list of tags;
None for a decoder that writes nothing, as those that only say how likely texts are."""


def packed(key: str, decoders: Sequence[PartData], outputs: Outputs) -> OutputsData | None:
    """A trial's outputs as they travel in its record, from the worker to the folder; None if no
    decoder wrote anything. ValueError if they are too large to be kept."""
    count = next((len(each) for each in outputs if each is not None), 0)
    if not count:
        return None
    if len(outputs) != len(decoders):
        raise ValueError(f"{len(outputs)} outputs of {len(decoders)} decoders")
    columns = [[None] * count if each is None else each for each in outputs]
    if not all(_is_output(each) for column in columns for each in column):
        raise ValueError("they are neither texts nor lists of texts")
    named = [{"name": each["name"], "options": each["options"]} for each in decoders]
    head = {"key": key, "decoders": named}
    lines = [head, *(list(row) for row in zip(*columns, strict=True))]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    raw = content.encode(errors="replace")  # halves of characters become "?", as in records
    small = gzip.compress(raw, mtime=0)
    if len(raw) > UNPACKED or len(small) > MOST:
        raise ValueError(f"{len(small) / 2**20:.0f} MB, {MOST / 2**20:.0f} MB is the most")
    return {"digest": _digest(raw), "content": base64.b64encode(small).decode()}


def keep_outputs(folder: Path, record: Record) -> Record:
    """Write the outputs that a record brings along; the record without them, to be written next.

    For who holds the folder's lock. The file gets its name when it is whole and on the disk.
    """
    outputs = record.trial_results.get("outputs")
    if outputs is None or "content" not in outputs:
        return record
    content = base64.b64decode(outputs["content"])
    path = _file(folder, record.key)
    half = inside(path.parent, ".half")
    try:
        path.parent.mkdir(exist_ok=True)
        with half.open("wb") as file:
            fault("outputs", half=lambda: file.write(content[: len(content) // 2]))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    kept: OutputsData = {"digest": outputs["digest"]}
    return replace(record, results={**record.results, "outputs": kept})


def has_outputs(folder: Path, record: Record) -> bool:
    """Whether the outputs of a trial are there, as far as can be told without reading them."""
    kept = record.is_trial and "outputs" in record.trial_results
    return kept and _file(folder, record.key).is_file()


def read_outputs(folder: Path, record: Record) -> list[list[Any] | None]:
    """The outputs of a trial, one list per decoder of `results.decoding`, in that order.

    RecordsError if there are none, or if the file is not what its record says.
    """
    path = _file(folder, record.key)
    known = record.trial_results.get("outputs")
    if known is None or not path.is_file():
        raise RecordsError(f"{path}: trial {record.key} has kept no outputs")
    try:
        raw = _unpacked(read_file(path, MOST))
        if _digest(raw) != known["digest"]:
            raise ValueError("its digest is another: it was changed, or is of another run")
        return _columns(raw, record)
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError) as error:
        raise RecordsError(
            f"{path}: not the whole outputs of this trial's record ({error})"
        ) from error


def copy_outputs(folders: Iterable[Path], into: Path, records: Iterable[Record]) -> int:
    """Copy the outputs of these records, each from the first folder that has them whole; how many
    there were. StoreError if they cannot be written."""
    sources, count = list(folders), 0
    for record in records:
        for folder in sources:
            if not has_outputs(folder, record):
                continue
            try:
                read_outputs(folder, record)
            except RecordsError:
                continue
            _copy(_file(folder, record.key), _file(into, record.key))
            count += 1
            break
    return count


def folder_of(results: Path) -> Path:
    """Where the outputs of a folder of records are, or of a file in it."""
    return (results if results.is_dir() else results.parent) / FOLDER


def _file(folder: Path, key: str) -> Path:
    return inside(folder_of(folder), f"{key}{SUFFIX}")


def _copy(file: Path, to: Path) -> None:
    half = inside(to.parent, ".half")
    try:
        to.parent.mkdir(exist_ok=True)
        half.write_bytes(read_file(file, MOST))
        half.replace(to)
    except OSError as error:
        raise StoreError(f"cannot write {to}: {error.strerror or error}") from error


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:20]


def _unpacked(content: bytes) -> bytes:
    """At most UNPACKED bytes, whatever a file claims to be."""
    with gzip.GzipFile(fileobj=BytesIO(content)) as file:
        raw = file.read(UNPACKED + 1)
    if len(raw) > UNPACKED:
        raise ValueError("it unpacks to more than any trial may leave")
    return raw


def _columns(raw: bytes, record: Record) -> list[list[Any] | None]:
    head, *lines = (json.loads(line) for line in raw.splitlines())
    decoding = record.trial_results["decoding"]
    if head["key"] != record.key or any(len(line) != len(decoding) for line in lines):
        raise ValueError("of another trial, or of other decoders")
    if any(len(lines) != each["count"] for each in decoding):
        raise ValueError("of other examples")
    if not all(_is_output(each) for line in lines for each in line):
        raise ValueError("an output is neither a text nor a list of texts")
    columns = [[line[place] for line in lines] for place in range(len(decoding))]
    return [None if None in column else column for column in columns]


def _is_output(value: Any) -> bool:
    is_tags = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return value is None or isinstance(value, str) or is_tags
