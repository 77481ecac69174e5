"""What a run costs beyond its trials: thousands that do nothing, and a suite with nothing to do.

    python benchmarks/whole_run.py [--trials N]

The trials are those of tests/attacks/idle.py, which import no framework and take two steps that do
nothing; `run_suite` launches them as it does any. Printed: trials a second; the driver's memory at
a tenth of the trials and at the last, and what it grew by for each; the seconds of a plan with
100,000 trials; and those of whole processes of `msbench run` with everything done, and of
`msbench run quick --dry-run`, both after a first one (median of 5). What launching costs beside the
trials' own seconds is in workers.py.
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import psutil
from figures import Figure, figure, line, save
from rounds import timed

from msbench import Suite, load_plugins, load_suite
from msbench.api.calling import as_a_program
from msbench.plan.trials import expected
from msbench.run.driver import fingerprint_of, run_suite
from msbench.run.events import Finished

ROOT = Path(__file__).parents[1]
IDLE = str(ROOT / "tests/attacks/idle.py")
SUITE = """
training = { passes = 2, batch_size = 20, validations = 1 }
throughput = { rounds = 0 }
task = [{ name = "dots" }]
model = [{ name = "line" }]
loss = [{ name = "none" }]
optimizer = [OPTIMIZERS]
decoder = [{ name = "guess" }]
"""
STRATEGIES = 20


def idle_suite(folder: Path, trials: int) -> Suite:
    """A suite of so many trials, of 20 strategies."""
    file = folder / "idle.toml"
    choices = [f'{{ name = "wait", lr = {0.01 * n:.2f} }}' for n in range(1, STRATEGIES + 1)]
    file.write_text(SUITE.replace("OPTIMIZERS", ", ".join(choices)))
    return replace(load_suite(str(file)), seeds=tuple(range(trials // STRATEGIES)))


def run_idle(folder: Path, trials: int) -> dict[str, float]:
    """Figures of a run of idle trials."""
    registry, suite = load_plugins([IDLE]), idle_suite(folder, trials)
    memory = partial(lambda process: process.memory_info().rss / 1e6, psutil.Process())
    own, done, early = 0.0, 0, 0.0
    start = perf_counter()
    with as_a_program():  # or each worker would import this script
        for event in run_suite(suite, registry, folder / "results"):
            if isinstance(event, Finished):
                own, done = own + event.record.seconds, done + 1
                early = memory() if done == trials // 10 else early
    wall = perf_counter() - start
    late = memory()
    return {
        "trials": done,
        "trials a second": done / wall,
        "milliseconds of a trial's own": own / done * 1e3,
        "memory at a tenth, MB": early,
        "memory at the end, MB": late,
        "kB for each trial": (late - early) / (0.9 * done) * 1e3,
    }


def plan_seconds(folder: Path, trials: int) -> float:
    """Of a plan, once what its choices become is known."""
    registry, suite = load_plugins([IDLE]), idle_suite(folder, trials)
    fingerprint = partial(fingerprint_of, registry, fetch=None)
    expected(replace(suite, seeds=(0,)), registry, (), fingerprint)
    return timed(lambda: expected(suite, registry, (), fingerprint))()


def answer_seconds(*words: str) -> float:
    """Of a whole process of msbench."""
    command = [sys.executable, "-m", "msbench", *words]
    run = partial(subprocess.run, command, check=True, capture_output=True)
    run()
    return median(timed(run)() for _ in range(5))


def rows(folder: Path, trials: int) -> list[Figure]:
    """All figures."""
    run = run_idle(folder, trials)
    per_trial = run["kB for each trial"]
    tenth, last = run["memory at a tenth, MB"], run["memory at the end, MB"]
    file, results = str(folder / "idle.toml"), str(folder / "out")
    words = ["run", file, "--plugin", IDLE, "--out", results, "--seeds", "3"]
    nothing = answer_seconds(*words)
    dry = answer_seconds("run", "quick", "--dry-run", "--out", results)
    own = run["milliseconds of a trial's own"]
    forks = f"{own:.0f} ms of its own, and two forks"
    return [
        figure("run", f"{trials:,} trials that do nothing", run["trials a second"], "trials/s",
               goal="at least 60", limit=forks),
        figure("run", f"memory of the driver, {tenth:.0f} MB at a tenth, {last:.0f} MB at the end",
               per_trial, "kB/trial", goal="flat", limit="records, until the tables are printed"),
        figure("run", "planning 100,000 trials", plan_seconds(folder, 100_000), "s",
               goal="under 5 s", limit="their keys"),
        figure("run", "msbench run with nothing to do", nothing, "s", goal="under 1.5 s",
               limit="imports"),
        figure("run", "msbench run quick --dry-run, the second time", dry, "s",
               goal="under 1.5 s", limit="imports"),
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        found = rows(Path(name), asked.trials)
    print(*map(line, found), sep="\n")
    save("whole_run", found)
