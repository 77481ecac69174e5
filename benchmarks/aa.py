"""The A/A test: one optimizer under two names. How often is it called different from itself?

python benchmarks/aa.py

Trains adamw on BBC news (bag of embeddings, 60 passes) with 100 seeds, and under a second name with
ten of them. On the same seeds every difference must be exactly 0. On different seeds, 1,000 pairs
of disjoint samples of n seeds are compared as `msbench compare` does; "different" is an interval
(95 %) of the paired difference that leaves out 0.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from msbench import Record, load_plugins, load_suite
from msbench.compare.comparison import compare
from msbench.plan.trials import plan
from msbench.run.device import limit_threads
from msbench.run.job import run_job
from msbench.run.processes import processes
from msbench.spec import Part

SUITE = """
seeds = 100
[training]
passes = 60
batch_size = 16
validations = 1
[[task]]
name = "bbc-news"
max_length = 32
[[model]]
name = "bag"
[[optimizer]]
name = "adamw"
label = "one"
lr = 1e-2
[[optimizer]]
name = "adamw"
label = "two"
lr = 1e-2
[[decoder]]
name = "argmax"
"""
SAMPLES, SIZES = 1_000, (3, 5, 10)


def records() -> list[Record]:
    """Of all trials, on all cores."""
    registry = load_plugins()

    def fingerprint(part: Part) -> str:
        return str(registry.build("task", part)().fingerprint())

    with TemporaryDirectory() as folder:
        path = Path(folder) / "aa.toml"
        path.write_text(SUITE)
        trials = plan(load_suite(str(path)), registry, (), fingerprint)
    wanted = [t for t in trials if t.optimizer.label == "one" or t.seed < 10]
    launched = processes()(wanted, run_job, preload=["msbench.builtin.learner", "torch._dynamo"])
    return [each for each in launched if isinstance(each, Record)]


def as_another(record: Record, seed: int, label: str) -> Record:
    """The record as if it were of another seed and another name."""
    optimizer = {**record.job["optimizer"], "label": label}
    job = {**record.job, "seed": seed, "optimizer": optimizer}
    return replace(record, job=job, key=f"{label}{seed}", group=label)


def called_different(ones: list[Record], draw: np.random.Generator, size: int) -> bool:
    """Whether two disjoint samples of one optimizer's seeds are told apart."""
    rows = draw.permutation(len(ones))[: 2 * size]
    pairs = [as_another(ones[row], seed, "one") for seed, row in enumerate(rows[:size])]
    pairs += [as_another(ones[row], seed, "two") for seed, row in enumerate(rows[size:])]
    table = compare(pairs, "one").accuracy
    row = next(r for r in table if r["optimizer"] == "two" and r["metric"] == "accuracy")
    return bool(row["difference_low"] > 0 or row["difference_high"] < 0)


if __name__ == "__main__":
    limit_threads(1)
    every = records()
    assert all(record.status == "ok" for record in every)
    ones = [r for r in every if r.job["optimizer"]["label"] == "one"]
    both = [r for r in every if r.job["seed"] < 10]
    same = [r for r in compare(both, "one").accuracy if r["optimizer"] == "two"]
    print(f"on the same 10 seeds: largest difference {max(abs(r['difference']) for r in same)}")
    for size in SIZES:
        draw = np.random.default_rng(size)
        share = sum(called_different(ones, draw, size) for _ in range(SAMPLES)) / SAMPLES
        print(f"on {size:2} different seeds each: called different in {share:.1%} of {SAMPLES}")
