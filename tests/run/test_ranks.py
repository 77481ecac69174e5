"""Trials on two processes (gloo), held to the same trials in one."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from msbench.errors import MsbenchError, SuiteError
from msbench.plan.processes import processes_notes
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.run.job import redecode_job, run_job
from msbench.run.processes import processes
from msbench.run.torchrun import check_world, leading, serve
from msbench.run.weights import weights_file
from msbench.spec import Choice, Trial

STRATEGIES = """
[[optimizer]]
name = "sgd"
lr = 0.5

[[optimizer]]
name = "local-sgd"
workers = 2
every = 2
base = { name = "adamw", lr = 3e-3 }

[[optimizer]]
name = "diloco"
workers = 2
every = 2
base = { name = "momentum", lr = 0.1 }

[[optimizer]]
name = "mars"

[[optimizer]]
name = "prodigy"

[[optimizer]]
name = "doomed"
how = "dies"

[[optimizer]]
name = "doomed"
label = "raising"
how = "raises"
"""

DOOMED = """
import os, signal
import msbench
from torch.optim import SGD

@msbench.hookimpl
def register_optimizers(register):
    register("doomed", Doomed)

class Doomed(SGD):
    def __init__(self, model, how: str):
        super().__init__(model.parameters(), lr=0.1)
        self.how, self.steps = how, 0

    def step(self, closure):
        self.steps += 1
        if self.steps == 2 and os.environ.get("RANK") == "1":
            if self.how == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("no such luck")
        return super().step(closure)
