"""Work in a process of its own, forked from this one, of which nothing is left when it ends."""

import json
import os
import select
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn

from msbench.descendants import adopt_orphans, end_with_parent, kill_descendants

Send = Callable[[Any], None]
"""Sends plain data to the process that waits."""

PATIENCE = 0.5
"""Seconds between looks at whether the process still lives, if it says nothing."""

ENDED = "ended"
"""The key of the last message: how the process ended, where it did not reach its end."""

WHOLE = {"whole": True}
"""What a process says when its work is done: one that ends too early is told from it."""


def messages(work: Callable[[Send], None], limit: float) -> Iterator[Any]:
    """What the work sends; where it crashes, or is silent for more than `limit` seconds, a last
    message says so. What it prints goes nowhere but into that message."""
    with tempfile.TemporaryFile() as log:
        end, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.close(end)
            _do(work, theirs, log.fileno())
        os.close(theirs)
        try:
            state = yield from _received(end, child, limit)
        finally:
            os.close(end)
            status = _end(child)
        if state == "late":
            yield {ENDED: f"did not end within {limit:g} s"}
        elif state == "gone":
            yield {ENDED: f"ended the process with {_code(status)}{_last_words(log)}"}


def _received(end: int, child: int, limit: float) -> Any:
    """What comes, line by line; returns whether it came to its end, was late, or is gone."""
    pending, deadline = b"", monotonic() + limit
    while True:
        left = deadline - monotonic()
        if left <= 0:
            return "late"
        if select.select([end], [], [], min(left, PATIENCE))[0]:
            piece = os.read(end, 2**16)
            if not piece:
                return "gone"
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                if (message := json.loads(line)) == WHOLE:
                    return "whole"
                yield message
                deadline = monotonic() + limit
        elif os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return "gone"  # something that it has started holds the pipe


def _do(work: Callable[[Send], None], pipe: int, log: int) -> NoReturn:
    code = 1
    try:
        os.setsid()
        end_with_parent()
        adopt_orphans()
        for number in (1, 2):
            os.dup2(log, number)
        work(lambda message: _write(pipe, message))
        _write(pipe, WHOLE)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    os._exit(code)  # threads that never end, and what plugins do at exit, are waited for by nobody


def _write(pipe: int, message: Any) -> None:
    line = json.dumps(message).encode() + b"\n"
    while line:
        line = line[os.write(pipe, line) :]


def _end(child: int) -> int:
    """End the process and all that it has started; 0 if it had ended well."""
    done, status = os.waitpid(child, os.WNOHANG)
    if not done:
        if not _leaves(child):
            kill_descendants(child)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)


def _leaves(child: int) -> bool:
    """Whether the process, which has closed its pipe, ends at once by itself."""
    for _ in range(100):
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return True
        select.select([], [], [], 0.01)
    return False


def _code(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"


def _last_words(log: Any) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - 1200))
    last = log.read().decode(errors="replace").strip()[-300:]
    return f"; it last said: {last}" if last else ""
