"""What fine-tuning gives beside a linear model and the best that learns from nothing, same splits.

    python studies/finetuned.py [FOLDER]

Reads results/reference/finetune (or FOLDER), and for models from scratch the records of the suite
of each task. Of each the strategy with the best mean is shown, which was chosen by the same
scores; intervals are over seeds. Verdicts are against the linear yardstick, by the one judge.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from learned import REFERENCE, Scores, best_of, interval, scores_of, verdict
from tabulate import tabulate

from msbench import Record, read

FROM_SCRATCH = {
    "bbc-news": "quick",
    "rotten-tomatoes": "sentiment",
    "verse-matching": "matching",
    "request-roles": "roles",
}
"""Task -> suite that trains msbench's own models on the same splits."""


def rows(folder: Path) -> Iterator[dict[str, str]]:
    """One table row per task."""
    fine = read(folder).records
    for task, suite in FROM_SCRATCH.items():
        scores, about = _scores(fine, task)
        own, _ = _scores(read(REFERENCE / suite).records, task)
        held = {"score": _linear(fine, task)}
        best, scratch = best_of(scores, about), best_of(own, about)
        strategy = best[0].removeprefix("minilm ")
        yield {
            "task": task,
            "metric": _metric(fine, task),
            "linear": f"{held['score']:.3f}",
            "from scratch": f"{interval(own[scratch], about)} ({scratch[0]})",
            "adamw, fine-tuned": interval(scores["minilm adamw", "argmax"], about),
            "best, fine-tuned": f"{interval(scores[best], about)} ({strategy})",
            "against linear": verdict(scores[best], held, about),
        }


def _scores(records: Sequence[Record], task: str) -> tuple[Scores, dict[str, Any]]:
    (data,) = {r.job["data"] for r in records if r.is_trained and r.job["task"]["name"] == task}
    return scores_of(records, task, data)


def _of_yardstick(records: Sequence[Record], task: str) -> Record:
    (found,) = (r for r in records if r.is_yardstick and r.job["task"]["name"] == task)
    return found


def _metric(records: Sequence[Record], task: str) -> str:
    return _of_yardstick(records, task).trial_results["task"]["metric"]


def _linear(records: Sequence[Record], task: str) -> float:
    (decoded,) = _of_yardstick(records, task).trial_results["decoding"]
    score = decoded["metrics"][_metric(records, task)]
    assert score is not None
    return score


if __name__ == "__main__":
    table = list(rows(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE / "finetune"))
    print(tabulate(table, headers="keys", tablefmt="github", disable_numparse=True))
