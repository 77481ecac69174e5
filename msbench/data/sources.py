"""Archives of real text in the cache: checked by hash, read in place.

A source is a wheel that happens to carry text. It is never installed, imported or executed: it
is opened as the zip file it is. `download.py` brings it into the cache.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from msbench.cache import cache_folder as cache_folder
from msbench.errors import DataError


@dataclass(frozen=True)
class Source:
    """A pinned archive with its licence and origin."""

    package: str
    version: str
    sha256: str
    size: int
    """Bytes, for the progress bar."""
    licence: str
    origin: str
    """Where the text comes from, in words."""

    @property
    def file(self) -> str:
        """Name of the wheel."""
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


def source_path(source: Source) -> Path:
    """Where the archive is, or would be."""
    return cache_folder() / "sources" / source.file


def check(source: Source) -> str:
    """The state of the cached archive: `"ok"`, `"missing"` or what is wrong with it."""
    try:
        content = source_path(source).read_bytes()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != source.sha256:
        return f"has sha256 {sha256[:12]}..., expected {source.sha256[:12]}..."
    return "ok"


def open_source(source: Source) -> ZipFile:
    """The archive, opened for reading; DataError unless it is exactly the pinned one."""
    state, path = check(source), source_path(source)
    if state == "missing":
        raise DataError(
            f"{source.package} {source.version} is not in {path.parent}; "
            f"fetch it with: msbench data get"
        )
    if state != "ok":
        raise DataError(
            f"{path} {state}; it is damaged or another file: delete it and run: msbench data get"
        )
    try:
        return ZipFile(path)
    except BadZipFile as error:
        raise DataError(f"{path} is not a zip archive: {error}") from error
