"""Which driver does which job: several drivers may share a folder, and each job is done once.

A driver leases a job before it starts it, in the file `.leases` of the folder, and gives the lease
back with the job's record. Leases last as long as their driver shows that it lives, by a number in
that file that grows every second. A driver that dies on this machine loses its leases at once, and
any other when its number has stood still for `EXPIRY` seconds on the clock of somebody who
looks: no two clocks are compared. A driver that was only paused finds its lease gone, and cannot
write the record. All of this happens under the lock of the folder, which has to be one lock for all
drivers: on local file systems, and on shared ones whose locks reach all their clients.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from time import monotonic
from uuid import uuid4

from msbench.errors import StoreError
from msbench.faults import fault
from msbench.paths import refuse_special
from msbench.records.record import Record
from msbench.records.store import BAD, THROUGHPUT, TRIALS, locked, write_record

BEAT, EXPIRY = 1.0, 7.0
"""Seconds between two signs of life, and without one until a driver counts as dead."""


@dataclass
class _Driver:
    """A driver in the file of leases."""

    place: str
    """Where its process number means something: see `_place`."""
    process: int
    host: str
    beat: int = 0
    jobs: dict[str, bool] = field(default_factory=dict)
    """Keys of the jobs it has leased, and whether it does them alone."""


class Leases:
    """The leases of one driver on the jobs of a folder. As a context it gives them all back."""

    def __init__(self, folder: Path):
        """Writes nothing. What others record from now on is seen by `news`."""
        self._folder = folder
        self._me = uuid4().hex
        self._seen: dict[str, tuple[int, float]] = {}
        self._read = {folder / name: _size(folder / name) for name in (TRIALS, THROUGHPUT)}
        self.recorded: set[str] = set()
        """Keys of what this driver and others have recorded since this object was made."""
        self._news: list[Record] = []
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> "Leases":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._heart.ident is not None:
            with suppress(StoreError), self._drivers() as drivers:
                drivers.pop(self._me, None)

    def take(self, key: str, *, alone: bool = False) -> bool:
        """Lease a job; False if it has a record by now, or another driver does it.

        alone: only while no other driver has a lease, and until it is given back none gets one.
        """
        if self._heart.ident is None:
            self._heart.start()
        with self._drivers() as drivers:
            self._read_on()
            others = [driver for name, driver in drivers.items() if name != self._me]
            shut = any((alone and other.jobs) or any(other.jobs.values()) for other in others)
            if shut or key in self.recorded or any(key in other.jobs for other in others):
                return False
            drivers.setdefault(self._me, _myself()).jobs[key] = alone
            fault("lease")
            return True

    def record(self, record: Record) -> Record | None:
        """Keep the record of a job as it is returned, and give the lease on it back.

        None, and nothing is written, if the lease was lost. It returns when the record is on
        the disk; StoreError if that fails.
        """
        with self._drivers() as drivers:
            if self._me not in drivers or record.key not in drivers[self._me].jobs:
                return None
            self._read_on()
            kept = write_record(self._folder, record)
            self.recorded.add(record.key)
            self._read = {path: _size(path) for path in self._read}
            del drivers[self._me].jobs[record.key]
            fault("release")
            return kept

    def held(self) -> list[str]:
        """The keys of the jobs that are leased."""
        with self._drivers() as drivers:
            return list(drivers[self._me].jobs) if self._me in drivers else []

    def release(self, key: str) -> None:
        """Give a lease back without a record."""
        with self._drivers() as drivers:
            if self._me in drivers:
                drivers[self._me].jobs.pop(key, None)

    def news(self) -> list[Record]:
        """What other drivers have recorded since this was asked last."""
        with self._drivers():
            self._read_on()
        news, self._news = self._news, []
        return news

    def others(self) -> str:
        """The other drivers that have leases, in words."""
        with self._drivers() as drivers:
            at_work = [each for name, each in drivers.items() if name != self._me and each.jobs]
        return ", ".join(f"process {driver.process} on {driver.host}" for driver in at_work)

    def _live(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(StoreError, OSError), self._drivers() as drivers:
                if self._me in drivers:
                    drivers[self._me].beat += 1
                fault("beat")

    @contextmanager
    def _drivers(self) -> Iterator[dict[str, _Driver]]:
        """The living drivers; changes are written. Nobody else reads or writes meanwhile."""
        path = self._folder / ".leases"
        with locked(self._folder):
            before = _read_line(path)
            known = _drivers_of(before)
            drivers = {name: each for name, each in known.items() if self._lives(name, each)}
            yield drivers
            after = json.dumps({name: asdict(each) for name, each in drivers.items()}).encode()
            if after != before:
                _write_over(path, after + b"\n")

    def _lives(self, name: str, driver: _Driver) -> bool:
        if name == self._me:
            return True
        beat, since = self._seen.get(name, (-1, 0.0))
        if beat != driver.beat:
            since = monotonic()
            self._seen[name] = driver.beat, since
        if driver.place == _place() and not _runs(driver.process):
            return False  # at once, where a resume would have to wait
        return monotonic() - since < EXPIRY

    def _read_on(self) -> None:
        """Read the lines that were added since the last look."""
        for path, start in self._read.items():
            if _size(path) <= start:
                continue
            with path.open("rb") as file:
                file.seek(start)
                lines = file.read()
            whole = lines.rfind(b"\n") + 1
            self._read[path] = start + whole
            for line in lines[:whole].split(b"\n"):
                with suppress(*BAD):
                    self._news.append(Record.from_json(line))
                    self.recorded.add(self._news[-1].key)


def _myself() -> _Driver:
    return _Driver(_place(), os.getpid(), os.uname().nodename)


@cache
def _place() -> str:
    """This boot of this machine, and its namespace of process numbers; unique if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return uuid4().hex


def _runs(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read_line(path: Path) -> bytes:
    refuse_special(path)
    try:
        return path.read_bytes().partition(b"\n")[0]
    except OSError:
        return b""


def _drivers_of(line: bytes) -> dict[str, _Driver]:
    """None where the file is new or damaged: then leases are lost, and no records are."""
    try:
        return {name: _Driver(**each) for name, each in json.loads(line).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _write_over(path: Path, line: bytes) -> None:
    """In place: that takes no new block of a full disk. Only the first line counts."""
    try:
        refuse_special(path)
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            os.pwrite(file, line, 0)
            os.ftruncate(file, len(line))
        finally:
            os.close(file)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
