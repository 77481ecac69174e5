"""What the best strategies write: the best, the median and the worst output of each task.

    python studies/samples.py RESULTS ...

RESULTS are folders of runs that have kept outputs, as `msbench run` leaves them. Of each task the
strategy with the best mean score is shown, with one seed; ranks are by that seed's score of each
test example. Keeps what it finds in results/reference/samples.json by suite and task, from which
docs/models.md is made.
"""

import json
import sys
from pathlib import Path
from typing import Any

from msbench import load_plugins
from msbench.cli.inputs import compare_results
from msbench.cli.kept import examples_by, outputs_of
from msbench.compare.outputs import Writer
from msbench.compare.rows import Comparison, StrategyKey
from msbench.compare.side_by_side import chosen_rows, highlights

OUT = Path(__file__).parent.parent / "results/reference/samples.json"


def best_of(found: list[Writer], comparison: Comparison) -> list[Writer]:
    """Of each task the writer whose strategy has the best mean of what decides: with the decoder
    that decides, or with the first one where that writes nothing but measures given texts."""
    means = {
        StrategyKey.of(row): (row["mean"] * (-1 if row["lower_is_better"] else 1), row["decoder"])
        for row in comparison.accuracy
        if row["decides"]
    }
    best: dict[str, tuple[tuple[float, bool], Writer]] = {}
    for writer in found:
        if (key := StrategyKey.of(writer.axes)) not in means:
            continue
        mean, decoder = means[key]
        rank, task = (mean, writer.decoder == decoder), writer.axes["task"]
        if task not in best or rank > best[task][0]:
            best[task] = rank, writer
    return [writer for _, writer in best.values()]


def samples(results: str) -> dict[str, Any]:
    """By task: who wrote, by what it is scored, and three examples."""
    registry = load_plugins()
    comparison, _ = compare_results(results)
    found, _ = outputs_of([results], comparison)
    chosen = best_of(found, comparison)
    rows = chosen_rows(chosen, highlights, examples_by(registry)).rows
    told: dict[str, Any] = {}
    for row in rows:
        about = {key: row[key] for key in ("model", "optimizer", "decoder", "metric", "seed")}
        of_task = told.setdefault(row["task"], {**about, "examples": []})
        example = {key: row[key] for key in ("why", "score", "source", "reference", "output")}
        of_task["examples"].append(example)
    return told


if __name__ == "__main__":
    kept = json.loads(OUT.read_text()) if OUT.exists() else {}
    for results in sys.argv[1:]:
        kept[Path(results).name] = samples(results)
    OUT.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
