"""How long `msbench compare` takes on 100,000 records, and how much memory: a fresh process.

    python benchmarks/compare.py [--keep FILE]

5 tasks, 40 strategies, 500 seeds, made up. At most 5 seconds and 1.5 GB are wanted.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from synthetic import measure, records

SEEDS = 500

if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        keep = sys.argv[1:2] == ["--keep"]
        file = Path(sys.argv[2]) if keep else Path(folder) / "trials.jsonl"
        print(measure(records(SEEDS), file, "compare"))
