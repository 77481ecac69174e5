"""The sham: one recipe against itself with its rate times 1.001, through the whole program.

    python studies/sham.py [--seeds N] [--workers N] [--out FOLDER]

Every task of `quick` is trained by adamw and by its sham, seed by seed on the same batches. Samples
of 3, 5 and 10 of these seeds, which overlap, are compared as `msbench compare` does, by task.
"Better" and "worse" are false: such a difference must not matter. One that is shown nevertheless
should be "within the margin". Prints the table of docs/statistics.md, "The sham", and writes it to
results/reference/sham.json. An interrupted run goes on where it was.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from msbench import Record, load_plugins, load_suite, read, run_suite
from msbench.cli.interrupts import Stop
from msbench.cli.progress import show_progress
from msbench.compare import compare
from msbench.compare.judge import VERDICTS
from msbench.plan.trials import with_overrides
from msbench.run.device import limit_threads
from msbench.spec import Choice, Question, Suite, Throughput

OUT = Path(__file__).parent.parent / "results/reference/sham.json"
TRUE, SHAM = "adamw", "sham"
SAMPLES, SIZES, LARGER = 200, (3, 5, 10), 1.001


def paired_suite(seeds: int) -> Suite:
    """`quick` with adamw alone, tuned by task as there, and its sham beside it."""
    quick = load_suite("quick")
    true = [each for each in quick.optimizers if each.name == TRUE and each.tasks]
    return replace(
        quick,
        optimizers=(*true, *map(_sham, true)),
        yardsticks=(),
        seeds=tuple(range(seeds)),
        throughput=Throughput(rounds=0),
    )


def _sham(true: Choice) -> Choice:
    return replace(true, label=SHAM, options={**true.options, "lr": true.options["lr"] * LARGER})


def verdicts(records: Sequence[Record]) -> list[Mapping[str, Any]]:
    """How often each verdict was given to the sham: a row for each task and number of seeds."""
    seeds = sorted({record.trial["seed"] for record in records})
    draw, rows = np.random.default_rng(0), list[Mapping[str, Any]]()
    for size in (each for each in SIZES if each <= len(seeds)):
        found: dict[str, Counter[str]] = {}
        for _ in range(SAMPLES if size < len(seeds) else 1):
            chosen = set(draw.permutation(seeds)[:size].tolist())
            sample = [record for record in records if record.trial["seed"] in chosen]
            for row in compare(sample, question=Question("optimizer", TRUE)).accuracy:
                if row["decides"] and not row["baseline"]:
                    found.setdefault(row["task"], Counter())[row["verdict"]] += 1
        rows += [
            {"task": task, "seeds": size, "of": len(seeds), "verdicts": dict(sorted(each.items()))}
            for task, each in sorted(found.items())
        ]
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Shares of verdicts in %; both that are false together."""
    cells = []
    for row in rows:
        counts = Counter(row["verdicts"])
        false = counts["better"] + counts["worse"]
        shares = [f"{100 * each / counts.total():.1f}" for each in (*_each(counts), false)]
        cells.append([row["task"], f"{row['seeds']} of {row['of']}", *shares])
    headers = ["task", "seeds", *VERDICTS, "false"]
    return tabulate(cells, headers, tablefmt="github", disable_numparse=True)


def _each(counts: Mapping[str, int]) -> list[int]:
    return [counts[verdict] for verdict in VERDICTS]


def main() -> None:
    """Train, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="to train (default: 20)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/remade/sham"))
    asked = parser.parse_args()
    limit_threads(1)
    suite = with_overrides(
        paired_suite(asked.seeds), seeds=None, device=None, workers=asked.workers
    )
    events = run_suite(suite, load_plugins(), asked.out)
    next(events)
    show_progress(events, Stop())
    records = [record for record in read(asked.out).records if record.is_trial]
    assert all(record.status == "ok" for record in records)
    rows = verdicts(records)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
