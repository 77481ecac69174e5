"""Trials on three nodes that are processes of one machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="msbench-ray needs Ray: not installed")

import ray
import torch
from ray.cluster_utils import Cluster
from safetensors.torch import load_file

from msbench import Record, Registry, load_plugins, load_suite, read, run_suite
from msbench.records.merge import same_results
from msbench.records.outputs import read_outputs

SUITE = """
seeds = 3
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


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture
def cluster() -> Iterator[Any]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield made
    ray.shutdown()
    made.shutdown()


def events(text: str, registry: Registry, folder: Path) -> Iterator[Any]:
    folder.mkdir(parents=True)
    path = folder / "tiny.toml"
    path.write_text(text)
    return run_suite(load_suite(str(path)), registry, folder / "tiny")


def test_a_node_is_killed_and_nothing_is_lost(
    cluster: Any, registry: Registry, tmp_path: Path
) -> None:
    list(events(SUITE, registry, tmp_path / "here"))
    here = {record.key: record for record in read(tmp_path / "here/tiny").records}
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    launcher = f'launcher = {{ name = "ray", address = "{cluster.address}", dashboard = false }}\n'
    started = 0
    for event in events(launcher + SUITE, registry, tmp_path / "there"):
        started += type(event).__name__ == "Started"
        if started == 3:
            cluster.remove_node(nodes[0], allow_graceful=False)
            started += 1
        done = event
    assert (len(done.records), done.lost) == (6, 0)
    lines = (tmp_path / "there/tiny/trials.jsonl").read_text().splitlines()
    assert len(lines) == 6, "none twice"
    for record in done.records:
        assert record.status == "ok", record.reason
        assert same_results(record, here[record.key])
        written, again = (
            read_outputs(tmp_path / where / "tiny", record) for where in ("here", "there")
        )
        assert written == again
        assert len(written[0] or ()) == 20
    for key in here:
        kept, again = (
            load_file(tmp_path / f"{where}/tiny/weights/{key}.safetensors")
            for where in ("here", "there")
        )
        assert kept.keys() == again.keys()
        assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_a_node_of_other_versions_is_left_out() -> None:
    from msbench_ray.launcher import _difference

    from msbench.run.device import machine

    here = machine()["versions"]
    assert _difference(here) == ""
    assert "torch 1.0 there" in _difference({**here, "torch": "1.0"})


def test_a_node_without_the_users_files_is_told_so(tmp_path: Path) -> None:
    from msbench_ray.slot import Slot, file_digest

    mine = tmp_path / "mine.csv"
    mine.write_text("text,label\nfine,good\n")
    files = {str(mine): file_digest(str(mine))}
    assert Slot()._problem(files) == ""
    mine.write_text("text,label\nfine,bad\n")
    assert "mine.csv differs from the one here" in Slot()._problem(files)
    mine.unlink()
    assert "mine.csv is not there: all nodes must see it" in Slot()._problem(files)


def test_a_job_that_is_lost_again_and_again_is_crashed(registry: Registry, tmp_path: Path) -> None:
    from msbench_ray.launcher import ATTEMPTS, Jobs

    from msbench.plan.trials import plan

    path = tmp_path / "tiny.toml"
    path.write_text(SUITE)
    trial, *_ = plan(load_suite(str(path)), registry, (), lambda part: "data")
    jobs = Jobs(iter([trial]))
    for _ in range(ATTEMPTS - 1):
        assert jobs.next() is trial
        assert jobs.lost(trial, RuntimeError("gone")) is None
    assert jobs.next() is trial
    gone = jobs.lost(trial, RuntimeError("gone"))
    assert isinstance(gone, Record)
    assert gone.status == "crashed"
    assert jobs.next() is None
