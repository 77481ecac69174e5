"""`msbench bench`: a real run, what it leaves, and where it says that time goes."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from msbench import Registry, Suite, SuiteError, load_suite, read
from msbench.compare import compare
from msbench.plan.trials import Fingerprint, measurements
from msbench.run import competitors, throughput
from msbench.run.bench import planned
from msbench.run.competitors import Competitor, competitor
from msbench.run.job import run_job
from msbench.run.pieces import split_of
from msbench.spec import Measurement, Throughput, Trial

pytestmark = pytest.mark.usefixtures("server")

Call = Callable[..., Any]


def test_bench_prints_tables_and_leaves_a_record(
    call: Call, write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    done = call("bench", write_suite(), "--rounds", 2, "--optimizer", "adamw", "--optimizer", "sam")
    for title in ("TRAINING OF", "A STEP OF", "MEMORY AND ARITHMETIC OF", "DECODING OF"):
        assert title in done.stdout
    assert "adamw again" in done.stdout
    assert "Noise floor" in done.stdout
    tables = done.stdout.partition("Speed:")[0]
    assert "2 ROUNDS" in tables
    assert max(map(len, tables.splitlines())) <= 80
    (record,) = read(tmp_path / "results" / "tiny").records
    assert record.measurement["throughput"]["rounds"] == 2
    for rates in (*record.results["training"], *record.results["decoding"]):
        assert len(rates["rates"]) == len(rates["seconds"]) == 2


def test_pieces_of_a_step_add_up_to_it(
    trials: list[Trial], registry: Registry, time_in_passes: Any
) -> None:
    by_name = {trial.optimizer.name: trial for trial in trials}
    task = registry.build("task", trials[0].task)()
    for name, passes in (("adamw", 1), ("sam", 2)):
        each = competitor(by_name[name], task, registry)
        step = split_of(each.learner, each.batches)
        assert step["forward"] == pytest.approx(passes), "a pass takes a second, all of it forward"
        assert sum(step.values()) == pytest.approx(passes, abs=1e-3)


def test_details_are_measured_beside_the_rounds(tiny: Suite, trials: list[Trial]) -> None:
    how = Throughput(rounds=2, steps=2, details=True)
    (measurement,) = measurements(replace(tiny, throughput=how), trials)
    record = run_job(measurement)
    assert record.status == "ok", record.reason
    results = record.results
    for each in results["training"]:
        assert 0 < each["peak_share"] < 1
        assert each["flops_per_second"] == pytest.approx(
            each["peak_share"] * results["matrix_peak"]
        )
        assert each["peak_memory"] > 0
        assert each["first_step_seconds"] > 0 < each["setup_seconds"]
    streams = {d["decoder"]["name"]: d["first_token_seconds"] for d in results["decoding"]}
    assert streams["greedy"] > 0
    assert math.isnan(streams["beam"])
    assert set(results["noise"]) == {"training", "decoding"}


def test_a_strategy_that_fails_in_a_round_does_not_cost_the_others(
    tiny: Suite, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    (measurement,) = measurements(replace(tiny, throughput=Throughput(3, 2)), trials)
    whole, taken = competitors.timed_steps, dict[str, int]()

    def fails_later(each: Competitor, steps: int) -> Any:
        name = each.trial.optimizer.name
        taken[name] = taken.get(name, 0) + 1
        if name == "sam" and taken[name] > 2:  # the first one warms up
            raise ValueError("no more")
        return whole(each, steps)

    monkeypatch.setattr(throughput, "timed_steps", fails_later)
    record = run_job(measurement)
    assert record.status == "ok", record.reason
    (left,) = record.results["training"]
    assert left["strategy"]["optimizer"]["name"] == "adamw"
    assert len(left["rates"]) == 3
    (lost,) = record.results["failed"]
    assert lost["strategy"] == "cross-entropy sam"
    assert "no more" in lost["reason"]


def test_pieces_of_what_evaluates_are_in_float32(trials: list[Trial], registry: Registry) -> None:
    trial = replace(trials[0], training=replace(trials[0].training, precision="bfloat16"))
    each = competitor(trial, registry.build("task", trial.task)(), registry)
    learner: Any = each.learner
    found = learner.pieces(next(each.batches))
    for piece in found.values():
        piece()
    assert found["model"]().dtype == torch.float32


def test_measurements_that_use_nothing_new_have_the_keys_they_had(trials: list[Trial]) -> None:
    plain = Measurement(tuple(trials[:1]), Throughput(5, 10))
    more = [replace(Throughput(5, 10), **new) for new in ({"seconds": 1.0}, {"details": True})]
    assert len({plain.key, *(Measurement(plain.strategies, how).key for how in more)}) == 3
    stored = read(Path("tests/kept/quick/throughput.jsonl")).records
    assert stored, "reading checks that the key of an older record is that of its job"
    assert all(Measurement.of(record.job).key == record.key for record in stored)


def test_an_untuned_suite_is_measured_before_its_winners_are_known(
    write_suite: Callable[..., Path], registry: Registry, fingerprint: Fingerprint
) -> None:
    tuned = {
        "[throughput]": "[tuning]\nmethod = 'halton'\npoints = 2\n[throughput]",
        "\nlr = 3e-3": "",
    }
    suite = load_suite(str(write_suite(**tuned, **{", lr = 3e-3": ""})))
    how = Throughput(rounds=2)
    (measurement,) = planned(suite, registry, (), fingerprint, how, tasks=["numbers-fr"])
    assert [trial.optimizer.name for trial in measurement.strategies] == ["adamw", "sam"]
    assert all(trial.tuned is None for trial in measurement.strategies)
    with pytest.raises(SuiteError, match="no task here is called 'numbers-de'"):
        planned(suite, registry, (), fingerprint, how, tasks=["numbers-de"])
    with pytest.raises(SuiteError, match="'adamv'; did you mean 'adamw'"):
        planned(suite, registry, (), fingerprint, how, optimizers=["adamv"])


def test_older_measurements_are_compared_as_before() -> None:
    rows = compare(read(Path("tests/kept/quick")).records).throughput
    assert rows
    assert all(row["ratio_low"] <= row["ratio"] <= row["ratio_high"] for row in rows)
    assert json.dumps(rows)
