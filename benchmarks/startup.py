"""How long the command line takes to answer, against importing click alone.

    python benchmarks/startup.py

Whole processes, interleaved, median of 15. `msbench --help` may take 3 times an import of click.
"""

import statistics
import subprocess
import sys
from time import perf_counter

COMMANDS = {
    "import click": ["-c", "import click"],
    "msbench --help": ["-m", "msbench", "--help"],
    "msbench list": ["-m", "msbench", "list"],
    "msbench compare": ["-m", "msbench", "compare", "results/reference/quick"],
}


def main() -> None:
    """Print seconds and the ratio to importing click."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(16):
        for name, words in COMMANDS.items():
            start = perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            times[name].append(perf_counter() - start)
    base = times["import click"][1:]
    for name, taken in times.items():
        ratio = statistics.median(t / b for t, b in zip(taken[1:], base, strict=True))
        print(f"{name:22} {statistics.median(taken[1:]):.3f} s  {ratio:5.2f} x import click")


if __name__ == "__main__":
    main()
