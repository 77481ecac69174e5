"""Trials that die, hang, take all memory or set the clock: each costs itself and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import pytest
from drivers import left_running, run, wait_until, write_suite
from misdeeds import jobs, misbehave

from msbench.descendants import descendants
from msbench.records.record import Record
from msbench.records.store import read
from msbench.run.processes import processes

pytestmark = pytest.mark.usefixtures("server")


def launch(*actions: str, limit: float = 60.0) -> dict[tuple[str, int], Record]:
    """The records of such jobs, by what they do and their place."""
    launched = processes(2)(jobs(*actions), misbehave, limit=limit)
    records = [each for each in launched if isinstance(each, Record)]
    return {(r.trial["schedule"]["name"], r.trial["seed"]): r for r in records}


DEATHS = {
    "segfault": "killed by signal SIGSEGV; it last said: Fatal Python error: Segmentation fault",
    "abort": "killed by signal SIGABRT; it last said: Fatal Python error: Aborted",
    "exit": "process ended with exit code 3 and no result; it last said: exit begins",
    "kill": "killed by signal SIGKILL (often: the machine ran out of memory); it last said: kill",
    "garbage": "sent no whole record",
}


@pytest.mark.attack("R6", "20 of 100 trials die: by signals, by os._exit, by garbage in the pipe")
def test_deaths(attack: Any) -> None:
    deaths = [*DEATHS] * attack.times(1, 4)
    actions = [each for death in deaths for each in (death, *["nothing"] * 4)]
    records = launch(*actions)
    with attack.case("the count"):
        assert len(records) == len(actions)
        assert sum(r.status == "crashed" for r in records.values()) == len(deaths)
        assert sum(r.status == "ok" for r in records.values()) == 4 * len(deaths)
    for (action, number), made in records.items():
        with attack.case(f"{action} {number}"):
            if action != "nothing":
                assert made.reason.startswith(DEATHS[action]), made.reason
                assert (
                    action == "garbage"
                    or f"{action} begins" in made.reason
                    or "Fatal" in (made.reason)
                )


HANGS = ("lock", "session", "fork", "loop", "ignore")


@pytest.mark.attack(
    "R8", "hangs: in Python, in C with its lock, TERM ignored, forks, setsid, threads"
)
def test_hangs(attack: Any) -> None:
    before = set(descendants(os.getpid()))
    launch("nothing")  # the server that forks is there
    took = []
    for action in HANGS[: attack.times(2, len(HANGS))]:
        with attack.case(action):
            begin = monotonic()
            (made,) = launch(action, limit=1.5).values()
            assert made.status == "timeout", made.reason
            nothing_left(before)
            took.append(monotonic() - begin - 1.5)
    for action, status in (("thread", "ok"), ("daemon", "crashed")):
        with attack.case(action):
            (made,) = launch(action).values()
            assert made.status == status, made.reason
            nothing_left(before)
    if took:
        attack.notes = f"all processes gone at most {max(took):.1f} s after the limit"


def nothing_left(before: set[int]) -> None:
    """Nothing that a job has started; the server that forks and its tracker may stay."""

    def is_helper(pid: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            return True
        return b"multiprocessing" in command and int(parent) == os.getpid()

    found: Callable[[], set[int]] = lambda: set(descendants(os.getpid())) - before  # noqa: E731
    wait_until(lambda: all(map(is_helper, found())), 5)


@pytest.mark.attack("R7", "a trial that takes all memory, under a limit of its own")
def test_memory(attack: Any, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, {"a": "hog = true", "b": ""}, seeds=1, top="memory = 1.0")
    for number in range(attack.times(1, 5)):
        with attack.case(f"hog {number}"):
            code, said = run(suite, tmp_path / str(number))
            assert code == 3, said
            stored = read(tmp_path / str(number) / "idle").records
            records = {record.trial["optimizer"]["label"]: record for record in stored}
            attack.notes = records["a"].reason
            assert records["a"].status == "oom", records["a"].reason
            assert "limit of 1 GB, peak of " in records["a"].reason, records["a"].reason
            assert records["b"].status == "ok", records["b"].reason
    with attack.case("the driver's own memory"):
        launch(*["nothing"] * 5)
        before = psutil.Process().memory_info().rss
        launch(*["nothing"] * attack.times(15, 200))
        grown = psutil.Process().memory_info().rss - before
        attack.notes += f"; the driver grew by {grown / 1e6:.1f} MB"
        assert grown < 50e6


@pytest.mark.attack("R17", "the wall clock of a trial jumps by a day in every step")
def test_clock(attack: Any, tmp_path: Path) -> None:
    attack.times(1, 1)
    suite = write_suite(tmp_path, {"a": "jump = true"}, seeds=1, rounds=1)
    code, said = run(suite, tmp_path)
    with attack.case("durations"):
        assert code == 0, said
        for made in read(tmp_path / "idle").records:
            assert 0 <= made.seconds < 3_600
            for name, value in seconds_in(made.results):
                assert 0 <= value < 3_600, (name, value)
    with attack.case("no wall clock is read for a duration"):
        files = [*Path("msbench").glob("**/*.py")]
        assert files
        assert not [path for path in files if "time.time()" in path.read_text()]
    assert not left_running(f"IDLE_FOLDER={tmp_path}")


def seconds_in(data: Any) -> list[tuple[str, float]]:
    """All numbers in plain data whose name says that they are seconds."""
    if isinstance(data, list):
        return [found for each in data for found in seconds_in(each)]
    if not isinstance(data, dict):
        return []
    own = [(k, v) for k, v in data.items() if "seconds" in k and isinstance(v, float)]
    return own + [found for each in data.values() for found in seconds_in(each)]
