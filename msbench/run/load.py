"""What else the machine did while something was measured."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import psutil

STOLEN = 0.02
"""The largest share of time that a virtual machine's host may give to others."""


@dataclass(frozen=True)
class Usage:
    """Processor seconds since some moment: of everybody, of us, and those that a host withheld."""

    clock: float
    all: float
    own: float
    stolen: float

    @classmethod
    def now(cls) -> "Usage":
        """Of the whole machine, as the system tells it."""
        times = psutil.cpu_times()._asdict()
        idle = times.get("idle", 0.0) + times.get("iowait", 0.0)
        stolen = times.get("steal", 0.0)
        # Linux counts what its guests use twice, as theirs and as its own.
        twice = times.get("guest", 0.0) + times.get("guest_nice", 0.0)
        busy = sum(times.values()) - idle - stolen - twice
        own = os.times()
        return cls(perf_counter(), busy, own.user + own.system, stolen)


class Load:
    """Cores that other programs kept busy since it was made, and time that a host withheld.

    threads: how many of our own. read: tells the usage; the machine's if left out.
    """

    def __init__(self, threads: int = 1, read: Callable[[], Usage] = Usage.now, cores: int = 0):
        self._read, self._threads = read, threads
        self._cores = cores or psutil.cpu_count() or 1
        self._start = read()

    def others(self) -> tuple[float, float]:
        """(mean number of cores that others used, share of all cores' time that was withheld)."""
        now, start = self._read(), self._start
        seconds = now.clock - start.clock
        if seconds <= 0:
            return math.nan, math.nan
        busy = (now.all - start.all) - (now.own - start.own)
        return max(0.0, busy / seconds), (now.stolen - start.stolen) / seconds / self._cores

    def told(self) -> str:
        """Why the machine was too busy to measure on; "" if it was not.

        It was if others used more than half of the cores that our threads leave free.
        """
        cores, stolen = self.others()
        free = max(0, self._cores - self._threads)
        reasons = []
        if cores > max(0.1, free / 2):
            reasons.append(f"other programs used {cores:.1f} of its {self._cores} cores")
        if stolen > STOLEN:
            reasons.append(f"its host withheld {stolen:.0%} of the time")
        return "; ".join(reasons)
