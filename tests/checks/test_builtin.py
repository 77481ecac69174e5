"""What references find of a built-in part, and trials of wrong ones. That all that is built in
passes is what `msbench check` itself says in `make check`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result
from test_zoo import ANIMALS, PATIENT

from msbench.plan.suite import load_suite
from msbench.plan.trials import Fingerprint, plan
from msbench.plugins.loading import load_plugins
from msbench.run.job import run_job


def test_a_reference_of_ones_own(call: Callable[..., Result]) -> None:
    """Another optimizer is told from it; its own factory is not; a wrong name is bad usage."""
    command = ("check", "optimizer:rmsprop", "--only", "equals-its-reference", "--limit", PATIENT)
    other = call(*command, "--reference", "torch.optim:Adagrad", check=1)
    assert "parts from torch.optim:Adagrad in step 1" in " ".join(other.stdout.split())
    own = "msbench.builtin.optimizers.torch_optim:rmsprop"
    assert f"40 steps as {own}" in " ".join(call(*command, "--reference", own).stdout.split())


def test_wrong_parts_harm_nobody_elses_trial(
    call: Callable[..., Result], write_suite: Callable[..., Path], fingerprint: Fingerprint
) -> None:
    wrong = '\n[[optimizer]]\nname = "never-asks"\n\n[[optimizer]]\nname = "climbs"\n'
    changes: dict[str, Any] = {
        "seeds = 2": "seeds = 1",
        "[throughput]\nrounds = 2\nsteps = 2\n": "",
    }
    path = write_suite(bottom=wrong, **changes)
    call("run", path, "--plugin", ANIMALS, check=3)
    lines = Path("results/tiny/trials.jsonl").read_text().splitlines()
    records = {
        record["job"]["optimizer"]["name"]: record
        for record in map(json.loads, lines)
        if "optimizer" in record["job"]
    }
    assert records["never-asks"]["status"] != "ok"
    (alone,) = (
        run_job(trial)
        for trial in plan(load_suite(str(write_suite(**changes))), load_plugins(), (), fingerprint)
        if trial.optimizer.name == "adamw"
    )
    curves = [
        [point["validation_loss"] for point in results["training"]["curve"]]
        for results in (alone.results, records["adamw"]["results"])
    ]
    assert curves[0] == curves[1]
