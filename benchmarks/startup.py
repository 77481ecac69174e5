"""How long the command line takes to answer, against importing click alone.

    python benchmarks/startup.py

Whole processes, interleaved, median of 15. `msbench --help` may take 2.5 times an import of click,
and `msbench compare` 0.6 s.
"""

import subprocess
import sys
from functools import partial
from statistics import median

from rounds import interleaved, ratios, timed

COMMANDS = {
    "import click": ["-c", "import click"],
    "msbench --help": ["-m", "msbench", "--help"],
    "msbench list": ["-m", "msbench", "list"],
    "msbench compare": ["-m", "msbench", "compare", "results/reference/quick"],
}


def run(words: list[str]) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


if __name__ == "__main__":
    seconds = interleaved({n: timed(partial(run, words)) for n, words in COMMANDS.items()}, 15)
    for name, taken in seconds.items():
        ratio = median(ratios(taken, seconds["import click"]))
        print(f"{name:22} {median(taken):.3f} s  {ratio:5.2f} x import click")