"""

BUDGET = """batch_size = 9
accumulate = 3
clip = 0.5
"""

EXACT, OF_ADAM = 1e-12, 1e-11
"""In double precision: of losses, and of weights, into which SGD adds gradients as they are; of
weights that Adam moves, which divides by the root of small numbers."""


@pytest.fixture
def planned(
    write_suite: Callable[..., Path],
    write_plugin: Callable[[str], str],
    fingerprint: Callable[..., str],
) -> tuple[list[Trial], Registry, str]:
    """A trial of each strategy on two processes, in double precision; what was loaded, and whence.

    A batch of 9 is shared as 5 and 4 examples, each in 3 parts.
    """
    plugin = write_plugin(DOOMED)
    registry = load_plugins([plugin])
    path = write_suite(
        top='processes = 2\ndtype = "float64"\n',
        bottom=STRATEGIES,
        **{
            "seeds = 2": "seeds = 1",
            "batch_size = 8": BUDGET,
            "layers = 1": "layers = 1\ndropout = 0.0",  # masks differ from process to process
        },
    )
    return plan(load_suite(str(path)), registry, (), fingerprint), registry, plugin


def test_two_processes_train_as_one_does(
    planned: tuple[list[Trial], Registry, str], tmp_path: Path, server: None
) -> None:
    trials, _, plugin = planned
    by_name = {trial.optimizer.label or trial.optimizer.name: trial for trial in trials}
    alone = [
        replace(by_name[n], processes=1) for n in ("sgd", "adamw", "sam", "local-sgd", "diloco")
    ]
    run = partial(run_job, files=(plugin,), weights=tmp_path)
    done = processes(1)([*trials, *alone], run, limit=600)
    records = {each.key: each for each in done if isinstance(each, Record)}
    for one in alone:
        name = one.optimizer.name
        both = by_name[name]
        assert (records[one.key].status, records[both.key].status) == ("ok", "ok"), name
        _compare(name, records[one.key], records[both.key])
        weights = [load_file(weights_file(tmp_path, each.key)) for each in (one, both)]
        close = OF_ADAM if name in ("adamw", "sam") else EXACT
        for key, expected in weights[0].items():
            torch.testing.assert_close(weights[1][key], expected, rtol=0, atol=close, msg=name)
    deaths = {name: records[by_name[name].key] for name in ("doomed", "raising")}
    assert deaths["doomed"].status == "crashed"
    assert deaths["doomed"].reason == "rank 1 of 2: killed by signal SIGKILL"
    assert deaths["raising"].status == "failed"
    assert deaths["raising"].reason.startswith("rank 1 of 2: ValueError: no such luck")


def test_processes_with_a_part_of_the_weights_each_train_as_one_does(
    planned: tuple[list[Trial], Registry, str], tmp_path: Path, server: None
) -> None:
    trials, _, plugin = planned
    by_name = {trial.optimizer.label or trial.optimizer.name: trial for trial in trials}
    names = ("sgd", "adamw", "sam", "mars", "prodigy")
    alone = [replace(by_name[name], processes=1) for name in names]
    split = [replace(by_name[name], sharded=True) for name in names]
    run = partial(run_job, files=(plugin,), weights=tmp_path)
    done = processes(1)([*alone, *split], run, limit=600)
    records = {each.key: each for each in done if isinstance(each, Record)}
    for one, both in zip(alone, split, strict=True):
        name = one.optimizer.name
        assert records[both.key].status == "ok", records[both.key].reason
        _compare(name, records[one.key], records[both.key])
        weights = [load_file(weights_file(tmp_path, each.key)) for each in (one, both)]
        assert weights[0].keys() == weights[1].keys()
        close = EXACT if name == "sgd" else OF_ADAM
        for key, expected in weights[0].items():
            torch.testing.assert_close(weights[1][key], expected, rtol=0, atol=close, msg=name)
    bytes_of = [
        records[each[1].key].results["compute"]["optimizer_bytes"] for each in (alone, split)
    ]
    assert 0.45 < bytes_of[1] / bytes_of[0] < 0.6, "each has half of what AdamW remembers"
    first = split[0]
    again = redecode_job(first, {first.key: weights_file(tmp_path, first.key)}, (plugin,))
    assert again.status == "ok", again.reason
    for one, other in zip(
        *(r.results["decoding"] for r in (records[first.key], again)), strict=True
    ):
        assert one["metrics"] == other["metrics"]


def test_processes_of_torchrun_train_together(
    planned: tuple[list[Trial], Registry, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials, _, plugin = planned
    by_name = {trial.optimizer.label or trial.optimizer.name: trial for trial in trials}
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    member = os.fork()
    if not member:  # what `msbench run` does in the second process
        os.environ["RANK"] = "1"
        with suppress(BaseException):
            serve(tmp_path / "tiny", partial(run_job, weights=None), ["msbench.builtin.learner"])
            os._exit(0)
        os._exit(1)
    monkeypatch.setenv("RANK", "0")
    with leading(tmp_path / "tiny"):
        made = {name: run_job(by_name[name], (plugin,)) for name in ("sgd", "doomed", "raising")}
    _, status = os.waitpid(member, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert list(tmp_path.glob(".*")) == []
    assert made["doomed"].reason == "rank 1 of 2: killed by signal SIGKILL"
    assert made["raising"].reason.startswith("rank 1 of 2: ValueError: no such luck")
    monkeypatch.delenv("RANK")
    alone = run_job(replace(by_name["sgd"], processes=1), (plugin,))
    assert (alone.status, made["sgd"].status) == ("ok", "ok"), made["sgd"].reason
    _compare("sgd", alone, made["sgd"])


def test_torchrun_starts_as_many_as_a_suite_says(
    write_suite: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    suite = load_suite(str(write_suite()))
    with pytest.raises(MsbenchError, match=r"started 2 processes, and trials are for 1: .*es=2\)"):
        check_world(suite)
    check_world(replace(suite, processes=2))
    elsewhere = replace(suite, processes=2, launcher=Choice("ray"))
    with pytest.raises(MsbenchError, match="'ray' starts processes itself"):
        check_world(elsewhere)


def _compare(name: str, one: Record, both: Record) -> None:
    """What is counted is the same, and losses are but for rounding."""
    for key in ("passes", "steps", "samples", "tokens"):
        assert one.results["training"][key] == both.results["training"][key], (name, key)
    assert one.results["compute"]["flops"] == both.results["compute"]["flops"], name
    curves = [
        torch.tensor(
            [(p["train_loss"], p["validation_loss"]) for p in record.results["training"]["curve"]],
            dtype=torch.float64,
        )
        for record in (one, both)
    ]
    torch.testing.assert_close(curves[1], curves[0], rtol=0, atol=EXACT, msg=name)
    assert one.results["decoding"][0]["metrics"] == both.results["decoding"][0]["metrics"], name
    sent = [record.results["compute"]["sent_bytes"] for record in (one, both)]
    if name in ("local-sgd", "diloco"):
        assert sent[0] == sent[1] > 0, name  # what is really sent is what the simulation counts
    else:
        passes = int(one.results["training"]["passes"])
        gradients = 2 * passes * 8 * one.results["parameters"]
        assert sent[0] == 0
        if both.job.get("sharded"):
            # In each of three parts the gradient, and twice the half that one has of the weights,
            # but for those of no layer.
            assert 0.9 < sent[1] / (3 * 2 * gradients) < 1.0, name
        else:
            assert gradients < sent[1] < 1.1 * gradients, name  # and which have one, the loss


def test_what_needs_one_process_is_refused_at_the_plan(
    write_suite: Callable[..., Path], registry: Registry, fingerprint: Callable[..., str]
) -> None:
    path = write_suite(
        top="processes = 3",
        bottom=STRATEGIES.partition('[[optimizer]]\nname = "doomed"')[0],
        **{"batch_size = 8": "batch_size = 2\ngraph = true"},
    )
    suite = load_suite(str(path))
    (note,) = processes_notes(suite)
    assert note == "throughput: not measured, since trials train in 3 processes"
    assert not processes_notes(replace(suite, processes=1))
    with pytest.raises(SuiteError) as error:
        plan(suite, registry, (), fingerprint)
    told = " | ".join(line.partition("processes: ")[2] for line in error.value.problems)
    for reason in (
        "a batch of 2 examples (numbers-fr) has no share for each of 3",
        "graph = true (numbers-fr) is for one process",
        "'diloco': it has 2 workers, and there are 3 processes; say workers = 3",
    ):
        assert reason in told
    halves = replace(suite, processes=2, sharded=True)
    with pytest.raises(SuiteError, match="'diloco': its processes have weights of their own"):
        plan(halves, registry, (), fingerprint)
    with pytest.raises(SuiteError, match=r"sharded = true needs several processes"):
        plan(replace(suite, processes=1, sharded=True), registry, (), fingerprint)
