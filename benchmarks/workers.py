"""What launching costs: over a trial's own work, and two workers against one.

    python benchmarks/workers.py

Equal trials: one strategy, many seeds. The cost of a start is the wall clock of the launch beyond
the server's own start, minus the seconds that the trials themselves counted, per trial.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter

from figures import figure, line, save

from msbench import Record, Trial, load_plugins, load_suite, run_job
from msbench.api.calling import as_a_program
from msbench.plan.trials import plan
from msbench.run.driver import fingerprint_of
from msbench.run.processes import processes

PRELOAD = ["msbench.builtin.tasks.numbers", "msbench.builtin.learner", "torch._dynamo"]
ROUNDS, TASK = 3, "numbers-fr"
SHORT, LONG = 8, 12
"""Trials of one pass, and of 40."""


def make_trials(passes: int, count: int) -> list[Trial]:
    """One strategy on the number words of the quick suite."""
    suite, registry = load_suite("quick"), load_plugins()
    suite = replace(
        suite,
        tasks=tuple(t for t in suite.tasks if t.name == TASK),
        models=tuple(m for m in suite.models if m.tasks == (TASK,)),
        optimizers=tuple(o for o in suite.optimizers if o.name == "adamw" and o.tasks == (TASK,)),
        yardsticks=(),
        decoders=tuple(d for d in suite.decoders if d.name == "greedy"),
        training={TASK: replace(suite.training[TASK], passes=passes)},
        seeds=tuple(range(count)),
    )
    return plan(suite, registry, (), lambda part: fingerprint_of(registry, part, fetch=None))


def launch(trials: Sequence[Trial], workers: int) -> tuple[float, float]:
    """(wall clock, sum of what the trials counted themselves)."""
    start = perf_counter()
    with as_a_program():  # or each worker would import this script
        launched = processes(workers)(trials, run_job, preload=PRELOAD)
        records = [each for each in launched if isinstance(each, Record)]
    assert all(record.status == "ok" for record in records)
    return perf_counter() - start, sum(record.seconds for record in records)


if __name__ == "__main__":
    short, long = make_trials(1, SHORT), make_trials(40, LONG)
    launch(short, 1)  # starts the server
    costs, ratios, own, beyond = [], [], [], []
    for _ in range(ROUNDS):
        wall, counted = launch(short, 1)
        costs.append((wall - counted) / len(short))
        one, two = launch(long, 1), launch(long, 2)
        ratios.append(one[0] / two[0])
        own.append(two[1] / one[1])
        beyond.append(2 * two[0] / two[1])
    rows = [
        figure("run", "start of a trial beyond its own work", 1e3 * median(costs), "ms",
               limit="a fork, and what it touches"),
        figure("run", f"{LONG} equal trials, 1 worker to 2 workers", median(ratios), "x",
               goal="2", limit="cores that share caches and memory"),
        figure("run", "wall clock x 2 workers, to the trials' own seconds", median(beyond), "x",
               goal="at most 1.10", limit="the last trial, alone"),
        figure("run", "a trial's own seconds beside another, to alone", median(own), "x",
               limit="cores that share caches and memory"),
    ]  # fmt: skip
    print(*map(line, rows), sep="\n")
    save("workers", rows)
