"""Prepared arrays on disk, by the content they were made from."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from msbench.data.sources import cache_folder

TEXT = "text:"
"""Prefix of the names of what is stored as JSON."""

Arrays = dict[str, Any]


def cached(key: Any, make: Callable[[], Arrays]) -> Arrays:
    """`make()`, or what it returned for the same key before, from the disk and without pickle.

    Arrays come back as arrays, texts and lists of texts as what they were.
    """
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / "prepared" / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name.removeprefix(TEXT): _unpacked(name, stored[name]) for name in stored}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):  # missing, or damaged
        made = make()
        _store(path, dict(_packed(name, value) for name, value in made.items()))
        return {k: v if _is_text(v) else np.asarray(v) for k, v in made.items()}


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
    """Write to another file and move it, so that parallel trials never read half a file."""
    content = BytesIO()
    np.savez_compressed(content, **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content.getvalue())
        Path(file.name).replace(path)
    except OSError:  # a read-only cache costs time, not the run
        return
