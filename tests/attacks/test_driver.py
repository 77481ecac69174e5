"""Whatever ends a driver, and whoever drives beside it: each trial is recorded once, none lost."""

import json
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import times
from drivers import (
    follow,
    left_running,
    lines,
    run,
    start,
    table,
    times_recorded,
    wait_until,
    write_suite,
)
from filelock import FileLock, Timeout

import msbench

SEEDS = times(3, 8)
"""Of three strategies."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """The table of trials that nobody disturbs, and the seconds they take."""
    folder = tmp_path_factory.mktemp("undisturbed")
    suite = write_suite(folder, seeds=SEEDS)
    begin = time.monotonic()
    code, said = run(suite, folder)
    assert code == 0, said
    return table(folder), time.monotonic() - begin


@pytest.mark.attack("R1", "kill -9 of the driver at a random moment of 24 trials, then resumed")
def test_a_killed_driver(attack: Any, undisturbed: tuple[str, float], tmp_path: Path) -> None:
    expected, seconds = undisturbed
    suite, moments = write_suite(tmp_path, seeds=SEEDS), attack.generator()
    spent: list[float] = []
    for number in range(attack.times(1, 30)):
        out = tmp_path / str(number)
        with attack.case(f"kill {number}"):
            begin = time.monotonic()
            with start(suite, out) as driver:
                time.sleep(moments.uniform(0.2, 1.0) * seconds)
                acknowledged = lines(out)
                driver.kill()
            code, said = run(suite, out)
            spent.append(time.monotonic() - begin)
            assert code == 0, said
            kept = lines(out)
            assert not set(acknowledged) - set(kept), "an acknowledged record is lost"
            assert set(times_recorded(out).values()) == {1}, "a trial is recorded twice"
            assert table(out) == expected
    if spent:
        attack.notes = f"at most {max(spent) / seconds:.2f} x the time of an undisturbed run"


DRIVER = ["prepared", "lock", "lease", "launch", "start", "started", "collect", "append", "sync"]
DRIVER += ["acknowledge", "release", "beat", "planned", "done", "outputs"]
POINTS = [*DRIVER, "worker", "send", "sent"]
ACTIONS = ("kill", "raise", "ENOSPC", "EIO", "short", "delay")
CHEAP = ("append:3:short",)


def test_every_point_of_a_fault_is_attacked() -> None:
    sources = "".join(path.read_text() for path in Path(msbench.__file__).parent.rglob("*.py"))
    assert sorted(re.findall(r'\bfault\("(\w+)"', sources)) == sorted(POINTS)


@pytest.mark.attack("R2", "a fault at each point of driver, store and worker, then resumed")
def test_faults(attack: Any, undisturbed: tuple[str, float], tmp_path: Path) -> None:
    expected, _ = undisturbed
    first = {"prepared", "launch", "planned", "done", "worker", "send", "sent"}
    every = [f"{point}:{1 if point in first else 2}:{act}" for point in POINTS for act in ACTIONS]
    suite = write_suite(tmp_path, seeds=SEEDS)
    for number, fault in enumerate(every if attack.times(0, 1) else CHEAP):
        out = tmp_path / str(number)
        with attack.case(fault):
            code, said = run(suite, out, MSBENCH_FAULT=fault)
            acknowledged = lines(out)
            point, _, action = fault.split(":")
            if point in DRIVER:
                assert f"a fault on purpose: {fault}" in said, "it was never reached"
            elif point != "sent" and action != "delay":
                assert set(times_recorded(out)) != set(times_recorded(out, "ok")), "nothing failed"
            assert code in {"kill": (0, 3, -9), "raise": (0, 1, 3), "delay": (0,)}.get(
                action, (0, 3, 74)
            ), f"{code}: {said}"
            # That of a worker is quoted, within a line.
            assert action == "raise" or not re.search("^Traceback", said, re.MULTILINE), said
            code, said = run(suite, out, "--retry")
            assert code == 0, said
            assert not set(acknowledged) - set(lines(out)), "an acknowledged record is lost"
            assert set(times_recorded(out, "ok").values()) == {1}, "a trial is recorded twice"
            assert table(out) == expected


def of_driver(out: Path, process: int) -> int:
    """How many jobs a driver has leased."""
    try:
        drivers = json.loads((out / "idle" / ".leases").read_bytes().partition(b"\n")[0])
    except (OSError, ValueError):
        return 0
    return sum(len(each["jobs"]) for each in drivers.values() if each["process"] == process)


def pause(driver: Any, out: Path) -> None:
    """Stop a driver that does not hold the lock of the folder."""
    while True:
        os.kill(driver.pid, signal.SIGSTOP)
        try:
            with FileLock(out / "idle" / ".lock", timeout=0):
                return
        except Timeout:
            os.kill(driver.pid, signal.SIGCONT)


def share(folder: Path, end: str) -> list[Path]:
    """Two drivers on one folder, the second through a link; what happens to the first is `end`."""
    top = "[tuning]\nmethod = 'halton'\npoints = 3\n" if end == "nothing" else ""
    options = {"a": "seconds = 0.05"} if top else {"a": "lr = 0.1\nseconds = 0.2"}
    suite = write_suite(folder, options, seeds=6, rounds=1, top=top)
    out, link = folder / "out", folder / "link"
    out.mkdir()
    link.symlink_to(out)
    with start(suite, out) as one:
        wait_until(lambda: of_driver(out, one.pid))
        if end == "paused":
            pause(one, out)
        with start(suite, link) as two:
            if end == "killed":
                wait_until(lambda: of_driver(out, two.pid))
                one.kill()
            _, said = two.communicate(timeout=300)
        assert two.returncode == 0, said
        if end == "paused":
            os.kill(one.pid, signal.SIGCONT)
        _, said = one.communicate(timeout=300)
    assert end == "killed" or one.returncode == 0, said
    counts = times_recorded(out)
    assert set(counts.values()) == {1}, "a trial is recorded twice"
    assert len(counts) == (3 + 6 + 1 if top else 6 + 1)
    return [out]


@pytest.mark.attack("R5b", "two drivers on one suite; the first is left alone, killed or paused")
def test_two_drivers(attack: Any, tmp_path: Path) -> None:
    ends = ["paused", "nothing", "killed"]
    for number in range(attack.times(1, 9)):
        end = ends[number % len(ends)]
        folder = tmp_path / str(number)
        folder.mkdir()
        with attack.case(f"{end} ({number})"):
            share(folder, end)


SIGNALS: Sequence[tuple[str, list[signal.Signals]]] = (
    ("Ctrl-C once", [signal.SIGINT]),
    ("Ctrl-C twice", [signal.SIGINT, signal.SIGINT]),
    ("SIGTERM", [signal.SIGTERM]),
    ("SIGHUP", [signal.SIGHUP]),
)
PHASES = ("preload", "tuning", "trials", "throughput")
PRELOAD = """
import os, time
from pathlib import Path
if os.environ.get("IDLE_HOLD") == "preload":
    Path(os.environ["IDLE_FOLDER"], "held").touch()
    time.sleep(600)
