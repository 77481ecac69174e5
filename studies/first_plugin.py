"""The first plugin of a new author: five commands in an empty folder, as a terminal shows them.

    python studies/first_plugin.py    # writes results/reference/first-plugin.txt

They run in a virtual environment that sees the packages of this one, so that pip installs the new
package alone. docs/plugins.md shows the transcript, and its tutorial names the commands.
"""

import math
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).parents[1]

TRANSCRIPT = ROOT / "results/reference/first-plugin.txt"

SHIM = """#!{python}
from msbench.cli import main
if __name__ == "__main__":  # workers import this file
    main()
"""


def commands() -> list[str]:
    """The first commands of the tutorial."""
    text = (ROOT / "docs/plugins.md").read_text()
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return block[1].splitlines()


def make_environment(folder: Path) -> Path:
    """A virtual environment with pip, msbench as it is here, and what is installed here; its
    folder of programs."""
    venv.create(folder, with_pip=True)
    (site,) = folder.glob("lib/*/site-packages")
    outer = sysconfig.get_path("purelib")
    (site / "outer.pth").write_text(f"{ROOT}\nimport site; site.addsitedir({outer!r})\n")
    program = folder / "bin/msbench"
    program.write_text(SHIM.format(python=folder / "bin/python"))
    program.chmod(0o755)
    return folder / "bin"


def played(lines: list[str], programs: Path, folder: Path) -> Iterator[str]:
    """Each command behind a prompt, and what it printed."""
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "COLUMNS": "140"}
    for line in lines:
        yield f"$ {line}"
        if line.startswith("cd "):
            folder /= line.removeprefix("cd ")
            continue
        done = subprocess.run(
            line.split(), cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{line}: {done.stdout}{done.stderr}")
        if printed := done.stdout.strip():
            yield printed


def main() -> None:
    """Write the transcript."""
    with tempfile.TemporaryDirectory() as name:
        programs = make_environment(Path(name) / "environment")
        place = Path(name) / "empty"
        place.mkdir()
        start = monotonic()
        lines = list(played(commands(), programs, place))
        minutes = math.ceil((monotonic() - start) / 60)
    unit = "minute" if minutes == 1 else "minutes"
    TRANSCRIPT.parent.mkdir(parents=True, exist_ok=True)
    TRANSCRIPT.write_text("\n".join([*lines, f"# took less than {minutes} {unit}"]) + "\n")


if __name__ == "__main__":
    main()
