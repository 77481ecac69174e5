"""Three newcomers against the records of `optimizers`: what `msbench challenge` says of each.

    python studies/challenges.py [--workers N]    # writes results/reference/challenges.txt

One is AdamW under another name, one an AdamW with an error, one honest. Each is tuned and run as
the suite's own optimizers were; docs/optimizers.md shows what was printed.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEWCOMERS = ("renamed", "late", "signum")
OUT = ROOT / "results/reference/challenges.txt"


def main() -> None:
    """Run them one after the other, and write what they printed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", default="1")
    asked, said = parser.parse_args(), list[str]()
    for name in NEWCOMERS:
        words = ["challenge", f"studies/newcomers/{name}.py", "--suite", "optimizers"]
        options = ["--records", "results/reference/optimizers", "--workers", asked.workers]
        command = [sys.executable, "-m", "msbench", *words, *options]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode not in (0, 3):  # 3: some trial did not end ok
            sys.exit(done.returncode)
        said += [f"$ msbench {' '.join(words)}", done.stdout.strip(), ""]
    OUT.write_text("\n".join(said).rstrip() + "\n")
    print(OUT.read_text())


if __name__ == "__main__":
    main()
