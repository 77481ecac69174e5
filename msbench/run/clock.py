"""Monotonic time that stops for what must not be counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter


class Clock:
    """Seconds of work, synchronized with the device whenever the clock starts or stops.

    synchronize: waits until the device has done all it was given; on a GPU, work that is only
    queued would otherwise be counted in the wrong place. before: seconds to begin with.
    """

    def __init__(self, synchronize: Callable[[], None] = lambda: None, before: float = 0.0):
        self._synchronize = synchronize
        self._before = before
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Counted so far; while running, without synchronizing."""
        running = 0.0 if self._since is None else perf_counter() - self._since
        return self._before + running

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens inside."""
        self._synchronize()
        self._since = perf_counter()
        try:
            yield
        finally:
            self._synchronize()
            self._before, self._since = self.seconds, None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Inside `running`: do not count what happens inside."""
        self._synchronize()
        self._before, self._since = self.seconds, None
        try:
            yield
        finally:
            self._synchronize()
            self._since = perf_counter()
