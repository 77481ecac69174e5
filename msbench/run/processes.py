"""Where jobs run: one process each, forked from a server that has everything imported already.

A crash, a hang or running out of memory costs exactly the job it happened in.
"""

import faulthandler
import json
import multiprocessing as mp
import os
import select
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Any

from msbench.errors import MsbenchError
from msbench.records.record import Record, record
from msbench.records.schema import Status
from msbench.run.descendants import adopt_orphans, kill_descendants
from msbench.run.device import cores, limit_threads, machine
from msbench.spec import Job, Trial, job_from_json, job_to_json

STARTS = 3
"""Attempts to start a worker."""

PRELOAD = "MSBENCH_PRELOAD"
"""The variable that tells the server what to import, as a list in JSON; see `preloaded.py`."""

LONGEST = 2**30
"""Bytes that a record may have."""

Run = Callable[[Job], Record]
"""Does one job; can be sent to another process."""


@dataclass(eq=False)
class _Worker:
    job: Job
    process: Any
    pipe: Connection
    """Its end for reading; nothing that comes out of it is trusted."""
    log: Path
    started: float
    sent: bytearray = field(default_factory=bytearray)

    @property
    def seconds(self) -> float:
        """Since it started."""
        return monotonic() - self.started


def processes(workers: int = 0) -> Callable[..., Iterator[Job | Record]]:
    """A launcher: `workers` one-job processes at once; 0 = one a core, or one for a GPU."""
    if workers < 0:
        raise MsbenchError(f"processes needs 0 or more workers, not {workers}")

    def launch(
        jobs: Sequence[Job],
        run: Run,
        *,
        limit: float = 600.0,
        preload: Sequence[str] = (),
    ) -> Iterator[Job | Record]:
        """Jobs as they start, and their records as they finish, in any order.

        limit: seconds that a job may take before it is ended with status `timeout`.
        preload: modules that are worth importing once, before the workers fork.
        """
        threads = max((job.threads for job in jobs if isinstance(job, Trial)), default=1)
        limit_threads(threads)
        on_cpu = all(job.device == "cpu" for job in jobs if isinstance(job, Trial))
        at_once = workers or (max(1, cores() // threads) if on_cpu else 1)
        context = _context(preload)
        waiting, running = list(reversed(jobs)), list[_Worker]()
        with tempfile.TemporaryDirectory(prefix="msbench-") as logs:

            def fill() -> list[Job]:
                started = []
                while waiting and len(running) < at_once:
                    started.append(waiting.pop())
                    running.append(_start(context, started[-1], run, Path(logs)))
                return started

            try:
                yield from fill()
                while running:
                    ended = _ended(running, limit)
                    records = [_collect(worker, limit) for worker in ended]
                    running = [worker for worker in running if worker not in ended]
                    yield from fill()  # before the caller writes records: no core waits for a disk
                    yield from records
            finally:
                for worker in running:
                    _kill(worker)

    return launch


def _context(preload: Sequence[str]) -> Any:
    method = "forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn"
    context = mp.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["__main__", "msbench.run.job", "msbench.run.preloaded"])
        os.environ[PRELOAD] = json.dumps(list(preload))
        _start_server()
    return context


def _start_server() -> None:
    """With Ctrl-C ignored, which it inherits: that is for the driver, whatever the server does."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _start(context: Any, job: Job, run: Run, logs: Path) -> _Worker:
    """A worker that has started; one that the fork server died under is started again."""
    log = logs / job.key
    for attempt in range(STARTS):
        pipe, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(job_to_json(job), run, theirs, str(log)))
        # Ctrl-C waits: a worker that has half of its orders would complain on the user's screen.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process.start()
            break
        except (EOFError, OSError) as error:  # the server was killed; the next start makes another
            pipe.close()
            if attempt == STARTS - 1:
                raise MsbenchError(f"no worker can be started: {error!r}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()  # so that the end of the process is the end of the pipe
    os.set_blocking(pipe.fileno(), False)
    return _Worker(job, process, pipe, log, monotonic())


def _work(job: str, run: Run, pipe: Connection, log: str) -> None:
    """In the worker: everything it prints goes to its log, its record into the pipe."""
    os.setsid()  # Ctrl-C is for the driver; and what a job starts is ended with it
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, args=(pipe.fileno(),), daemon=True).start()
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except FileNotFoundError:  # the driver was interrupted while this worker started
        return
    os.dup2(out, 1)
    os.dup2(out, 2)
    faulthandler.enable()
    line = run(job_from_json(job)).to_json().encode()
    with open(pipe.fileno(), "wb", closefd=False) as stream:
        stream.write(line + b"\n")
    kill_descendants(os.getpid())
    os._exit(0)  # threads that never end, and what plugins do at exit, are waited for by nobody


def _end_with_driver(pipe: int) -> None:
    """Whatever ended the driver closed its side of the pipe; nobody would wait for this job."""
    broken = select.poll()
    broken.register(pipe, 0)  # errors only
    broken.poll()
    kill_descendants(os.getpid())
    os.killpg(0, signal.SIGKILL)


def _ended(running: Sequence[_Worker], limit: float) -> list[_Worker]:
    """The workers that are dead or have had their time; waits for at least one.

    Meanwhile what workers send is taken out of their pipes, so that none waits for room in one.
    """
    while True:
        left = min(worker.started + limit for worker in running) - monotonic()
        open_pipes = [worker.pipe for worker in running if not worker.pipe.closed]
        # The death of a process counts: something it started may hold its pipe open.
        ends = [*open_pipes, *(worker.process.sentinel for worker in running)]
        ready = set(wait(ends, timeout=min(max(0.0, left), 3600.0)))
        for worker in running:
            if worker.pipe in ready:
                _receive(worker)
        ended = [w for w in running if w.process.sentinel in ready or w.seconds >= limit]
        if ended:
            return ended


def _receive(worker: _Worker) -> None:
    """Take what is in the pipe, without ever waiting for more."""
    while not worker.pipe.closed:
        try:
            piece = os.read(worker.pipe.fileno(), 2**20)
        except BlockingIOError:
            return
        worker.sent += piece
        if not piece or len(worker.sent) > LONGEST:
            worker.pipe.close()


def _collect(worker: _Worker, limit: float) -> Record:
    """The record a worker sent, or the one that says how it died."""
    seconds, timed_out = worker.seconds, worker.process.exitcode is None
    _receive(worker)
    _kill(worker)
    try:
        sent = Record.from_json(bytes(worker.sent))
        if sent.key == worker.job.key:
            return sent
        problem = "sent the record of another job"
    except ValueError as error:
        problem = f"sent no whole record ({error})" if worker.sent else ""
    if timed_out:
        return _lost(worker, "timeout", f"no result after {limit:g} s", seconds)
    return _lost(worker, "crashed", _cause_of_death(worker, problem), seconds)


def _lost(worker: _Worker, status: Status, reason: str, seconds: float) -> Record:
    return record(worker.job, status, reason, seconds=seconds, machine=machine())


def _cause_of_death(worker: _Worker, problem: str) -> str:
    code = worker.process.exitcode
    if code is not None and code < 0:
        reason = f"killed by signal {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            reason += " (often: the machine ran out of memory)"
    elif problem:
        reason = problem
    else:
        reason = f"process ended with exit code {code} and no result"
    try:
        output = worker.log.read_text(errors="replace").strip()
    except OSError:
        output = ""
    # What Python says of a fatal error begins with it, and ends with a list of modules.
    start = output.rfind("Fatal Python error")
    output = output[start : start + 500] if start >= 0 else output[-500:]
    return f"{reason}; it last said: {output}" if output else reason


def _kill(worker: _Worker) -> None:
    """End the worker and whatever it started."""
    kill_descendants(worker.process.pid)
    try:
        os.killpg(worker.process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        if worker.process.is_alive():  # not yet the leader of a group of its own
            worker.process.kill()
    worker.process.join()
    worker.pipe.close()
