"""What running until there is a verdict decided, and what it cost: read from runs that did so.

    msbench run quick --until-verdict --max-seeds 12 --out results/until-verdict
    msbench run optimizers --until-verdict --max-seeds 12 --out results/until-verdict
    python studies/until_verdict.py results/until-verdict/quick results/until-verdict/optimizers

Prints the table of docs/statistics.md, "Two real runs", and writes it to
results/reference/until-verdict.json. Passes are those of the seeds that were run, the baseline's
too, beside those of `max_seeds` seeds of every strategy; searches are not counted.
"""

import json
import sys
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

OUT = Path(__file__).parent.parent / "results/reference/until-verdict.json"


def figures(folder: Path) -> list[Mapping[str, Any]]:
    """A row for every task of a run."""
    question = read_question(folder)
    assert question is not None, folder
    assert question.max_seeds, f"{folder}: was not run until there was a verdict"
    records = read(folder).records
    rows = [r for r in compare(records, question=question).accuracy if r["decides"]]
    return [
        _of_task(
            folder.name,
            task,
            [row for row in rows if row["task"] == task and not row["baseline"]],
            [r for r in records if r.is_trained and r.trial["task"]["name"] == task],
            question.max_seeds,
        )
        for task in dict.fromkeys(row["task"] for row in rows)
    ]


def _of_task(
    suite: str, task: str, rows: Sequence[AccuracyRow], records: Sequence[Record], most: int
) -> Mapping[str, Any]:
    passes = sum(record.trial_results["training"]["passes"] or 0 for record in records)
    seeds = Counter(json.dumps(record.trial["optimizer"], sort_keys=True) for record in records)
    return {
        "suite": suite,
        "task": task,
        "pairs": len(rows),
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "stopped": dict(Counter(row["stopped"] for row in rows)),
        "looked": [row["looked"] for row in rows],
        "trials": len(records),
        "passes": passes,
        "all_seeds": len(seeds) * most * passes / len(records),
        "most": most,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Counts of verdicts and of reasons to stop; passes saved against all seeds of everything."""
    cells = []
    for row in rows:
        verdicts = row["verdicts"]
        decided = sum(verdicts.get(each, 0) for each in DECIDED)
        cells.append(
            {
                "suite": row["suite"],
                "task": row["task"],
                "pairs": row["pairs"],
                "decided": f"{decided} ({100 * decided / row['pairs']:.0f} %)",
                **{each: verdicts.get(each, 0) for each in VERDICTS},
                "futile": row["stopped"].get("futile", 0),
                "limit": row["stopped"].get("limit", 0),
                "seeds a pair": f"{sum(row['looked']) / row['pairs']:.1f}",
                "passes, % of those at most": f"{100 * row['passes'] / row['all_seeds']:.0f}",
            }
        )
    return tabulate(cells, headers="keys", tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    found = [row for folder in sys.argv[1:] for row in figures(Path(folder))]
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))
