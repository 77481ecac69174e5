"""Prepared arrays on disk, by the content they were made from."""

import hashlib
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from msbench.cache import cache_folder
from msbench.data.sources import Archive
from msbench.errors import DataError
from msbench.paths import read_file, write_whole

TEXT = "text:"
"""Prefix of the names of what is stored as JSON."""

DIGEST = hashlib.sha256().digest_size
"""Bytes at the end of a file that are the SHA-256 of all before them; zip readers skip them."""

MOST = 2**32
"""Bytes that a prepared task may take in memory."""

Arrays = dict[str, Any]


def cached(key: Any, make: Callable[[], Arrays]) -> Arrays:
    """`make()`, or what it returned for the same key before, from the disk and without pickle.

    Arrays come back as arrays, texts and lists of texts as what they were. The file that `make` is
    defined in counts as a part of the key; of other code that the arrays depend on the key has to
    name the version. A file that is not bit by bit what was written is made again; DataError names
    it if that fails.
    """
    named = json.dumps([key, _code(make)], sort_keys=True)
    name = hashlib.sha256(named.encode()).hexdigest()[:24]
    path = cache_folder() / "prepared" / f"{name}.npz"
    stored = _load(path)
    if stored is not None:
        return stored
    try:
        made = make()
    except Exception as error:
        if not path.exists():
            raise
        raise DataError(
            f"{path} is damaged or of an earlier version, and cannot be made again: {error}"
        ) from error
    _store(path, dict(_packed(name, value) for name, value in made.items()))
    return {k: v if _is_text(v) else np.asarray(v) for k, v in made.items()}


def _code(make: Callable[..., Any]) -> str:
    """A digest of the file that a function is defined in."""
    while isinstance(make, partial):
        make = make.func
    file = getattr(sys.modules.get(make.__module__), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _load(path: Path) -> Arrays | None:
    """What was stored; None if it is missing, damaged, or of a time before there were digests."""
    try:
        stored = read_file(path)
    except OSError:
        return None
    content, digest = stored[:-DIGEST], stored[-DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return None
    try:
        with Archive(BytesIO(content), most=MOST) as archive:
            arrays = {
                name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()
            }
            return {
                name.removeprefix(TEXT): _unpacked(name, array) for name, array in arrays.items()
            }
    except Exception:  # with the right digest only a forger can fail here, in whatever way
        return None


def _array(content: bytes) -> Any:
    """A stored array; ValueError if it claims another size, for which numpy would ask memory."""
    file = BytesIO(content)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"an array of {shape} {dtype} in {len(content)} bytes")
    return np.lib.format.read_array(BytesIO(content), allow_pickle=False)


def _is_text(value: Any) -> bool:
    texts = [value] if isinstance(value, str) else value
    return isinstance(texts, list) and all(isinstance(each, str) for each in texts)


def _packed(name: str, value: Any) -> tuple[str, Any]:
    """Texts as bytes of JSON: in an array of texts each takes the space of the longest."""
    if _is_text(value):
        return TEXT + name, np.frombuffer(json.dumps(value).encode(), np.uint8)
    return name, np.asarray(value)


def _unpacked(name: str, array: Any) -> Any:
    return json.loads(array.tobytes()) if name.startswith(TEXT) else array


def _store(path: Path, arrays: Arrays) -> None:
    """Keep the arrays with their digest; parallel trials never read half a file."""
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    try:
        write_whole(path, content + hashlib.sha256(content).digest())
    except OSError:  # a read-only cache costs time, not the run
        return
