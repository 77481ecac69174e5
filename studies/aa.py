"""The A/A test: one optimizer under two names. How often is it called different from itself?

    python studies/aa.py

Trains adamw on BBC news (bag of embeddings, 60 passes) with 100 seeds, and under a second name with
ten of them. On the same seeds every difference must be exactly 0. On different seeds, 1,000 pairs
of disjoint samples of n seeds are compared as `msbench compare` does; "different" means that the
95 % interval of the paired difference excludes 0.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from msbench import Record, load_plugins, load_suite, read, run_suite
from msbench.compare import compare
from msbench.run.device import limit_threads

SUITE = """
seeds = 100
throughput = { rounds = 0 }
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
SAMPLES, SIZES, SHARED = 1_000, (3, 5, 10), 10


def train_all() -> tuple[Record, ...]:
    """Records of 100 seeds of "one", and of the first SHARED of them of "two", on all cores."""
    registry = load_plugins()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "aa.toml"
        path.write_text(SUITE)
        suite = load_suite(str(path))
        for part in (
            replace(suite, optimizers=suite.optimizers[:1]),
            replace(suite, seeds=suite.seeds[:SHARED]),
        ):
            for _ in run_suite(part, registry, Path(folder)):
                pass
        return read(Path(folder)).records


def relabelled(record: Record, seed: int, label: str) -> Record:
    """The record as if it came from another seed and another optimizer."""
    optimizer = {**record.job["optimizer"], "label": label}
    job = {**record.job, "seed": seed, "optimizer": optimizer}
    return replace(record, job=job, key=f"{label}{seed}", group=label)


def called_different(ones: list[Record], draw: np.random.Generator, size: int) -> bool:
    """Whether `compare` tells two disjoint samples of one optimizer's seeds apart."""
    rows = draw.permutation(len(ones))[: 2 * size]
    pairs = [relabelled(ones[row], seed, "one") for seed, row in enumerate(rows[:size])]
    pairs += [relabelled(ones[row], seed, "two") for seed, row in enumerate(rows[size:])]
    table = compare(pairs, "one").accuracy
    row = next(r for r in table if r["optimizer"] == "two" and r["metric"] == "accuracy")
    return bool(row["difference_low"] > 0 or row["difference_high"] < 0)


if __name__ == "__main__":
    limit_threads(1)
    records = train_all()
    assert all(record.status == "ok" for record in records)
    ones = [r for r in records if r.job["optimizer"]["label"] == "one"]
    both = [r for r in records if r.job["seed"] < SHARED]
    same = [r for r in compare(both, "one").accuracy if r["optimizer"] == "two"]
    largest = max(abs(r["difference"]) for r in same)
    print(f"on the same {SHARED} seeds: largest difference {largest}")
    for size in SIZES:
        draw = np.random.default_rng(size)
        share = sum(called_different(ones, draw, size) for _ in range(SAMPLES)) / SAMPLES
        print(f"on {size:2} different seeds each: called different in {share:.1%} of {SAMPLES}")
