"""What running until there is a verdict decided, and what it cost: read from runs that did so.

    msbench run quick --until-verdict --max-seeds 12 --out results/until-verdict
    msbench run optimizers --until-verdict --max-seeds 12 --out results/until-verdict
    python studies/until_verdict.py

Prints the table of docs/statistics.md, "Two real runs", and writes it to
results/reference/until-verdict.json: beside these runs those of a fixed number of seeds. Passes are
those of the seeds that were run, the baseline's too, beside those of `max_seeds` seeds of every
strategy; searches are not counted.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from msbench import Record, read
from msbench.compare import compare
from msbench.compare.judge import DECIDED, VERDICTS
from msbench.compare.rows import AccuracyRow
from msbench.records.question import read_question
from msbench.spec import Question

RUNS = {
    "quick, fixed": Path("results/reference/quick"),
    "quick, until a verdict": Path("results/until-verdict/quick"),
    "optimizers, six rates, fixed": Path("tests/kept/optimizers"),
    "optimizers, fixed": Path("results/reference/optimizers"),
    "optimizers, until a verdict": Path("results/until-verdict/optimizers"),
}
OUT = Path(__file__).parent.parent / "results/reference/until-verdict.json"

STOPPED = ("futile", "limit")


def figures(name: str, folder: Path) -> list[Mapping[str, Any]]:
    """A row for every task of a run."""
    question = read_question(folder) or Question("optimizer", "adamw")
    records = read(folder).records
    rows = [r for r in compare(records, question=question).accuracy if r["decides"]]
    return [
        {
            "suite": name,
            **_of_task(
                task,
                [row for row in rows if row["task"] == task and not row["baseline"]],
                [r for r in records if r.is_trained and r.trial["task"]["name"] == task],
                question.max_seeds,
            ),
        }
        for task in dict.fromkeys(row["task"] for row in rows)
    ]


def _of_task(
    task: str, rows: Sequence[AccuracyRow], records: Sequence[Record], most: int
) -> Mapping[str, Any]:
    passes = sum(record.results.get("training", {}).get("passes") or 0 for record in records)
    strategies = {json.dumps(record.trial["optimizer"], sort_keys=True) for record in records}
    return {
        "task": task,
        "pairs": len(rows),
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "stopped": dict(Counter(row["stopped"] for row in rows)),
        "seeds": [row["looked"] or row["n"] for row in rows],
        "trials": len(records),
        "passes": passes,
        "all_passes": len(strategies) * most * passes / len(records),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Counts of verdicts and of reasons to stop; passes as a share of those of all seeds."""
    cells = []
    for row in rows:
        decided = sum(row["verdicts"].get(each, 0) for each in DECIDED)
        most = row["all_passes"]
        cells.append(
            {
                "run": row["suite"],
                "task": row["task"],
                "pairs": row["pairs"],
                "decided": f"{decided} ({100 * decided / row['pairs']:.0f} %)",
                **{each: row["verdicts"].get(each, 0) for each in VERDICTS},
                **{each: row["stopped"].get(each, 0) if most else "-" for each in STOPPED},
                "seeds a pair": f"{sum(row['seeds']) / row['pairs']:.1f}",
                "passes, %": f"{100 * row['passes'] / most:.0f}" if most else "-",
            }
        )
    return tabulate(cells, headers="keys", tablefmt="github", disable_numparse=True)


def told(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many pairs each run decided, in a sentence."""
    parts = []
    for name in dict.fromkeys(row["suite"] for row in rows):
        mine = [row for row in rows if row["suite"] == name]
        decided = sum(row["verdicts"].get(each, 0) for row in mine for each in DECIDED)
        pairs = sum(row["pairs"] for row in mine)
        parts.append(f"{name}: {decided} of {pairs} ({100 * decided / pairs:.0f} %)")
    return "; ".join(parts)


if __name__ == "__main__":
    found = [row for name, folder in RUNS.items() for row in figures(name, folder)]
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))
