"""Drivers as a user starts them, on suites of trials that only wait, and what they leave behind."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msbench.compare.comparison import compare
from msbench.records.store import read

IDLE = Path(__file__).with_name("idle.py")

SUITE = """
seeds = {seeds}
baseline = "a"
limit = 60
launcher = {{ name = "processes", workers = 2 }}
{top}
[training]
passes = 4
batch_size = 4
validations = 2
[throughput]
rounds = {rounds}
steps = 1
[[task]]
name = "dots"
[[model]]
name = "line"
[[loss]]
name = "none"
[[decoder]]
name = "guess"
"""

OPTIMIZER = """
[[optimizer]]
name = "wait"
label = "{label}"
{options}
"""


def write_suite(
    folder: Path,
    optimizers: Mapping[str, str] = {"a": "lr = 0.1", "b": "lr = 0.4", "c": "lr = 0.9"},
    *,
    seeds: int = 8,
    rounds: int = 0,
    top: str = "",
) -> Path:
    """The suite `idle`, by default of 24 trials. optimizers: their options by their label."""
    text = SUITE.format(seeds=seeds, rounds=rounds, top=top)
    parts = [OPTIMIZER.format(label=label, options=text) for label, text in optimizers.items()]
    path = folder / "idle.toml"
    path.write_text(text + "".join(parts))
    return path


@contextmanager
def start(
    suite: Path, out: Path, *words: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A driver in a process group of its own, which ends with the block.

    `environment` is added to that of the test.
    """
    command = [sys.executable, "-m", "msbench", "run", str(suite), "--out", str(out)]
    driver = subprocess.Popen(
        [*command, "--plugin", str(IDLE), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    with driver:
        try:
            yield driver
        finally:
            driver.kill()  # one that is paused would be waited for without end


def run(suite: Path, out: Path, *words: str, **environment: str) -> tuple[int, str]:
    """(exit code, what it said) of a driver that is left alone."""
    with start(suite, out, *words, **environment) as driver:
        _, said = driver.communicate(timeout=300)
    return driver.returncode, said


def follow(said: str, **environment: str) -> int:
    """The exit code of the command that an interrupted driver says goes on."""
    (line,) = [line for line in said.splitlines() if "this goes on: " in line]
    command = shlex.split(line.partition("this goes on: ")[2])
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, **environment}, check=False, timeout=300
    )
    return done.returncode


def lines(out: Path) -> list[bytes]:
    """The whole lines of all records."""
    files = sorted((out / "idle").glob("*.jsonl"))
    return [
        line for file in files for line in file.read_bytes().splitlines(True) if line[-1:] == b"\n"
    ]


def times_recorded(out: Path, *statuses: str) -> Counter[str]:
    """How many records every key has, of these statuses or of all."""
    records = [json.loads(line) for line in lines(out) if line.strip()]
    return Counter(r["key"] for r in records if not statuses or r["status"] in statuses)


def table(out: Path) -> str:
    """All that there is to say of scores, in full precision, without what seconds are in."""
    rows = compare(read(out / "idle").records, "a").accuracy
    timed = ("train_seconds", "tokens_per_second", "throughput", "throughput_ratio")
    return json.dumps([{k: v for k, v in row.items() if k not in timed} for row in rows], indent=1)


def wait_until(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    """AssertionError if it does not come true at all."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def left_running(marker: str) -> list[str]:
    """The command lines of processes that have the marker in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found
