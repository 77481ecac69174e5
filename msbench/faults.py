"""Faults on purpose: MSBENCH_FAULT=point:nth:action makes the nth pass of a point fail.

Unset, `fault` compares one value and returns. Programs that test what a crash costs set it for the
process that they start, and workers inherit it; each process counts for itself. An action is `kill`
(SIGKILL), `raise`, `short` (half of a write, then a full disk), `delay` (2 s), or the name of an
error of the system, such as `ENOSPC` or `EIO`. What is made to fail says so on the error stream.
"""

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

DELAY = 2.0

_WANTED = os.environ.get("MSBENCH_FAULT", "")
_passed: Counter[str] = Counter()


def fault(point: str, half: Callable[[], Any] = lambda: None) -> None:
    """Fail here if that is wanted. half: does a part of the write that comes next."""
    if _WANTED:
        wanted, nth, action = _WANTED.split(":")
        _passed[point] += 1
        if point == wanted and _passed[point] == int(nth):
            os.write(2, f"a fault on purpose: {_WANTED}\n".encode())
            _fail(action, half)


def _fail(action: str, half: Callable[[], Any]) -> None:
    if action == "delay":
        time.sleep(DELAY)
    elif action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise RuntimeError("a fault on purpose")
    else:
        if action == "short":
            half()
        number = getattr(errno, "ENOSPC" if action == "short" else action)
        raise OSError(number, os.strerror(number))
