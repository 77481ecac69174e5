"""How long `msbench report` takes on 10,000 records, how large the page is, and how much memory.

    python benchmarks/report.py

Records are complete but made up, as those of benchmarks/compare.py: 5 tasks, 40 strategies, 50
seeds, and a search of 6 points each beside them. At most 20 seconds and 5 MB are wanted.
"""

import json
import resource
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import compare

from msbench.spec import digest

compare.SEEDS, POINTS = 50, 6


def searched(record: Any) -> list[Any]:
    """The search that a strategy's first trial could be the winner of."""
    trials = []
    for point in range(POINTS):
        made = deepcopy(record)
        job = made["job"]
        job["seed"], job["decoders"], made["results"]["decoding"] = 10_000, [], []
        job["optimizer"]["options"]["lr"] = options = 1e-4 * 3**point
        tuned = {"stage": "search", "point": point, "points": POINTS, "edge": []}
        job["tuned"] = {**tuned, "options": {"lr": options}}
        made["group"] = made["key"] = digest([record["key"], point])
        for each in made["results"]["training"]["curve"]:
            each["validation_loss"] *= 1 + 0.1 * abs(point - 3)
        trials.append(made)
    return trials


def main(folder: Path) -> None:
    """Write the records, make their page, and say what it took."""
    records = folder / "trials.jsonl"
    count = 0
    with records.open("w") as out:
        for number, line in enumerate(compare.lines()):
            first = number < compare.TASKS * compare.STRATEGIES
            trials = searched(json.loads(line)) if first else []
            for each in (line, *map(json.dumps, trials)):
                out.write(each + "\n")
                count += 1
    page = folder / "report.html"
    start = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "msbench", "report", str(records), "-o", str(page)], check=True
    )
    seconds = perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(
        f"{count:,} records, {records.stat().st_size / 1e6:.0f} MB: {seconds:.1f} s, a page of "
        f"{page.stat().st_size / 1e6:.2f} MB, {memory / 1e9:.2f} GB of memory"
    )


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        main(Path(name))
