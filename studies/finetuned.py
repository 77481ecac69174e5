"""What fine-tuning gives beside a linear model and the best that learns from nothing, same splits.

    python studies/finetuned.py [FOLDER]

Reads results/reference/finetune (or FOLDER), and for models from scratch the records of the suite
of each task. Of each the strategy with the best mean is shown, which was chosen by the same
scores; intervals are over seeds. Verdicts are against the linear yardstick, by the one judge.
"""

import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from learned import REFERENCE, Scores, interval, scores_of, verdict
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
        strategy, values = _best(scores, about)
        scratch, others = _best(own, about)
        yield {
            "task": task,
            "metric": _metric(fine, task),
            "linear": f"{held['score']:.3f}",
            "from scratch": f"{interval(others, about)} ({scratch})",
            "adamw, fine-tuned": interval(scores["minilm adamw", "argmax"], about),
            "best, fine-tuned": f"{interval(values, about)} ({strategy.removeprefix('minilm ')})",
            "against linear": verdict(values, held, about),
        }


def _scores(records: Sequence[Record], task: str) -> tuple[Scores, dict[str, Any]]:
    (data,) = {r.job["data"] for r in records if r.is_trained and r.job["task"]["name"] == task}
    return scores_of(records, task, data)


def _best(scores: Scores, about: dict[str, Any]) -> tuple[str, list[float]]:
    sign = -1 if about["lower_is_better"] else 1
    key = max(scores, key=lambda each: sign * statistics.fmean(scores[each]))
    return key[0], scores[key]


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
