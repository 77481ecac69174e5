"""What `msbench check` says of every built-in optimizer of torch's learner.

    python studies/optimizer_checks.py    # writes results/reference/optimizer-checks.json

docs/optimizers.md shows it: how many checks passed, and which found something wrong.
"""

import json
from itertools import groupby
from pathlib import Path

from msbench import load_plugins
from msbench.checks.run import findings_of

OUT = Path(__file__).parents[1] / "results/reference/optimizer-checks.json"


def main() -> None:
    """Check them all in one run."""
    own = [each for each in load_plugins().of("optimizer") if each.plugin == "msbench"]
    targets = [f"optimizer:{each.name}" for each in own if each.learner == "torch"]
    found = [each for each in findings_of(targets, limit=900) if each.part in targets]
    rows = {}
    for part, group in groupby(found, key=lambda each: each.part):
        findings = list(group)
        rows[part.partition(":")[2]] = {
            "ok": sum(each.verdict == "ok" for each in findings),
            "wrong": [each.check for each in findings if each.verdict == "wrong"],
            "skipped": [each.check for each in findings if each.verdict == "skipped"],
        }
    OUT.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
