"""Where jobs run: one process each, forked from a server that has everything imported already.

A crash, a hang or running out of memory costs exactly the job it happened in.
"""

import json
import multiprocessing as mp
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Any, cast

from msbench.descendants import kill_descendants
from msbench.errors import MsbenchError, StoreError
from msbench.faults import fault
from msbench.records.record import Record, record
from msbench.records.schema import Status
from msbench.run.device import cores, limit_threads, machine
from msbench.run.failure import is_out_of_memory, signal_name
from msbench.run.gpus import gpu_room
from msbench.run.worker import Run, work
from msbench.spec import Job, Measurement, Trial, job_to_json

STARTS = 3
"""Attempts to start a worker."""

PRELOAD = "MSBENCH_PRELOAD"
"""The variable that tells the server what to import, as a list in JSON; see `preloaded.py`."""

SERVER_DIED = 255
"""The exit code of a worker whose server has died: the worker may live."""

SAFE_PATH = "PYTHONSAFEPATH"
"""The variable that keeps the working folder, which may be anybody's, off the path of imports."""

LONGEST = 2**26
"""Bytes that a record may have."""

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""What ends a driver."""


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
    """A launcher: `workers` one-job processes at once; 0 = one a core, or as many as fit a GPU."""
    if workers < 0:
        raise MsbenchError(f"processes needs 0 or more workers, not {workers}")

    def launch(
        jobs: Iterable[Job],
        run: Run,
        *,
        limit: float = 600.0,
        preload: Sequence[str] = (),
    ) -> Iterator[Job | Record]:
        """Jobs as they start, and their records as they finish, in any order.

        jobs: on one device, with as many threads each; the next one is taken when there is room.
        limit: seconds that a job may take before it is ended with status `timeout`.
        preload: modules that are worth importing once, before the workers fork.
        """
        waiting, running = iter(jobs), list[_Worker]()
        first = next(waiting, None)
        if first is None:
            return
        limit_threads(_leading(first).threads)
        at_once = workers or _room(first)
        context = _context(preload)
        waiting = chain([first], waiting)
        with _folder_of_logs() as logs:

            def fill() -> Iterator[Job]:
                for job in islice(waiting, at_once - len(running)):
                    running.append(_start(context, job, run, logs))
                    yield job

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


def _leading(job: Job) -> Trial:
    """The trial that a job is, or the first of those that it measures."""
    return job.strategies[0] if isinstance(job, Measurement) else cast(Trial, job)


def _room(job: Job) -> int:
    """How many jobs like this one to run at once."""
    trial = _leading(job)
    if trial.device == "cpu":
        return max(1, cores() // (trial.threads * trial.processes))
    return gpu_room(trial.device) if trial.processes == 1 else 1


@contextmanager
def _folder_of_logs() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="msbench-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StoreError(f"no folder for what trials print: {error} (set TMPDIR)") from error
    with folder as path:
        yield Path(path)


def _context(preload: Sequence[str]) -> Any:
    """Where workers are forked from, with everything imported.

    Ctrl-C may interrupt this, unlike the start of a worker.
    """
    method = "forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn"
    context: Any = mp.get_context(method)
    if method == "forkserver":
        main = threading.current_thread() is threading.main_thread()
        # The server ends with the thread that started it.
        modules = ["msbench.run.server"] if main else []
        modules += ["__main__", "msbench.run.job", "msbench.run.preloaded"]
        context.set_forkserver_preload(modules)
        os.environ[PRELOAD] = json.dumps(list(preload))
        with _safe_path():
            if main:
                _start_server()
            with suppress(EOFError, OSError):  # it was killed; the next start makes another
                process = context.Process(target=os.getpid)
                process.start()
                process.join()
    return context


@contextmanager
def _safe_path() -> Iterator[None]:
    """What is started meanwhile, and by that, does not import from the working folder."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = before or "1"
    try:
        yield
    finally:
        del os.environ[SAFE_PATH]
        os.environ.update({SAFE_PATH: before} if before else {})


def _start_server() -> None:
    """With Ctrl-C ignored, which it inherits: that is for the driver, whatever the server does."""
    # Blocked, too: what is ignored while it is blocked waits instead of being lost.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _start(context: Any, job: Job, run: Run, logs: Path) -> _Worker:
    """A worker that has started; one that the fork server died under is started again."""
    log = logs / job.key
    fault("start")
    for attempt in range(STARTS):
        pipe, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(job_to_json(job), run, theirs, str(log)))
        # Ctrl-C waits: a worker that has half of its orders would complain on the user's screen.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            with _safe_path():
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
    fault("started")
    return _Worker(job, process, pipe, log, monotonic())


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
    fault("collect")
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
    said = _last_words(worker.log)
    reason = _cause_of_death(worker.process.exitcode, problem)
    status: Status = "oom" if is_out_of_memory(said) else "crashed"
    return _lost(worker, status, f"{reason}; it last said: {said}" if said else reason, seconds)


def _lost(worker: _Worker, status: Status, reason: str, seconds: float) -> Record:
    return record(worker.job, status, reason, seconds=seconds, machine=machine())


def _cause_of_death(code: int | None, problem: str) -> str:
    if code is not None and code < 0:
        reason = f"killed by signal {signal_name(-code)}"
        if -code == signal.SIGKILL:
            reason += " (often: the machine ran out of memory)"
        return reason
    return problem or f"process ended with exit code {code} and no result"


def _last_words(log: Path) -> str:
    """The useful end of what a job has printed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2**16))
            output = file.read().decode(errors="replace").strip()
    except OSError:
        return ""
    # What Python says of a fatal error begins with it, and ends with a list of modules.
    start = output.rfind("Fatal Python error")
    return output[start : start + 500] if start >= 0 else output[-500:]


def _kill(worker: _Worker) -> None:
    """End the worker and whatever it started."""
    if worker.process.exitcode in (None, SERVER_DIED):  # of one that has ended nothing is below it
        kill_descendants(worker.process.pid)
    try:
        os.killpg(worker.process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        if worker.process.is_alive():  # not yet the leader of a group of its own
            worker.process.kill()
    worker.process.join()
    worker.pipe.close()
