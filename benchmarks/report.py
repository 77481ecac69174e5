"""How long `msbench report` takes on 10,000 records, how large the page is, and how much memory.

    python benchmarks/report.py

5 tasks, 40 strategies, 50 seeds, and a search of 6 points for each strategy, made up.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from figures import figure, line, save
from synthetic import measure, records, row

from msbench.spec import group_of, key_of

SEEDS, POINTS = 50, 6


def with_searches() -> Iterator[dict[str, Any]]:
    """The made-up records, each strategy's first one with its search behind it."""
    for record in records(SEEDS):
        yield record
        if not record["job"]["seed"]:
            yield from search_of(record)


def search_of(record: Any) -> Iterator[Any]:
    """The search that a trial could be the winner of."""
    for point in range(POINTS):
        trial = deepcopy(record)
        job = trial["job"]
        job["seed"], job["decoders"], trial["results"]["decoding"] = 10_000, [], []
        job["optimizer"]["options"]["lr"] = rate = 1e-4 * 3**point
        search = {"stage": "search", "point": point, "points": POINTS, "edge": []}
        job["tuned"] = {**search, "options": {"lr": rate}}
        trial |= {"key": key_of(job), "group": group_of(job)}
        for each in trial["results"]["training"]["curve"]:
            each["validation_loss"] *= 1 + 0.1 * abs(point - 3)
        yield trial


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        used = measure(with_searches(), Path(folder) / "trials.jsonl", "report", "-o", str(page))
        size = page.stat().st_size / 1e6
    rows = [
        row("report", used, 0, "", "pictures"),
        row("report", used, 1, "under 5 s", "pictures"),
        figure("run", "its page", size, "MB", goal="at most 5", limit="pictures in the page"),
    ]
    print(*map(line, rows), sep="\n")
    save("report", rows)
