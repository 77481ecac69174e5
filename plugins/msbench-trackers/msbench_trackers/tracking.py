"""Observers that hand runs to a tracker, in a thread, so that a slow one delays nothing."""

import atexit
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from msbench import Done, Event, Finished, MsbenchError, Record, Stage
from msbench_trackers.run import Point, Run, run_of

PATIENCE = 300.0
"""Seconds without progress that are waited for a tracker when everything else is done."""

AGAIN = "the same command writes what is missing"

WRITTEN = "tracked.txt"
"""The file in the folder of results that says which runs a tracker has: a line for each."""


class Open(Protocol):
    """A run that a tracker has begun."""

    def log(self, points: Sequence[Point]) -> None:
        """Add points to its curves."""

    def close(self, run: Run) -> None:
        """Write its results and how it ended."""


class Tracker(Protocol):
    """Where runs go."""

    target: str
    """The place, in a word without spaces: runs that it has are not written again."""

    def begin(self, run: Run) -> Open:
        """Begin a run: its name, group and config."""


def check_installed(name: str, package: str = "") -> None:
    """MsbenchError with what to install if a tracker is not there."""
    if find_spec(package or name) is None:
        raise MsbenchError(
            f"observer {name!r} needs {package or name}, which is not installed: "
            f"pip install 'msbench-trackers[{name}]'"
        )


def tracking(
    folder: Path, make: Callable[[], Tracker], patience: float = PATIENCE
) -> Callable[[Event], None]:
    """Tells a tracker of every record when it is there, and at the end of those that it lacks.

    folder: of the results. make: opens the tracker, once there is a first record.
    """
    writer = _Writer(folder, make)
    done, failed, total = 0, 0, 0

    def observe(event: Event) -> None:
        nonlocal done, failed, total
        writer.check()
        if isinstance(event, Stage):
            total += event.total
        elif isinstance(event, Finished):
            done, failed = done + 1, failed + (event.record.status != "ok")
            writer.put(event.record)
            values = {"done": done, "not_ok": failed, "planned": total}
            writer.put(Point(done, time.time(), {k: float(v) for k, v in values.items()}))
        elif isinstance(event, Done):
            for record in event.records:
                writer.put(record)
            writer.finish(patience)

    return observe


class _Writer:
    """A thread that writes what it is given, in turn, until something fails."""

    def __init__(self, folder: Path, make: Callable[[], Tracker]):
        self._folder, self._make = folder, make
        self._given: SimpleQueue[Record | Point | None] = SimpleQueue()
        self._error: Exception | None = None
        self._steps = 0
        self._thread: Thread | None = None
        self._stop = False

    def put(self, what: Record | Point) -> None:
        """Have it written, soon."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name="msbench-tracker", daemon=True)
            self._thread.start()
            atexit.register(self._quit)
        self._given.put(what)

    def check(self) -> None:
        """MsbenchError if something has failed."""
        if self._error is not None:
            first = str(self._error).strip().partition("\n")[0][:300]
            raise MsbenchError(f"{type(self._error).__name__}: {first} ({AGAIN})") from self._error

    def finish(self, patience: float) -> None:
        """Wait until all is written; MsbenchError if that does not go on."""
        self._given.put(None)
        while self._thread and self._thread.is_alive():
            before = self._steps
            self._thread.join(patience)
            if self._thread.is_alive() and self._steps == before:
                raise MsbenchError(f"it did not answer for {patience:g} s ({AGAIN})")
        self.check()

    def _quit(self) -> None:
        """At the end of the process: what was begun may end."""
        self._stop = True
        self._given.put(None)
        if self._thread:
            self._thread.join(5)

    def _work(self) -> None:
        try:
            self._write_all()
        except Exception as error:
            self._error = error

    def _write_all(self) -> None:
        tracker = self._make()
        self._steps += 1
        written = self._folder / WRITTEN
        progress: tuple[Run, Open] | None = None
        while (each := self._given.get()) is not None and not self._stop:
            if isinstance(each, Point):
                if progress is None:
                    run = _progress(self._folder, each.time)
                    progress = run, tracker.begin(run)
                progress[1].log([each])
            else:
                _write(tracker, run_of(each), written)
            self._steps += 1
        if progress:
            progress[1].close(progress[0])


def _progress(folder: Path, now: float) -> Run:
    name = f"progress-{now:.0f}"
    return Run(name, f"progress {folder.name}", "progress", {}, started=now, finished=now)


def _write(tracker: Tracker, run: Run, written: Path) -> None:
    line = f"{tracker.target} {run.id}"
    known = written.read_text().splitlines() if written.exists() else []
    if line not in known:
        begun = tracker.begin(run)
        begun.log(run.points)
        begun.close(run)
        with written.open("a") as lines:
            lines.write(line + "\n")
