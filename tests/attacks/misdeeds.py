"""Jobs that end badly, or never: what a job does is what its schedule is called, split at dots."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection

from msbench.records.record import Record, record
from msbench.spec import Job, Part, Training, Trial

PART = Part("x", {}, "test", "1")
TRIAL = Trial(
    PART, PART, PART, PART, PART, (), PART, Training(), 0, "cpu", 1, "float32", data="none"
)


def jobs(*actions: str) -> list[Trial]:
    """A job for every action; seeds tell jobs of one action apart."""
    return [replace(TRIAL, schedule=replace(PART, name=a), seed=n) for n, a in enumerate(actions)]


def misbehave(job: Job) -> Record:
    """Do what the job is called."""
    assert isinstance(job, Trial)
    action = job.schedule.name
    print(f"{action} begins", file=sys.stderr, flush=True)
    DEEDS[action]()
    return record(job, "ok")


def garbage() -> None:
    for pipe in [each for each in gc.get_objects() if isinstance(each, Connection)]:
        os.write(pipe.fileno(), b"\x00\xff{}{}[[[ no record\n" * 100)


def loop() -> None:
    while True:
        pass


def hold_the_lock() -> None:
    """In C, and with the interpreter's lock, so that no other thread runs."""
    ctypes.PyDLL(None).sleep(10**6)


def ignore() -> None:
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    time.sleep(10**6)


def fork() -> None:
    for _ in range(2):  # the grandchild and its child, too
        os.fork()
    time.sleep(10**6)


def session() -> None:
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
    time.sleep(10**6)


def daemon_and_die() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(10**6)"]
    subprocess.Popen(command, start_new_session=True)
    os.kill(os.getpid(), signal.SIGSEGV)


def thread() -> None:
    """One that Python waits for at the end of a process."""
    threading.Thread(target=time.sleep, args=(10**6,)).start()


DEEDS = {
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "garbage": garbage,
    "loop": loop,
    "lock": hold_the_lock,
    "ignore": ignore,
    "fork": fork,
    "session": session,
    "daemon": daemon_and_die,
    "thread": thread,
    "nothing": lambda: None,
}
