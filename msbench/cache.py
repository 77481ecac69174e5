"""The cache folder, and small facts in it that take long to find out.

Facts are kept by what they were found out from (a digest), so they never go out of date.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from msbench.paths import write_whole

MOST = 2**21
"""Bytes that a file of facts may have; one that would grow beyond is begun anew."""


_found: dict[str, dict[str, Any]] = {}
"""By name, what was found out by `known` and is not on the disk yet."""


def cache_folder() -> Path:
    """Where archives and prepared tasks are kept; the variable MSBENCH_CACHE overrides it."""
    from platformdirs import user_cache_path  # late: most commands read nothing there

    return Path(os.environ.get("MSBENCH_CACHE") or user_cache_path("msbench"))


def facts_path(name: str) -> Path:
    """The file of these facts."""
    return cache_folder() / f"{name}.json"


def recall(name: str) -> Mapping[str, Any]:
    """What is remembered under a name; nothing if the file is missing or damaged."""
    path = facts_path(name)
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError:
        return {}


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, size: int, inode: int) -> Mapping[str, Any]:
    """The facts of a file in one of its states: another state is another file, moved there."""
    digest, _, content = path.read_bytes().partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        return {}
    import json  # late: msbench --help loads this file

    facts: dict[str, Any] = json.loads(content)
    return facts


def remember(name: str, facts: Mapping[str, Any]) -> None:
    """Add facts to those remembered; a cache that cannot be written costs time and nothing else."""
    import json

    content = json.dumps({**recall(name), **facts}).encode()
    if len(content) > MOST:
        content = json.dumps(dict(facts)).encode()
    path = facts_path(name)
    try:
        write_whole(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    except OSError:
        return


def known(
    name: str, about: Any, find: Callable[[], Any], lasting: Callable[[], bool] = lambda: True
) -> Any:
    """What `find` gives, as plain data: asked once for what it is `about`, also plain data.

    What it raises is not remembered, nor what is not `lasting`, which is asked when it was found.
    `keep` writes what was found to the disk.
    """
    import json

    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
    found = _found.setdefault(name, {})
    fact = found.get(key, recall(name).get(key))
    if fact is None:
        fact = json.loads(json.dumps(find()))
        if lasting():
            found[key] = fact
    return fact


def keep(name: str) -> None:
    """Remember all that `known` has found out under a name, in one write."""
    if found := _found.pop(name, None):
        remember(name, found)


def code_digest(*names: str) -> str:
    """A digest of files of msbench and of the files in its folders: facts that code like it found
    out."""
    root, content = Path(__file__).parent, hashlib.sha256()
    for name in names:
        path = root / name
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            content.update(file.read_bytes())
    return content.hexdigest()[:20]
