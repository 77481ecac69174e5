"""The processes that a process has started, and those that they have started.

A job that starts a process in a session of its own escapes the signals that its group gets. On
Linux a worker adopts the orphans below it, so that all of them can be found and ended; elsewhere
only the group is ended.
"""

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def adopt_orphans() -> None:
    """Become the parent of processes whose parent below this one dies (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """Be killed when the thread that started this process ends (Linux)."""
    parent = os.getppid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended just now
        os.kill(os.getpid(), signal.SIGKILL)


def kill_descendants(process: int) -> None:
    """End everything below a process, until nothing is left there; the process itself stays."""
    for _ in range(100):  # what forks faster than that is stopped with its parent
        found = descendants(process)
        if not found:
            return
        for each in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """The living processes below a process, as /proc has them; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            # "pid (name) state parent ...", and the name may hold anything.
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state not in "ZX":
                children.setdefault(int(parent), []).append(int(path.parent.name))
    found: list[int] = []
    layer = children.get(process, [])
    while layer:
        found += layer
        layer = [child for parent in layer for child in children.get(parent, [])]
    return found


def _prctl(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
