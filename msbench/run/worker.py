"""A job in processes of its own, of which nothing is left when it ends.

There are two. One does the job and can be stuck, crash or fork in any way. The other runs no code
of plugins: it waits for the end of the first one or of the driver, ends whatever the job has
started, and then ends as the job did.
"""

import faulthandler
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NoReturn

from msbench.descendants import adopt_orphans, end_with_parent, kill_descendants
from msbench.faults import fault
from msbench.records.record import Record
from msbench.spec import Job, job_from_json

Run = Callable[[Job], Record]
"""Does one job; can be sent to another process."""


def work(job: str, run: Run, pipe: Connection, log: str) -> None:
    """Do a job: everything it prints goes to its log, its record into the pipe."""
    os.setsid()  # Ctrl-C is for the driver; and what a job starts is ended with it
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not _print_to(log):
        return
    process = os.fork()
    if not process:
        end_with_parent()
        _do(job, run, pipe)
    threading.Thread(target=_end_with_driver, args=(pipe.fileno(),), daemon=True).start()
    _, status = os.waitpid(process, 0)
    if _has_children():
        kill_descendants(os.getpid())
    _end_like(os.waitstatus_to_exitcode(status))


def _has_children() -> bool:
    """Whether anything that the job has started is left: all of it is adopted by now."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _print_to(log: str) -> bool:
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except FileNotFoundError:  # the driver was interrupted while this worker started
        return False
    os.dup2(out, 1)
    os.dup2(out, 2)
    return True


def _do(job: str, run: Run, pipe: Connection) -> NoReturn:
    code = 1
    try:
        faulthandler.enable()
        fault("worker")
        line = run(job_from_json(job)).to_json().encode() + b"\n"
        with open(pipe.fileno(), "wb", buffering=0, closefd=False) as stream:
            fault("send", half=lambda: stream.write(line[: len(line) // 2]))
            while line:
                line = line[stream.write(line) :]
        fault("sent")
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # threads that never end, and what plugins do at exit, are waited for by nobody


def _end_with_driver(pipe: int) -> None:
    """Whatever ended the driver closed its side of the pipe; nobody would wait for this job."""
    broken = select.poll()
    broken.register(pipe, 0)  # errors only
    broken.poll()
    kill_descendants(os.getpid())
    os.killpg(0, signal.SIGKILL)


def _end_like(code: int) -> NoReturn:
    """End this process with an exit code, or by a signal (a negative code), without a core dump."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
