"""What the command line says instead of a suite."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msbench import Registry, SuiteError, load_suite
from msbench.plan.overrides import overridden, restricted
from msbench.plan.trials import plan

SUITE = {
    "training": {"passes": 100},
    "optimizer": [
        {"name": "adamw", "lr": 1e-3, "per_task": {"a": {"lr": 1.0}, "b": {"beta2": 0.9}}},
        {"name": "adamw", "label": "fast"},
        {"name": "sam", "base": {"name": "adamw"}, "per_task": {"a": {"base.lr": 1.0}}},
    ],
}


def test_values_are_set_where_they_stand() -> None:
    settings = [
        "optimizer.adamw.lr=3e-3",
        "optimizer.fast.lr = 0.1",
        "optimizer.sam.base.lr=2.0",
        "training.passes=500",
        "throughput.rounds=0",
        "seeds=[3, 4]",
        "device=cuda",
        'description="of two words"',
    ]
    changed = overridden(SUITE, settings)
    first, fast, sam = changed["optimizer"]
    assert first == {"name": "adamw", "lr": 3e-3, "per_task": {"a": {}, "b": {"beta2": 0.9}}}
    assert fast == {"name": "adamw", "label": "fast", "lr": 0.1}
    assert sam["base"] == {"name": "adamw", "lr": 2.0}
    assert sam["per_task"] == {"a": {}}
    assert changed["training"] == {"passes": 500}
    assert changed["throughput"] == {"rounds": 0}
    assert (changed["seeds"], changed["device"]) == ([3, 4], "cuda")
    assert changed["description"] == "of two words"
    assert SUITE["training"] == {"passes": 100}, "the table that was given stays"


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("optimizer.adamv.lr=1", "no optimizer 'adamv'; did you mean 'adamw'?"),
        ("optimizer.adamw=1", "names no option"),
        ("training.passes", "is no KEY=VALUE"),
        ("=3", "is no KEY=VALUE"),
        ("training..passes=3", "is no KEY=VALUE"),
        ("training.passes=1\nseeds=2", "more than one value"),
        ("training.passes=[1", "not as in TOML"),
        ("training.passes.more=1", "training.passes is no table"),
    ],
)
def test_what_is_wrong_with_a_setting(setting: str, reason: str) -> None:
    with pytest.raises(SuiteError, match="-o ") as error:
        overridden(SUITE, ["training.passes=1", setting])
    assert reason in str(error.value)


def test_the_outcome_is_checked_as_any_suite(write_suite: Callable[..., Path]) -> None:
    path = str(write_suite())
    suite = load_suite(path, ["optimizer.sam.base.lr=0.5", "training.passes=20", "seeds=1"])
    assert suite.optimizers[1].options["base"].options == {"lr": 0.5}
    assert suite.training["numbers-fr"].passes == 20
    assert suite.seeds == (0,)
    with pytest.raises(SuiteError, match="pases"):
        load_suite(path, ["training.pases=20"])
    with pytest.raises(SuiteError, match="passes"):
        load_suite(path, ["training.passes=many"])


def test_parts_are_left_out(
    write_suite: Callable[..., Path], call: Callable[..., Any], registry: Registry
) -> None:
    path = write_suite()
    suite = replace(load_suite(str(path)), baseline="")
    only = restricted(suite, {"optimizer": ["sam"], "task": []}, registry)
    assert [each.name for each in only.optimizers] == ["sam"]
    assert only.tasks == suite.tasks
    words = ("run", path, "--dry-run")
    said = call(*words, "--optimizer", "adamw", "-o", "optimizer.adamw.lr=0.5").stdout
    assert "tiny: 2 of 2 trials to do" in said
    missing = call(*words, "--model", "encoder", check=2).stderr
    assert "--model encoder: the suite has none; did you mean 'encoder-decoder'?" in missing


def test_a_baseline_that_is_left_out_is_named(registry: Registry) -> None:
    quick = load_suite("quick")
    with pytest.raises(SuiteError, match="the baseline 'adamw' is left out: ask for it too"):
        restricted(quick, {"optimizer": ["sgd"]}, registry)
    restricted(quick, {"optimizer": ["sgd", "adamw"]}, registry)
    restricted(replace(quick, baseline="sgd"), {"optimizer": ["sgd"]}, registry)


def test_what_no_task_or_model_is_left_for_goes_too(registry: Registry) -> None:
    quick = load_suite("quick")
    news = restricted(quick, {"task": ["bbc-news"]}, registry)
    assert [task.name for task in news.tasks] == ["bbc-news"]
    assert [model.name for model in news.models] == ["bag"]
    assert [decoder.name for decoder in news.decoders] == ["argmax"]
    assert {task for each in news.optimizers for task in each.tasks} == {"bbc-news"}
    for only in ({"task": ["bbc-news"]}, {"model": ["bag"]}):
        trials = plan(restricted(quick, only, registry), registry, (), lambda part: "data")
        assert {trial.task.name for trial in trials} == {"bbc-news"}
        assert len([each for each in trials if not each.yardstick]) == 6 * len(quick.seeds)
    whole = {trial.key for trial in plan(quick, registry, (), lambda part: "data")}
    assert {trial.key for trial in trials} < whole, "they are the suite's own trials"
