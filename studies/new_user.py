"""A new user with a file of their own: three commands, from the wheel to a verdict.

    python studies/new_user.py    # writes results/reference/new-user.txt

They run in a new virtual environment, in a folder that has the wheel, the versions that it is
tested with, and 2,000 reviews with their verdicts as a CSV file. docs/tasks.md shows what they say.
"""

import csv
import math
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from time import monotonic

from first_plugin import ROOT, played

from msbench import Task, load_plugins
from msbench.spec import Choice

TRANSCRIPT = ROOT / "results/reference/new-user.txt"

ROWS = 2_000


def prepare(place: Path) -> list[str]:
    """Put there what a user has; the commands."""
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(place), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    shutil.copy(ROOT / "constraints.txt", place)
    registry = load_plugins()
    part = registry.resolve("task", Choice("rotten-tomatoes"))
    task: Task = registry.build("task", part)()
    assert task.texts is not None
    with (place / "reviews.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["review", "verdict"])
        rows.writerows(task.texts.splits["train"][:ROWS])
    (wheel,) = place.glob("*.whl")
    return [
        f"pip install --quiet -c constraints.txt {wheel.name}",
        "msbench init reviews.csv",
        "msbench run reviews.toml",
    ]


def main() -> None:
    """Write the transcript."""
    with tempfile.TemporaryDirectory() as name:
        environment, place = Path(name) / "environment", Path(name) / "mine"
        venv.create(environment, with_pip=True)
        place.mkdir()
        commands = prepare(place)
        start = monotonic()
        lines = list(played(commands, environment / "bin", place))
        minutes = math.ceil((monotonic() - start) / 60)
    TRANSCRIPT.write_text("\n".join([*lines, f"# took less than {minutes} minutes"]) + "\n")


if __name__ == "__main__":
    main()
