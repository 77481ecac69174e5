"""How fast the pieces between the steps are, by pytest-benchmark: `make bench`.

Figures of one machine at one moment, to look at and not to quote. Ratios to a peer are in loop.py,
startup.py and workers.py.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from msbench import Record, Split, load_plugins, load_suite, read, training_batches
from msbench.compare import compare
from msbench.plan.trials import plan
from msbench.records import append
from msbench.report import render

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
            seed = {"seed": copy * 1000 + each.job["seed"]} if each.is_trial else {}
            many.append(replace(each, key=f"{each.key}{copy}", job={**each.job, **seed}))
    benchmark(lambda: render(compare(many[:1000]), "json"))
