"""The launcher against jobs that end in every bad way; the jobs themselves do no work."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from msbench.descendants import descendants
from msbench.records.record import Record, record
from msbench.run.processes import processes
from msbench.spec import Job, Part, Training, Trial

pytestmark = pytest.mark.usefixtures("server")

PART = Part("x", {}, "test", "1")
TRIAL = Trial(
    PART, PART, PART, PART, PART, (), PART, Training(), 0, "cpu", 1, "float32", data="none"
)


def scribble(text: bytes) -> None:
    """Write into the pipe to the driver."""
    for pipe in [each for each in gc.get_objects() if isinstance(each, Connection)]:
        os.write(pipe.fileno(), text)


def misbehave(job: Job) -> Record:
    """What a job does is what its learning rate schedule is called."""
    assert isinstance(job, Trial)
    action = job.schedule.name
    if action == "garbage":
        scribble(b"\x00\xff{}{}[[[ no record\n" * 100)
    elif action == "header":
        scribble(b"\x7f\xff\xff\xff")  # a message of 2 GB is announced
        time.sleep(600)
    elif action == "flood":
        while True:
            scribble(b"x" * 2**16)
    elif action == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif action == "abort":
        os.abort()
    elif action == "exit":
        print("last words", flush=True)
        os._exit(3)
    elif action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "session":
        command = "import os, time; os.setsid(); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", command], start_new_session=True)
        time.sleep(600)
    elif action == "daemon":
        command = "import time; time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", command], start_new_session=True)
        return record(job, "ok", str(child.pid))
    elif action == "surrogate":
        return record(job, "failed", "half a character: \udc80")
    elif action == "other":
        return record(replace(job, seed=99), "ok")
    return record(job, "ok")


def launched(*actions: str, limit: float = 600.0, workers: int = 2) -> dict[str, Record]:
    jobs = [replace(TRIAL, schedule=replace(PART, name=action)) for action in actions]
    events = processes(workers)(jobs, misbehave, limit=limit)
    records = [event for event in events if isinstance(event, Record)]
    assert sorted(r.key for r in records) == sorted(job.key for job in jobs)
    return {r.trial["schedule"]["name"]: r for r in records}


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_every_death_costs_its_own_job_and_says_why() -> None:
    records = launched(
        "garbage", "segfault", "abort", "exit", "kill", "surrogate", "other", "plain"
    )
    said = {name: (r.status, r.reason) for name, r in records.items()}
    assert said["plain"] == ("ok", "")
    assert said["garbage"][0] == "crashed"
    assert "sent no whole record" in said["garbage"][1]
    assert said["other"] == ("crashed", "sent the record of another job")
    assert said["segfault"][1].startswith(
        "killed by signal SIGSEGV; it last said: Fatal Python error: Segmentation fault"
    )
    assert said["abort"][1].startswith("killed by signal SIGABRT; it last said: Fatal Python")
    assert said["exit"][1] == "process ended with exit code 3 and no result; it last said: " + (
        "last words"
    )
    assert "SIGKILL (often: the machine ran out of memory)" in said["kill"][1]
    assert said["surrogate"] == ("failed", "half a character: ?")


@pytest.mark.parametrize("action", ["header", "flood", "session"])
def test_what_never_ends_is_ended_at_its_limit_with_all_that_it_started(action: str) -> None:
    assert launched(action, limit=4.0)[action].status in ("timeout", "crashed")
    assert not [pid for pid in descendants(os.getpid()) if b"setsid" in command_of(pid)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_what_a_job_leaves_running_is_ended_with_it() -> None:
    child = int(launched("daemon")["daemon"].reason)
    assert wait_until(lambda: gone(child))


def wait_until(condition: Callable[[], bool]) -> bool:
    """Whether it comes true at all: the limit of the test ends what never does."""
    while not condition():
        time.sleep(0.05)
    return True


def kill_server() -> None:
    from multiprocessing import forkserver

    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    os.kill(server, signal.SIGKILL)
    assert wait_until(lambda: gone(server))


def test_a_dead_fork_server_is_replaced() -> None:
    assert launched("plain")["plain"].status == "ok"
    kill_server()
    assert launched("plain")["plain"].status == "ok"
    kill_server()  # it has imported nothing that other tests need


def test_what_is_in_the_working_folder_is_not_imported(tmp_path: Path) -> None:
    """Neither by the server that workers are forked from, nor by what multiprocessing starts."""
    (tmp_path / "selectors.py").write_text("open('ran', 'w')\nraise SystemExit(1)\n")
    start = "from msbench.run.processes import _context; _context([])"
    subprocess.run([sys.executable, "-P", "-c", start], cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["selectors.py"]
