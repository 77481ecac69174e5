"""What a whole training step costs under each optimizer, against AdamW, on 4 M parameters.

    python benchmarks/overhead.py [--rounds 7] [--all]

An encoder-decoder (width 256, 2 + 2 layers), batches of 16 short texts, one thread. In every round
each optimizer takes 5 steps, in random order; the ratio to AdamW is formed within the round, and
its mean over rounds is printed, with the 95 % interval. Beside it, the
optimizer's own part: such steps with a closure that leaves the gradients as they are. Run it alone.
Those with a limit are written to results/performance/overhead.json. `--all`: also optimizers that
are not wrapped around AdamW; torch's Muon computes in bfloat16, which takes seconds on processors
without it. `--every`: all built-in optimizers, and what docs/optimizers.md shows of them goes to
results/reference/optimizer-costs.json; `--every --rounds 0` renews the bytes of their state alone.
"""

import argparse
import json
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np
import torch
from figures import Figure, compared, save
from rounds import Timed, interleaved, ratio_interval, timed
from tabulate import tabulate

from msbench import Batch, Choice, Registry, Task, load_plugins, training_batches
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.tasks.numbers import numbers_fr

STEPS, SIZE = 5, 16
LIMITS = {"lookahead": 1.10, "ema": 1.10, "sam": 2.15}
"""The highest ratios to AdamW that are wanted."""

COSTS = Path(__file__).parents[1] / "results/reference/optimizer-costs.json"

AROUND_ADAMW = ("lookahead", "ema", "swa", "sam", "extragradient", "diloco")
OTHERS = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "nadam", "adafactor", "muon")


def choice_of(registry: Registry, name: str) -> Choice:
    """An optimizer, around AdamW if it needs a base."""
    has_base = "base" in registry.find("optimizer", name).options()
    return Choice(name, {"base": Choice("adamw")} if has_base else {})


def make_learner(registry: Registry, task: Task, name: str) -> TorchLearner:
    """Of the model of 4 M parameters."""
    part = registry.resolve("optimizer", choice_of(registry, name))
    learner = TorchLearner(
        task,
        model=partial(EncoderDecoder, width=256, layers=2, dropout=0.0),
        loss=cross_entropy,
        optimizer=registry.build("optimizer", part),
        seed=0,
    )
    learner.mode(training=True)
    return learner


def whole_steps(learner: TorchLearner, batches: list[Batch]) -> Timed:
    return timed(lambda: [learner.train_step(batch) for batch in batches])


def optimizer_alone(learner: TorchLearner, batches: list[Batch]) -> Timed:
    step = partial(learner.optimizer.step, lambda *shard, **options: torch.zeros(()))
    return timed(lambda: [step() for _ in batches])


def row(name: str, whole: list[float], alone: list[float], base: list[float]) -> list[str]:
    ratio, low, high = ratio_interval(whole, base)
    verdict = ""
    if name in LIMITS:
        verdict = f"{'ok' if ratio <= LIMITS[name] else 'OVER'}, at most {LIMITS[name]:.2f}"
    step, own = (f"{median(each) / STEPS * 1e3:.1f} ms" for each in (whole, alone))
    return [name, step, own, f"{ratio:.3f}", f"{low:.2f} to {high:.2f}", verdict]


def limited(name: str, whole: list[float], base: list[float]) -> Figure:
    """Of an optimizer around AdamW."""
    mine, other = ([STEPS / each for each in seconds] for seconds in (whole, base))
    return compared(
        "training",
        f"{name} around adamw, 4 M weights, batch 16",
        mine,
        "adamw",
        other,
        "steps/s",
        goal=f"at least {1 / LIMITS[name]:.2f}",
        limit="two passes a step" if name == "sam" else "a copy of the weights",
    )


def save_costs(registry: Registry, ratios: dict[str, float]) -> None:
    """Bytes of state per weight of every built-in optimizer, and ratios of step times to AdamW's;
    those that were not measured now stay."""
    costs: dict[str, Any] = json.loads(COSTS.read_text()) if COSTS.exists() else {}
    for name in built_in(registry):
        part = registry.resolve("optimizer", choice_of(registry, name))
        held = TorchLearner.state_bytes(registry.build("optimizer", part))
        costs.setdefault(name, {})["state_bytes"] = round(held, 2)
        if name in ratios:
            costs[name]["step_over_adamw"] = round(ratios[name], 2)
    COSTS.write_text(json.dumps(costs, indent=1, sort_keys=True) + "\n")


def built_in(registry: Registry) -> list[str]:
    """Names of msbench's own optimizers of torch, AdamW first."""
    own = [each for each in registry.of("optimizer") if each.plugin == "msbench"]
    names = [each.name for each in own if each.learner == "torch"]
    return sorted(names, key=lambda name: (name != "adamw", name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--every", action="store_true")
    asked = parser.parse_args()
    registry = load_plugins()
    if asked.every and not asked.rounds:
        save_costs(registry, {})
        raise SystemExit
    task = numbers_fr()
    names = ["adamw", *AROUND_ADAMW, *OTHERS * asked.all]
    names = built_in(registry) if asked.every else names
    learners = {name: make_learner(registry, task, name) for name in names}
    drawn = training_batches(task.train, SIZE, np.random.default_rng(0))
    batches = [next(drawn) for _ in range(STEPS)]  # the same for all
    print(f"{learners['adamw'].parameters() / 1e6:.2f} M parameters", flush=True)
    whole, alone = (
        interleaved({name: measure(each, batches) for name, each in learners.items()}, asked.rounds)
        for measure in (whole_steps, optimizer_alone)
    )
    rows = [row(name, whole[name], alone[name], whole["adamw"]) for name in names]
    headers = ["optimizer", "step", "optimizer alone", "against adamw", "95 % interval", ""]
    print(tabulate(rows, headers, disable_numparse=True))
    save("overhead", [limited(name, whole[name], whole["adamw"]) for name in LIMITS])
    if asked.every:
        pairs = {name: zip(whole[name], whole["adamw"], strict=True) for name in names}
        save_costs(registry, {n: geometric_mean(a / b for a, b in p) for n, p in pairs.items()})
