"""Records -> a row for every trained trial and decoder."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from msbench.compare.labels import Labels, text_of
from msbench.compare.rows import Row
from msbench.records.record import Record


def trial_rows(records: Sequence[Record]) -> list[Row]:
    """What each is of, how it ended, what it cost, and its metrics in columns of their own.

    Trials that did not end ok have one row, without metrics. Those of a search are among the
    others: `searched` tells them apart, and their scores are of the validation split.
    """
    trials = [record for record in records if record.is_trial]
    labels = Labels(trials)
    return [row for record in trials for row in _rows(record, labels)]


def _rows(record: Record, labels: Labels) -> Iterator[Row]:
    results: Any = record.results
    training = results.get("training") or {}
    about: dict[str, Any] = {
        "key": record.key,
        **labels.axes(record),
        "seed": record.trial["seed"],
        "yardstick": record.is_yardstick,
        "searched": record.is_search,
        "status": record.status,
        "reason": record.reason,
        "passes": training.get("passes", math.nan),
        "train_seconds": training.get("seconds", math.nan),
    }
    decoded = results.get("decoding") or []
    if not decoded:
        yield {**about, "decoder": ""}
    names = {text_of(p): labels.of(record, "decoder", p) for p in record.trial["decoders"]}
    for each in decoded:
        yield {**about, "decoder": names[text_of(each["decoder"])], **each["metrics"]}
