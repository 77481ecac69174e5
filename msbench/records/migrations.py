"""Older layouts of records -> the present one, a step for each version."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from msbench.records.schema import VERSION, MetricData


def migrate(data: dict[str, Any]) -> None:
    """Bring the checked data of a record to the present layout, in place."""
    for version in range(data["schema"], VERSION):
        STEPS[version](data)
        data["schema"] = version + 1


def _add_metrics(data: dict[str, Any]) -> None:
    """Layout 1 did not say what a metric's values mean, only which are better low."""
    task = data["results"].get("task")
    if task is not None:
        scored = {name for each in data["results"].get("decoding", ()) for name in each["metrics"]}
        names = tuple(sorted({task["metric"], *task["also"], *scored}))
        task["metrics"] = _known(names, tuple(task.get("lower_is_better", ())))


@cache
def _known(names: tuple[str, ...], lower_is_better: tuple[str, ...]) -> Mapping[str, MetricData]:
    """What layout 1 left unsaid of the metrics that there were at its time."""
    return {name: _metric(name, name in lower_is_better) for name in names}


def _metric(name: str, lower: bool) -> MetricData:
    points = ("bleu", "chrf")
    losses = {"nll": "nats", "bits_per_byte": "bits per byte", "perplexity": "perplexity"}
    name = name.rpartition("/")[2]  # a mixture of tasks puts the task before it
    known = name in (*points, *losses, *_SHARES)
    high = 100.0 if name in points else None if name in losses else 1.0
    margin = 1.0 if name in points else 0.01
    unit = "points" if name in points else losses.get(name, "share" if known else "")
    return {
        "lower_is_better": lower,
        "low": 0.0 if known else None,
        "high": high if known else None,
        "margin": margin if known else None,
        "unit": unit,
        "relative": name in losses,
    }


_SHARES = (
    "accuracy",
    "macro_f1",
    "calibration",
    "span_f1",
    "precision",
    "recall",
    "exact",
    "tag_accuracy",
    "repetition",
    "rouge1",
    "rouge2",
    "rougeL",
    "f1",
)


def _keep(data: dict[str, Any]) -> None:
    """Layout 3 has a checksum, which is of a line and not of what is read from it."""


STEPS: Mapping[int, Callable[[dict[str, Any]], None]] = {1: _add_metrics, 2: _keep}
"""By version, what brings a record of it to the next one."""
