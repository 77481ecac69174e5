"""The plugin as its users have it: found by its entry point, trained by msbench's own loop."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from msbench import Choice, Registry, load_plugins, load_suite, run_job
from msbench.builtin.commands.selftest import STEPS, learner, weights_of
from msbench.cli.app import main
from msbench.plan.trials import plan
from msbench.spec import Part

NAMES = ("schedulefree-adamw", "schedulefree-radam", "schedulefree-sgd")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def test_found_by_its_entry_point(registry: Registry) -> None:
    for name in NAMES:
        entry = registry.find("optimizer", name)
        assert (entry.plugin, entry.steps) == ("msbench-schedulefree", "slow-weights")


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_leaves_no_trace(name: str, registry: Registry) -> None:
    made = learner(
        registry.build("optimizer", registry.resolve("optimizer", Choice(name))), warm=STEPS
    )
    before = weights_of(made)
    made.mode(training=False)
    middle = weights_of(made)
    made.mode(training=True)
    assert any(not torch.equal(a, b) for a, b in zip(before, middle, strict=True))
    for a, b in zip(before, weights_of(made), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_local_workers_may_use_it(name: str, registry: Registry) -> None:
    chosen = Choice("local-sgd", {"workers": 2, "base": Choice(name)})
    made = learner(registry.build("optimizer", registry.resolve("optimizer", chosen)), warm=STEPS)
    before = [p.clone() for worker in made.optimizer.workers for p in worker]  # type: ignore[attr-defined]
    made.mode(training=False)
    made.mode(training=True)
    after = [p for worker in made.optimizer.workers for p in worker]  # type: ignore[attr-defined]
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_learns(name: str, registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        "seeds = 1\n[training]\npasses = 60\nbatch_size = 16\n"
        '[[task]]\nname = "numbers-fr"\nbelow = 200\nexamples = 200\n'
        '[[model]]\nname = "encoder-decoder"\nwidth = 16\nlayers = 1\nheads = 2\n'
        f'[[optimizer]]\nname = "{name}"\n[[decoder]]\nname = "greedy"\n'
    )

    def fingerprint(part: Part) -> str:
        return str(registry.build("task", part)().fingerprint())

    (trial,) = plan(load_suite(str(path)), registry, (), fingerprint)
    record = run_job(trial)
    assert record.status == "ok", record.reason
    first, *_, last = (point["validation_loss"] for point in record.results["training"]["curve"])
    assert last < first


def test_the_selftest_includes_it() -> None:
    said = CliRunner().invoke(main, ["selftest"])
    assert said.exit_code == 0, said.output
    assert "schedule-free" in said.output
    assert "skipped" not in said.output
