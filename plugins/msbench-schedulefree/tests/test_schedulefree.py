"""The plugin as its users have it: found by its entry point, trained by msbench's own loop."""

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from msbench import Choice, Part, Registry, load_plugins, load_suite, run_job
from msbench.builtin.commands.selftest import STEPS, learner, weights_of
from msbench.cli.app import main
from msbench.plan.trials import plan

NAMES = ("schedulefree-adamw", "schedulefree-radam", "schedulefree-sgd")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def trained(registry: Registry, choice: Choice) -> Any:
    return learner(registry.build("optimizer", registry.resolve("optimizer", choice)), warm=STEPS)


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_found_by_its_entry_point(registry: Registry) -> None:
    for name in NAMES:
        entry = registry.find("optimizer", name)
        assert (entry.plugin, entry.steps) == ("msbench-schedulefree", "slow-weights")


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_leaves_no_trace(name: str, registry: Registry) -> None:
    small = trained(registry, Choice(name))
    before = weights_of(small.model)
    small.mode(training=False)
    assert not same(weights_of(small.model), before)
    small.mode(training=True)
    assert same(weights_of(small.model), before)


@pytest.mark.parametrize("name", NAMES)
def test_local_workers_may_use_it(name: str, registry: Registry) -> None:
    small = trained(registry, Choice("local-sgd", {"workers": 2, "base": Choice(name)}))
    before = [[p.clone() for p in worker] for worker in small.optimizer.workers]
    small.mode(training=False)
    small.mode(training=True)
    assert all(map(same, small.optimizer.workers, before))


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_learns(name: str, registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        "seeds = 1\ntraining = { passes = 60, batch_size = 16 }\n"
        'task = [{ name = "numbers-fr", below = 200, examples = 200 }]\n'
        'model = [{ name = "encoder-decoder", width = 16, layers = 1, heads = 2 }]\n'
        f'optimizer = [{{ name = "{name}" }}]\ndecoder = [{{ name = "greedy" }}]\n'
    )

    def fingerprint(part: Part) -> str:
        return str(registry.build("task", part)().fingerprint())

    (trial,) = plan(load_suite(str(path)), registry, (), fingerprint)
    record = run_job(trial)
    assert record.status == "ok", record.reason
    first, *_, last = (point["validation_loss"] for point in record.results["training"]["curve"])
    assert last < first


def test_the_selftest_includes_it() -> None:
    done = CliRunner().invoke(main, ["selftest"])
    assert done.exit_code == 0, done.output
    assert "schedule-free" in done.output
    assert "skipped" not in done.output
