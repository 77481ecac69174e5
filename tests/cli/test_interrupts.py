"""Ctrl-C and a killed driver, at moments that plugins announce: no test depends on time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]

BLOCKING = """
import multiprocessing, os, time
from pathlib import Path
import msbench
from torch.optim import SGD

def reach(stage):
    if stage == STAGE:
        Path(FOLDER, f"{os.getpid()}.reached").touch()
        time.sleep(10**6)

reach("loading")

@msbench.hookimpl
def register_optimizers(register):
    register("blocks", blocks)

def blocks(model):
    reach("training" if multiprocessing.parent_process() else "planning")
    return SGD(model.parameters(), lr=0.1)
"""


@pytest.fixture
def start(
    write_suite: Write, write_plugin: Callable[..., str], tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    """Starts a run of adamw and of an optimizer that never ends, in a process group of its own."""

    def start(stage: str, *words: str, **replacements: str) -> subprocess.Popen[str]:
        constants = f"STAGE, FOLDER = {stage!r}, {str(tmp_path)!r}\n"
        sam = 'name = "sam"\nbase = { name = "adamw", lr = 3e-3 }'
        suite = write_suite(**{sam: 'name = "blocks"', **replacements})
        command = [sys.executable, "-m", "msbench", "run", str(suite), *words]
        command += ["--plugin", write_plugin(constants + BLOCKING)]
        return subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            start_new_session=True,
            # Whoever runs tests in the background of a shell has them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """As long as it takes; pytest-timeout ends what never happens."""
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)


@pytest.mark.parametrize("stage", ["loading", "planning", "training"])
def test_an_interrupt_is_quiet_and_keeps_what_is_done(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, stage: str
) -> None:
    records = tmp_path / "results" / "tiny" / "trials.jsonl"
    kept = ["ok"] if stage == "training" else []

    def reached() -> bool:
        written = not kept or (records.exists() and records.read_text().endswith("\n"))
        return written and any(tmp_path.glob("*.reached"))

    with start(stage, "--workers", "1", "--seeds", "1") as process:
        wait_until(reached, process)
        os.killpg(process.pid, signal.SIGINT)
        if stage == "training":  # the first Ctrl-C would let the trial end
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            assert any(line.startswith("msbench: finishing what is running (1)") for line in lines)
            os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "msbench: interrupted; what is done is kept, and this goes on: " in errors
    assert " -m msbench run " in errors.splitlines()[-1]
    assert "Traceback" not in errors
    written = records.read_text().splitlines() if records.exists() else []
    assert [json.loads(line)["status"] for line in written] == kept


def test_workers_do_not_outlive_a_killed_driver(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    psutil = pytest.importorskip("psutil")
    only = {'[[optimizer]]\nname = "adamw"\nlr = 3e-3\n': "", 'baseline = "adamw"': ""}
    with start("training", "--workers", "2", **only) as process:
        wait_until(lambda: len([*tmp_path.glob("*.reached")]) == 2, process)
        workers = [psutil.Process(int(path.stem)) for path in tmp_path.glob("*.reached")]
        server = workers[0].parent()
        assert server.pid != process.pid
        process.kill()
    _, alive = psutil.wait_procs([server, *workers], timeout=120)
    for process in alive:
        process.kill()
    assert not alive


def test_a_first_load_does_not_outlive_a_killed_driver(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    psutil = pytest.importorskip("psutil")
    with start("loading") as process:
        wait_until(lambda: any(tmp_path.glob("*.reached")), process)
        (loading,) = (psutil.Process(int(path.stem)) for path in tmp_path.glob("*.reached"))
        assert loading.pid != process.pid
        process.kill()
    _, alive = psutil.wait_procs([loading], timeout=120)
    for process in alive:
        process.kill()
    assert not alive
