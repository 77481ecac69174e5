"""Archives of real text in the cache: checked by hash, read in place.

A source is a wheel that happens to carry text. It is never installed, imported or executed: it
is opened as the zip file it is. `download.py` brings it into the cache.
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from msbench.cache import cache_folder
from msbench.errors import DataError
from msbench.paths import inside, read_file

MOST_RATIO = 100
"""How many times its size an archive may unpack to: text is deflated to a tenth, at best."""


@dataclass(frozen=True)
class Source:
    """A pinned archive with its licence and origin."""

    package: str
    version: str
    sha256: str
    size: int
    """Bytes of the archive; a file of another size is refused without being read."""
    licence: str
    origin: str
    """Where the text comes from, in words."""

    @property
    def file(self) -> str:
        """Name of the wheel."""
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


def source_path(source: Source) -> Path:
    """Where the archive is, or would be."""
    return inside(cache_folder() / "sources", source.file)


def check(source: Source) -> str:
    """The state of the cached archive: `"ok"`, `"missing"` or what is wrong with it."""
    return _checked(source)[0]


def open_source(source: Source) -> "Archive":
    """The archive, opened for reading; DataError unless it is exactly the pinned one."""
    (state, content), path = _checked(source), source_path(source)
    if state == "missing":
        raise DataError(
            f"{source.package} {source.version} is not in {path.parent}; "
            f"fetch it with: msbench data get"
        )
    if state != "ok":
        raise DataError(f"{path} {state}; it is damaged or another file: run msbench data get")
    try:
        return Archive(BytesIO(content), most=MOST_RATIO * source.size)
    except BadZipFile as error:
        raise DataError(f"{path} is not a zip archive to be read: {error}") from error


class Archive(ZipFile):
    """A zip file that can take no more memory than it says, and may say no more than `most`.

    BadZipFile if all of it would be more bytes than that, or where a member's size is a lie.
    """

    def __init__(self, file: BytesIO, most: int):
        super().__init__(file)
        total = sum(info.file_size for info in self.infolist())
        if total > most:
            raise BadZipFile(f"it unpacks to {total:,} bytes, more than {most:,}")

    def read(self, name: str | ZipInfo, pwd: bytes | None = None) -> bytes:
        """A whole member. Told no size, zipfile would unpack first and compare sizes later."""
        info = name if isinstance(name, ZipInfo) else self.getinfo(name)
        with self.open(info, pwd=pwd) as member:
            content = member.read(info.file_size)
        if len(content) != info.file_size:
            raise BadZipFile(f"{info.filename} has {len(content):,} bytes, not {info.file_size:,}")
        return content


def _checked(source: Source) -> tuple[str, bytes]:
    """The state of the archive; if "ok" also its content: what was checked is what is read."""
    try:
        content = read_file(source_path(source), most=source.size)
    except FileNotFoundError:
        return "missing", b""
    except OSError as error:
        return f"cannot be read: {error.strerror}", b""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != source.sha256:
        return f"has sha256 {sha256[:12]}..., expected {source.sha256[:12]}...", b""
    return "ok", content
