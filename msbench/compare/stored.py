"""Columns in the cache: large results are parsed once, however often they are compared.

They are kept by the digest of the files that they were read from, and of the code that read them:
a file that has changed, or was damaged itself, is read again, and nobody is told. A file in the
cache is arrays (npz, no pickle) with their SHA-256 behind them.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msbench.cache import cache_folder, code_digest
from msbench.compare.columns import Columns, collect
from msbench.paths import read_file, write_whole
from msbench.records.record import Record
from msbench.records.store import content_of, results_size, stream

LEAST = 2**22
"""Bytes of results from which on their columns are kept: fewer are read in a tenth of a second."""

KEPT = 8
"""Results whose columns are kept, those that were written last."""

READERS = (
    *("compare/columns.py", "compare/labels.py", "compare/short_names.py", "compare/stored.py"),
    *("compare/versions.py", "records", "spec.py"),
)
"""The code that columns depend on."""

TABLES = ("trials", "curve", "scores", "decoded")
RECORDS = ("groups", "measured", "searches", "yardsticks")
PLAIN = ("tasks", "seeds", "metrics", "machines")
BY_TRIAL = ("tuned", "reasons", "found")
"""Fields of `Columns` by what they hold: arrays by name, records, plain data, and plain data by
trial. `kept` and `examples` are the others."""

DIGEST = hashlib.sha256().digest_size


def columns_of(
    path: Path,
    metric: str,
    problems: list[str],
    unsealed: list[str],
    *,
    least: int = LEAST,
) -> Columns:
    """`collect(stream(path, problems, unsealed), metric)`, the twin that remembers.

    least: bytes of results from which on columns are kept. RecordsError as the twin raises it.
    """
    if results_size(path) < least:
        return collect(stream(path, problems, unsealed), metric)
    asked = json.dumps([code_digest(*READERS), str(path), metric])
    name = hashlib.sha256(f"{path.absolute()} {metric}".encode(errors="replace")).hexdigest()
    file = cache_folder() / "columns" / f"{name[:24]}.npz"
    known = _load(file, f"{asked} {content_of(path)}")
    if known is None:
        content = hashlib.sha256()
        columns = collect(stream(path, problems, unsealed, content=content), metric)
        _store(file, f"{asked} {content.hexdigest()}", columns, [problems, unsealed])
        return columns
    columns, (said, without) = known
    problems += said
    unsealed += without
    return columns


def _load(file: Path, key: str) -> tuple[Columns, list[list[str]]] | None:
    """What was stored under a key; None for another one, or if it is missing or damaged."""
    try:
        stored = memoryview(read_file(file))
        if hashlib.sha256(stored[:-DIGEST]).digest() != stored[-DIGEST:]:
            return None
        with np.load(BytesIO(stored[:-DIGEST]), allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            return (_unpacked(arrays, about), about["remarks"]) if about["key"] == key else None
    except Exception:  # whatever is wrong with it, it can be made again
        return None


def _store(file: Path, key: str, columns: Columns, remarks: list[list[str]]) -> None:
    """A cache that cannot be written costs time and nothing else."""
    arrays, about = _packed(columns)
    text = json.dumps({"key": key, "remarks": remarks, **about})
    buffer = BytesIO()
    arrays["about"] = np.frombuffer(text.encode(), np.uint8)
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    with suppress(OSError):
        write_whole(file, content + hashlib.sha256(content).digest())
        others = sorted(file.parent.glob("*.npz"), key=lambda each: -each.stat().st_mtime)
        for old in others[KEPT:]:
            old.unlink(missing_ok=True)


def _packed(columns: Columns) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays by name, all else as plain data)."""
    arrays = {
        f"{table} {name}": array
        for table in TABLES
        for name, array in getattr(columns, table).items()
    }
    values = list(columns.examples.values())
    arrays["kept"] = columns.kept
    arrays["examples"] = np.concatenate([np.empty(0), *values])
    arrays["sizes"] = np.array([len(each) for each in values], dtype=np.int64)
    about: dict[str, Any] = {name: getattr(columns, name) for name in PLAIN}
    about |= {name: [vars(each) for each in getattr(columns, name)] for name in RECORDS}
    about |= {name: list(getattr(columns, name).items()) for name in BY_TRIAL}
    return arrays, about | {"examples": list(columns.examples)}


def _unpacked(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Columns:
    """The inverse of `_packed`."""
    split = [name.partition(" ") for name in arrays]
    found: dict[str, Any] = {
        table: {column: arrays[f"{table} {column}"] for each, _, column in split if each == table}
        for table in TABLES
    }
    ends = np.cumsum(arrays["sizes"])[:-1]
    values = np.split(arrays["examples"], ends) if about["examples"] else []
    found |= {name: about[name] for name in PLAIN}
    found |= {name: [_record(each) for each in about[name]] for name in RECORDS}
    found |= {name: dict(about[name]) for name in BY_TRIAL}
    examples = {tuple(key): each for key, each in zip(about["examples"], values, strict=True)}
    return Columns(**found, kept=arrays["kept"], examples=examples)


def _record(data: Mapping[str, Any]) -> Record:
    return Record(**{each.name: data[each.name] for each in fields(Record)})
