"""How long `msbench compare` takes on 100,000 records, and how much memory: fresh processes.

    python benchmarks/compare.py [--keep FILE]

5 tasks, 40 strategies, 500 seeds, made up. The second time its columns are in a cache.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import figure, line, save
from synthetic import measure, records, row

SEEDS = 500

if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        keep = sys.argv[1:2] == ["--keep"]
        file = Path(sys.argv[2]) if keep else Path(folder) / "trials.jsonl"
        used = measure(records(SEEDS), file, "compare")
    memory = figure("run", "its memory", used.gigabytes, "GB", goal="at most 1.5")
    rows = [
        row("compare", used, 0, "under 5 s", "reading JSON and checking every record"),
        row("compare", used, 1, "under 2 s", "statistics and tables"),
        memory,
    ]
    print(*map(line, rows), sep="\n")
    save("compare", rows)
