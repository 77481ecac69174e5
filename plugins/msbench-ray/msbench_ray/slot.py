"""Where trials run on a node: an actor with room for one at a time.

It forks every trial from a server that has torch imported already, as msbench does on one machine,
so that a trial that crashes, hangs or takes all memory costs itself alone.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msbench import MsbenchError, Record, check, fetch, job_from_json, load_plugins
from msbench.run.device import limit_threads, machine
from msbench.run.processes import processes

Run = Callable[[Any], Record]
"""Does one job; can be sent to another process."""


class Slot:
    """An actor; msbench's own launcher with one worker."""

    def __init__(self) -> None:
        limit_threads(1)
        self._ready: set[str] = set()
        self._files: dict[str, str] = {}

    def versions(self) -> dict[str, str]:
        """Of what scores depend on, on this node."""
        found: dict[str, str] = machine()["versions"]
        return found

    def do(
        self,
        line: str,
        run: Run,
        limit: float,
        preload: Sequence[str],
        files: Mapping[str, str],
    ) -> tuple[str, str]:
        """Run a job (as text); the line of its record, or why this node cannot run it.

        files: the digest of each file of the user's that it reads.
        """
        job = job_from_json(line)
        if problem := self._problem(files):
            return "", problem
        self._fetch(job)
        for each in processes(1)([job], run, limit=limit, preload=preload):
            if isinstance(each, Record):
                return each.to_json(), ""
        raise MsbenchError(f"job {job.key} left no record")

    def _problem(self, files: Mapping[str, str]) -> str:
        """What is wrong with a file on this node; each is read once."""
        for path, digest in files.items():
            if path not in self._files:
                self._files[path] = file_digest(path)
            if self._files[path] != digest:
                wrong = "differs from the one here" if self._files[path] else "is not there"
                return f"{path} {wrong}: all nodes must see it, as in a shared folder"
        return ""

    def _fetch(self, job: Any) -> None:
        """The archives of the job's task, once per node: they are checked by their hash."""
        task = job.strategies[0].task if hasattr(job, "strategies") else job.task
        if task.json in self._ready:
            return
        for source in load_plugins().sources(task):
            if check(source) != "ok":
                fetch(source)
        self._ready.add(task.json)


def file_digest(path: str) -> str:
    """Of a file's content; empty if there is none that can be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
