"""Where jobs run: one process each, forked from a server that has everything imported already.

A crash, a hang or running out of memory costs exactly the job it happened in.
"""

import faulthandler
import multiprocessing as mp
import os
import select
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Any

from msbench.errors import MsbenchError
from msbench.records.record import Record, record
from msbench.records.schema import Status
from msbench.run.device import cores, limit_threads, machine
from msbench.spec import Job, Trial, job_from_json, job_to_json

Run = Callable[[Job], Record]
"""Does one job; can be sent to another process."""


@dataclass(eq=False)
class _Worker:
    job: Job
    process: Any
    results: Connection
    log: Path
    started: float


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
                    started = fill()  # before the caller writes records: no core waits for a disk
                    yield from records
                    yield from started
            finally:
                for worker in running:
                    _kill(worker)

    return launch


def _context(preload: Sequence[str]) -> Any:
    method = "forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn"
    context = mp.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["__main__", "msbench.run.job", *preload])
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
    results, theirs = context.Pipe(duplex=False)
    log = logs / job.key
    process = context.Process(target=_work, args=(job_to_json(job), run, theirs, str(log)))
    # Ctrl-C waits: a worker that has half of its orders would complain on the user's screen.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that the end of the process is the end of the pipe
    return _Worker(job, process, results, log, monotonic())


def _work(job: str, run: Run, results: Connection, log: str) -> None:
    """In the worker: everything it prints goes to its log, its record into the pipe."""
    os.setsid()  # Ctrl-C is for the driver; and what a job starts is ended with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, args=(results.fileno(),), daemon=True).start()
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except FileNotFoundError:  # the driver was interrupted while this worker started
        return
    os.dup2(out, 1)
    os.dup2(out, 2)
    faulthandler.enable()
    results.send_bytes(run(job_from_json(job)).to_json().encode())
    results.close()


def _end_with_driver(results: int) -> None:
    """Whatever ended the driver closed its side of the pipe; nobody would wait for this job."""
    broken = select.poll()
    broken.register(results, 0)  # errors only
    broken.poll()
    os.killpg(0, signal.SIGKILL)


def _ended(running: Sequence[_Worker], limit: float) -> list[_Worker]:
    """The workers that have something to say or have had their time; waits for at least one."""
    while True:
        left = min(worker.started + limit for worker in running) - monotonic()
        # The death of a process, too: something it started may still hold its pipe open.
        ends = [end for w in running for end in (w.results, w.process.sentinel)]
        ready = wait(ends, timeout=min(max(0.0, left), 3600.0))
        late = [w for w in running if monotonic() - w.started >= limit]
        ended = [w for w in running if {w.results, w.process.sentinel} & {*ready} or w in late]
        if ended:
            return ended


def _collect(worker: _Worker, limit: float) -> Record:
    """The record a worker sent, or the one that says how it died."""
    seconds = monotonic() - worker.started
    try:
        if worker.results.poll():
            line = worker.results.recv_bytes()
            worker.process.join(5)
            _kill(worker)
            return Record.from_json(line.decode())
    except (EOFError, OSError):
        worker.process.join(5)
    timed_out = worker.process.exitcode is None
    _kill(worker)
    status: Status = "timeout" if timed_out else "crashed"
    reason = f"no result after {limit:g} s" if timed_out else _cause_of_death(worker)
    return record(worker.job, status, reason, seconds=seconds, machine=machine())


def _cause_of_death(worker: _Worker) -> str:
    code = worker.process.exitcode
    if code is not None and code < 0:
        reason = f"killed by signal {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            reason += " (often: the machine ran out of memory)"
    else:
        reason = f"process ended with exit code {code} and no result"
    try:
        said = worker.log.read_text(errors="replace").strip()
    except OSError:
        said = ""
    return f"{reason}; it last said: {said[-500:]}" if said else reason


def _kill(worker: _Worker) -> None:
    """End the worker and whatever it started."""
    try:
        os.killpg(worker.process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        if worker.process.is_alive():  # not yet the leader of a group of its own
            worker.process.kill()
    worker.process.join()
    worker.results.close()
