"""How long the command line takes to answer, against importing click alone.

    python benchmarks/startup.py

Whole processes, interleaved, median of 15. `msbench --help` may take 2.5 times an import of click,
and `msbench compare` 0.6 s. Ratios are of speeds: 0.5 is twice as long.
"""

import subprocess
import sys
from functools import partial
from statistics import median

from figures import Figure, figure, line, save
from rounds import interleaved, ratios, timed

COMMANDS = {
    "import click": ["-c", "import click"],
    "msbench --help": ["-m", "msbench", "--help"],
    "msbench list": ["-m", "msbench", "list"],
    "msbench compare": ["-m", "msbench", "compare", "results/reference/quick"],
}


GOALS = {"msbench --help": "at least 0.40", "msbench compare": "under 0.6 s"}


def run(words: list[str]) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


if __name__ == "__main__":
    seconds = interleaved({n: timed(partial(run, words)) for n, words in COMMANDS.items()}, 15)
    rows: list[Figure] = []
    for name, taken in seconds.items():
        rows.append(
            {
                **figure(
                    "run", name, median(taken), "s", peer="import click", goal=GOALS.get(name, "")
                ),
                "peer_value": median(seconds["import click"]),
                "ratio": median(ratios(seconds["import click"], taken)),
                "limit": "imports",
            }
        )
    rows = rows[1:]
    print(*map(line, rows), sep="\n")
    save("startup", rows)
