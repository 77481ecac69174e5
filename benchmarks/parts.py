"""How fast the pieces between the steps are, by pytest-benchmark: `make bench`.

For looking at, not for claims: figures of one machine at one moment. Ratios against a peer are in
loop.py, startup.py and workers.py.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from msbench.compare.comparison import compare
from msbench.data.batches import training_batches
from msbench.data.task import Split
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.loading import load_plugins
from msbench.records.record import Record
from msbench.records.store import append, read
from msbench.report.render import render

Benchmark = Callable[..., Any]
REFERENCE = Path(__file__).parent.parent / "results" / "reference" / "quick"


def test_drawing_a_batch(benchmark: Benchmark) -> None:
    draw = np.random.default_rng(0)
    source = draw.integers(4, 1000, (5000, 32))
    batches = training_batches(Split(source, source[:, 0], source[:, 0].tolist()), 32, draw)
    benchmark(next, batches)


def test_loading_plugins(benchmark: Benchmark) -> None:
    benchmark(load_plugins)


def test_planning(benchmark: Benchmark) -> None:
    suite, registry = load_suite("quick"), load_plugins()
    benchmark(plan, suite, registry, (), lambda part: "data")


def test_appending_a_record(benchmark: Benchmark, tmp_path: Path) -> None:
    (record, *_) = read(REFERENCE).records
    benchmark(append, tmp_path, record)


def test_comparing_a_thousand_records(benchmark: Benchmark) -> None:
    stored = read(REFERENCE).records
    many: list[Record] = []
    for copy in range(1000 // len(stored) + 1):
        for each in stored:
            job = (
                {**each.job, "seed": copy * 1000 + each.job["seed"]} if each.is_trial else each.job
            )
            many.append(replace(each, key=f"{each.key}{copy}", job=job))
    benchmark(lambda: render(compare(many[:1000]), "json"))
