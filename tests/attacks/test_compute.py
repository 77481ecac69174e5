"""Numbers that strategies are compared by: operations counted, memory at the peak."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch.utils.flop_counter import FlopCounterMode

from msbench.builtin.operations import FUSED
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.run.phases import train_phases
from msbench.run.trial import build_task, make_learner
from msbench.spec import Trial

Write = Callable[..., Path]

ALL = """
[[optimizer]]
name = "muon"

[[optimizer]]
name = "adafactor"

[[optimizer]]
name = "sgd"
lr = 0.1

[[optimizer]]
name = "lookahead"
base = { name = "adamw" }

[[optimizer]]
name = "ema"
base = { name = "muon" }

[[optimizer]]
name = "extragradient"
base = { name = "adamw" }

[[optimizer]]
name = "diloco"
base = { name = "muon" }

[[loss]]
name = "cross-entropy"

[[loss]]
name = "r-drop"

[[loss]]
name = "minimum-risk"
samples = 3
"""

PHASES = """
[[phase]]
passes = 6
loss = { name = "cross-entropy" }
optimizer = { name = "adamw" }

[[phase]]
"""


@pytest.fixture(scope="module")
def strategies(
    tmp_path_factory: pytest.TempPathFactory,
    write_tiny: Write,
    registry: Registry,
    fingerprint: Any,
) -> list[Trial]:
    """Every pair of an optimizer and a loss, in one phase and in two, in parts or not."""
    found: list[Trial] = []
    for training, phases in (("", ""), ("accumulate = 3\n", PHASES)):
        pieces = {
            "[throughput]": ALL + phases + "[throughput]",
            "passes = 12\n": f"passes = 12\n{training}",
        }
        suite = load_suite(str(write_tiny(tmp_path_factory.mktemp("planned"), **pieces)))
        found += plan(suite, registry, (), fingerprint)
    return found


def operations(trial: Trial, registry: Registry, by_torch: bool) -> tuple[float, list[Any]]:
    """(of the whole training, its curve); by one counter of torch around every step, or as in any
    trial."""
    task = build_task(trial, registry)
    learner = make_learner(trial, task, registry)
    step, total = learner.train_step, 0

    def counted(batch: Any, aside: Any = None) -> Any:
        nonlocal total
        with FlopCounterMode(display=False, custom_mapping=FUSED) as counter:
            done = step(batch)
        total += counter.get_total_flops()
        return done

    learner.peak_memory = lambda batch: 0  # type: ignore[method-assign]  # it would count, too
    if by_torch:
        learner.train_step = counted  # type: ignore[method-assign]
    run, cost = train_phases(learner, trial, task, registry)
    curve = [replace(point, seconds=0) for point in run.curve]
    return (total if by_torch else cost.flops), curve


@pytest.mark.attack("N11", "FLOPs against one counter over the whole training")
def test_flops_are_those_of_one_counter(
    attack: Any, strategies: list[Trial], registry: Registry
) -> None:
    drawn = attack.generator().sample(strategies, attack.times(1, len(strategies)))
    for trial in drawn:
        words = f"{trial.loss.name} {trial.optimizer.name} seed {trial.seed}"
        with attack.case(words):
            expected, twin = operations(trial, registry, by_torch=True)
            counted, curve = operations(trial, registry, by_torch=False)
            assert counted == expected > 0, f"{counted} counted, {expected} by torch"
            assert curve == twin, "counting changed what was trained"
    attack.notes = "the same integer and the same curve, bit by bit"


@pytest.mark.attack("N16", "peak memory of equal work: five seeds of one strategy within 5 %")
def test_peak_memory_of_equal_work_is_equal(
    attack: Any, strategies: list[Trial], registry: Registry
) -> None:
    # Minimum risk draws outputs of its own in each seed: that is other work.
    plain = [t for t in strategies if t.seed == 0 and not t.phases]
    equal = [t for t in plain if t.loss.name != "minimum-risk"]
    widest = 0.0
    for trial in attack.generator().sample(equal, attack.times(1, len(equal))):
        with attack.case(f"{trial.loss.name} {trial.optimizer.name}"):
            peaks = []
            for seed in range(attack.times(2, 5)):
                one = replace(trial, seed=seed)
                task = build_task(one, registry)
                _, cost = train_phases(make_learner(one, task, registry), one, task, registry)
                peaks.append(cost.peak_memory)
            widest = max(widest, max(peaks) / min(peaks) - 1)
            assert max(peaks) <= 1.05 * min(peaks), peaks
    attack.notes = f"seeds differ by {widest:.1%} at most"