"""


def interrupt(folder: Path, phase: str, signals: Sequence[signal.Signals]) -> float:
    """Send signals to a driver in a phase; the seconds from the last of them to its end."""
    top = "[tuning]\nmethod = 'halton'\npoints = 2\n" if phase == "tuning" else ""
    suite = write_suite(folder, {"a": "" if top else "lr = 0.1"}, seeds=2, rounds=1, top=top)
    (folder / "idle_preload.py").write_text(PRELOAD)
    path = f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {"IDLE_FOLDER": str(folder), "PYTHONPATH": path}
    out = folder / "out"
    with start(suite, out, IDLE_HOLD=phase, **environment) as driver:
        wait_until((folder / "held").exists)
        flying = phase != "preload"
        if flying:  # and the driver knows it
            wait_until(lambda: of_driver(out, driver.pid))
            time.sleep(0.5)
        begin = time.monotonic()
        said = ""
        for number, each in enumerate(signals if flying else signals[:1]):
            os.killpg(driver.pid, each)
            if flying and each == signal.SIGINT and not number:
                said = wait_for_line(driver, "finishing what is running")
                if len(signals) == 1:
                    (folder / "go").touch()
                begin = time.monotonic()
        _, rest = driver.communicate(timeout=120)
        seconds = time.monotonic() - begin
    assert driver.returncode == 128 + signals[0], said + rest
    assert "Traceback" not in said + rest, said + rest
    wait_until(lambda: not left_running(f"IDLE_FOLDER={folder}"), 10)
    before = len(lines(out))
    if flying and len(signals) == 1 and signals[0] == signal.SIGINT:
        assert before, "the rows in flight were not finished"
    (folder / "go").touch()
    assert follow(said + rest, **environment) == 0, "the command that it prints does not go on"
    assert set(times_recorded(out).values()) == {1}
    return seconds


def wait_for_line(driver: Any, text: str) -> str:
    said = ""
    while text not in said:
        line = driver.stderr.readline()
        assert line, said
        said += line
    return said


@pytest.mark.attack("R11", "Ctrl-C once and twice, SIGTERM and SIGHUP in each phase")
def test_signals(attack: Any, tmp_path: Path) -> None:
    cases = [(phase, *each) for phase in PHASES for each in SIGNALS]
    cheap = [cases[0], cases[6], cases[8]]
    took = []
    for phase, name, signals in cases if attack.times(0, 1) else cheap:
        folder = tmp_path / f"{phase} {name}"
        folder.mkdir()
        with attack.case(f"{name} in {phase}"):
            took.append(interrupt(folder, phase, signals))
    if took:
        attack.notes = f"ended after at most {max(took):.1f} s"
