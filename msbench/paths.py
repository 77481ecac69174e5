"""Files that are read whole, and names that stay in their folder."""

import errno
import os
import stat
from pathlib import Path

from msbench.errors import MsbenchError, printable


def read_file(path: Path, most: int = 2**32) -> bytes:
    """The content of a regular file of at most `most` bytes.

    OSError for anything else, so that nobody waits for a pipe, reads a device without end, or
    takes a large file into memory to refuse it; also for what is no path at all, as one with NUL.
    """
    nonblocking = getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its writer
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | nonblocking)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"is no path: {error}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if special := _kind(status.st_mode):
            raise OSError(errno.EINVAL, f"it is {special}, not a file")
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"has {status.st_size:,} bytes, more than {most:,}")
        return file.read(status.st_size)


def special_file(path: Path) -> str:
    """What a path is instead of a regular file; "" if it is one, or nothing yet."""
    return _kind(path.stat().st_mode) if path.exists() else ""


def refuse_special(path: Path) -> None:
    """OSError at once, and no waiting, for anything but a regular file or nothing."""
    if special := special_file(path):
        raise OSError(errno.EINVAL, f"it is {special}, not a file")


def write_whole(path: Path, content: bytes) -> None:
    """Write to another file and move it, so that nobody reads half; OSError leaves nothing."""
    from uuid import uuid4  # late: msbench --help loads this file

    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.parent / f".{uuid4().hex}"  # not tempfile's, which nobody else may read
    try:
        with half.open("xb") as file:
            file.write(content)
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def _kind(mode: int) -> str:
    kinds = (name for is_one, name in _SPECIAL if is_one(mode))
    return "" if stat.S_ISREG(mode) else next(kinds, "something else")


_SPECIAL = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def exists(path: Path) -> bool:
    """Whether there is anything; nothing is where the system refuses the name itself."""
    try:
        return path.exists()
    except OSError:
        return False


def inside(folder: Path, name: str) -> Path:
    """What is called `name` in a folder; MsbenchError if that would lead elsewhere.

    Every path that is made of a name (of a suite, an archive, a trial) is made here.
    """
    if name in ("", ".", "..") or set(name) & set("/\\:") or not name.isprintable():
        raise MsbenchError(
            f"{printable(name[:80])!r} cannot be the name of a file in {folder}: a name is "
            f"printable, has none of / \\ : and is not '.' or '..'"
        )
    return folder / name
