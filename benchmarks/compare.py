"""How long `msbench compare` takes on 100,000 records, and how much memory: a fresh process.

    python benchmarks/compare.py [--keep FILE]

Records are complete but made up: 5 tasks, 40 strategies, 500 seeds, without scores per example. At
most 5 seconds and 1.5 GB are wanted.
"""

import json
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from msbench.records.store import read
from msbench.spec import digest

REFERENCE = Path(__file__).parent.parent / "results/reference/quick"
TASKS, STRATEGIES, SEEDS = 5, 40, 500


def lines() -> Iterator[str]:
    """Every record's line, in the order in which a suite would leave them."""
    real = next(r for r in read(REFERENCE).records if r.is_trial)
    template = json.loads(real.to_json())
    for decoded in template["results"]["decoding"]:
        decoded["examples"] = {}
        decoded |= {"steps": 96.0, "positions": 4096.0, "first_token_seconds": 0.01}
        decoded |= {"length_ratio": 0.98, "log_probability": -3.25, "empty": 0.0}
    template["results"]["losses"] = {"train": 0.9, "test": 1.1}
    draw = random.Random(0)
    for seed in range(SEEDS):
        for strategy in range(STRATEGIES):
            for task in range(TASKS):
                yield json.dumps(one(template, task, strategy, seed, draw))


def one(template: Any, task: int, strategy: int, seed: int, draw: random.Random) -> Any:
    """A record that differs from the template in names and in every number that is measured."""
    made = deepcopy(template)
    job, results = made["job"], made["results"]
    job["task"]["label"], job["optimizer"]["label"] = f"task {task}", f"strategy {strategy:02}"
    made["group"] = digest([task, strategy])
    made["key"], job["seed"] = digest([task, strategy, seed]), seed
    skill = strategy / STRATEGIES + draw.gauss(0, 0.5)
    for point in results["training"]["curve"]:
        point["validation_loss"] *= 1 - 0.1 * skill
        point["seconds"] *= draw.uniform(0.9, 1.1)
    for decoded in results["decoding"]:
        decoded["metrics"] = {k: v * (1 + 0.1 * skill) for k, v in decoded["metrics"].items()}
    return made


def main(file: Path) -> None:
    """Write the records, compare them, and say what it took."""
    with file.open("w") as out:
        out.writelines(line + "\n" for line in lines())
    start = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "msbench", "compare", str(file)], check=True, capture_output=True
    )
    seconds = perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory, processor = used.ru_maxrss * 1024, used.ru_utime + used.ru_stime
    records, size = TASKS * STRATEGIES * SEEDS, file.stat().st_size
    print(
        f"{records:,} records, {size / 1e6:.0f} MB: {seconds:.1f} s, "
        f"{processor:.1f} s of processor, {memory / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--keep"]:
        main(Path(sys.argv[2]))
    else:
        with TemporaryDirectory() as folder:
            main(Path(folder) / "trials.jsonl")
