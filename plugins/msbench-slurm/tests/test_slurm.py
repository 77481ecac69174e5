"""Packs of trials as submitit runs them on one machine."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("submitit", reason="msbench-slurm needs submitit: not installed")

from msbench_slurm.launcher import cores

from msbench import Record, Registry, load_plugins, load_suite, read, run_suite
from msbench.plan.trials import plan
from msbench.records.merge import same_results
from msbench.records.outputs import read_outputs

SUITE = """
seeds = 2
baseline = "adamw"
limit = 600
keep_outputs = true
keep_weights = true
training = { passes = 12, batch_size = 8, validations = 2 }
throughput = { rounds = 0 }
task = [{ name = "numbers-fr", below = 200, examples = 200 }]
model = [{ name = "encoder-decoder", width = 16, layers = 1, heads = 2 }]
optimizer = [{ name = "adamw", lr = 3e-3 }, { name = "sgd" }]
decoder = [{ name = "greedy" }]
"""

LAUNCHER = """
[launcher]
name = "slurm"
cluster = "local"
packs = 2
trials = 2
poll = 0.2
folder = "FOLDER"
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def events(text: str, registry: Registry, folder: Path) -> Iterator[Any]:
    folder.mkdir(parents=True)
    path = folder / "tiny.toml"
    path.write_text(text)
    return run_suite(load_suite(str(path)), registry, folder / "tiny")


@pytest.fixture(scope="module")
def here(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """What this machine's own launcher leaves."""
    folder = tmp_path_factory.mktemp("here") / "run"
    list(events(SUITE, registry, folder))
    return {record.key: record for record in read(folder / "tiny").records}


def test_packs_leave_what_one_machine_does(
    registry: Registry, here: dict[str, Record], tmp_path: Path
) -> None:
    launcher = LAUNCHER.replace("FOLDER", str(tmp_path / "jobs"))
    *_, done = events(SUITE + launcher, registry, tmp_path / "run")
    assert (len(done.records), done.lost) == (4, 0)
    lines = (tmp_path / "run/tiny/trials.jsonl").read_text().splitlines()
    assert len(lines) == 4, "none twice"
    for record in done.records:
        assert record.status == "ok", record.reason
        assert same_results(record, here[record.key])
        assert len(read_outputs(tmp_path / "run/tiny", record)[0] or ()) == 20
    assert len(list((tmp_path / "run/tiny/weights").iterdir())) == 4


def test_what_a_dead_pack_has_not_left_runs_again(
    registry: Registry, here: dict[str, Record], tmp_path: Path
) -> None:
    launcher = LAUNCHER.replace("FOLDER", str(tmp_path / "jobs"))
    killed = []
    running = events(SUITE + launcher, registry, tmp_path / "run")
    for event in running:
        if type(event).__name__ == "Started" and not killed:
            killed = processes_of_packs(tmp_path / "jobs")
            for process in killed:
                os.kill(process, signal.SIGKILL)
        done = event
    assert (len(done.records), done.lost) == (4, 0)
    assert {record.status for record in done.records} == {"ok"}
    assert all(same_results(record, here[record.key]) for record in done.records)
    assert len((tmp_path / "run/tiny/trials.jsonl").read_text().splitlines()) == 4


def processes_of_packs(folder: Path) -> list[int]:
    """Those that submitit has started for this folder, as soon as there are some."""
    found: list[int] = []
    while not found:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "submitit.core._submit" in words and any(str(folder) in word for word in words):
                found.append(process.pid)
    return found


def test_a_trial_that_ends_its_pack_twice_is_crashed(tmp_path: Path) -> None:
    from msbench_slurm.launcher import slurm

    from msbench.plan.trials import plan

    path = tmp_path / "tiny.toml"
    path.write_text(SUITE.replace("seeds = 2", "seeds = 1"))
    trials = plan(load_suite(str(path)), load_plugins(), (), lambda part: "data")[:1]
    launch = slurm(folder=str(tmp_path / "jobs"), cluster="local", poll=0.1)
    found = [each for each in launch(trials, "not a function") if isinstance(each, Record)]
    assert [(record.key, record.status) for record in found] == [(trials[0].key, "crashed")]


def test_every_thread_of_every_process_has_a_core(tmp_path: Path) -> None:
    path = tmp_path / "wide.toml"
    path.write_text("threads = 3\nprocesses = 2\n" + SUITE)
    (first, *_) = plan(load_suite(str(path)), load_plugins(), (), lambda part: "data")
    assert cores(first) == 6
