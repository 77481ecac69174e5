"""Records that are complete but made up, and what a command takes to read them."""

import json
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from figures import Figure, figure
from rounds import timed

from msbench import read
from msbench.records.checksum import sealed
from msbench.spec import group_of, key_of

REFERENCE = Path(__file__).parent.parent / "results/reference/quick"
TASKS, STRATEGIES = 5, 40


def records(seeds: int) -> Iterator[dict[str, Any]]:
    """Of TASKS, STRATEGIES and seeds, as a suite would leave them; without scores per example."""
    real = next(r for r in read(REFERENCE).records if r.is_trial)
    template = json.loads(real.to_json())
    for decoded in template["results"]["decoding"]:
        decoded["examples"] = {}
        decoded |= {"steps": 96.0, "positions": 4096.0, "first_token_seconds": 0.01}
        decoded |= {"length_ratio": 0.98, "log_probability": -3.25, "empty": 0.0}
    template["results"]["losses"] = {"train": 0.9, "test": 1.1}
    draw = random.Random(0)
    for seed in range(seeds):
        for strategy in range(STRATEGIES):
            for task in range(TASKS):
                yield _variant(template, task, strategy, seed, draw)


def _variant(template: Any, task: int, strategy: int, seed: int, draw: random.Random) -> Any:
    """The template with other names and other measured numbers."""
    record = deepcopy(template)
    job, results = record["job"], record["results"]
    job["task"]["label"], job["optimizer"]["label"] = f"task {task}", f"strategy {strategy:02}"
    job["seed"] = seed
    record |= {"key": key_of(job), "group": group_of(job)}
    skill = strategy / STRATEGIES + draw.gauss(0, 0.5)
    for point in results["training"]["curve"]:
        point["validation_loss"] *= 1 - 0.1 * skill
        point["seconds"] *= draw.uniform(0.9, 1.1)
    for decoded in results["decoding"]:
        decoded["metrics"] = {k: v * (1 + 0.1 * skill) for k, v in decoded["metrics"].items()}
    return record


class Used(NamedTuple):
    """What a command took."""

    records: int
    megabytes: float
    """Of the records' file."""
    seconds: list[float]
    """The first time, which has no cache, and the second."""
    gigabytes: float
    """The most memory of both."""


def measure(made: Iterator[dict[str, Any]], file: Path, *command: str) -> Used:
    """Write the records to a file, run the command on it twice, and say what that took."""
    count = 0
    with file.open("w") as out:
        for record in made:
            record.pop("checksum", None)
            out.write(sealed(json.dumps(record).encode()).decode() + "\n")
            count += 1
    words = [sys.executable, "-m", "msbench", command[0], str(file), *command[1:]]
    run = timed(lambda: subprocess.run(words, check=True, capture_output=True))
    seconds = [run(), run()]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Used(count, file.stat().st_size / 1e6, seconds, used.ru_maxrss / 1e6)


def row(command: str, used: Used, which: int, goal: str, limit: str) -> Figure:
    """The command's seconds the first or the second time."""
    when = ("the first time", "the second time")[which]
    name = f"msbench {command}, {used.records:,} records ({used.megabytes:.0f} MB), {when}"
    return figure("run", name, used.seconds[which], "s", goal=goal, limit=limit)
