"""Trials of about 20 seconds on Ray against msbench's own launcher, on one machine.

    python benchmarks/launchers.py [--trials 8] [--rounds 3]       (with msbench-ray installed)

The two take turns, with the same trials and as many at once, one for each core. A cluster of Ray is
begun anew for every launch; what comes before its first trial is told apart. Run it alone.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from time import perf_counter
from typing import Any

from figures import compared, figure, line, save
from msbench_ray.launcher import on_ray
from workers import PRELOAD, make_trials

from msbench import Record, Trial, run_job
from msbench.run.device import limit_threads
from msbench.run.processes import processes

PASSES = 600
"""About 20 seconds of training."""

Launch = Callable[..., Iterator[Any]]


def launched(launch: Launch, trials: Sequence[Trial]) -> tuple[float, float, float]:
    """(seconds before the first trial began to work, seconds from then on, the trials' own)."""
    start, records, begun = perf_counter(), [], 0.0
    for event in launch(trials, run_job, limit=600.0, preload=PRELOAD):
        if isinstance(event, Record):
            begun = begun or perf_counter() - event.seconds
            records.append(event)
    assert all(record.status == "ok" for record in records)
    assert len(records) == len(trials)
    return begun - start, perf_counter() - begun, sum(record.seconds for record in records)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    limit_threads(1)
    trials = make_trials(PASSES, asked.trials)
    mine, theirs, begins, own = [], [], [], []
    for _ in range(asked.rounds):
        _, wall, seconds = launched(processes(0), trials)
        theirs.append(len(trials) / wall)
        begin, wall, others = launched(on_ray(dashboard=False), trials)
        mine.append(len(trials) / wall)
        begins.append(begin)
        own += [seconds / len(trials), others / len(trials)]
        here = len(trials) / theirs[-1]
        print(
            f"{here:.1f} s here and {wall:.1f} s on Ray; of a trial {own[-2]:.1f} and {own[-1]:.1f}"
        )
    name = f"{len(trials)} trials of {median(own):.0f} s on Ray, from the first on"
    rows = [
        compared("run", name, mine, "msbench's own launcher", theirs, "trials/s",
                 goal="at least 0.95"),
        figure("run", "a cluster of Ray on this machine, until its first trial", median(begins),
               "s"),
    ]  # fmt: skip
    print(*map(line, rows), sep="\n")
    save("launchers", rows)
