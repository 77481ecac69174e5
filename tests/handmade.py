"""Hand-made results of trials, whole enough to be read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from msbench.data.metrics import METRICS
from msbench.spec import Part, group_of, key_of


def rekeyed(record: dict[str, Any]) -> dict[str, Any]:
    """A record as plain data whose job was changed, with the key and group of that job."""
    return {**record, "key": key_of(record["job"]), "group": group_of(record["job"])}


POINTS = asdict(METRICS["bleu"])


def results(
    decoders: Sequence[Part], scores: Sequence[Mapping[str, float]], **training: Any
) -> dict[str, Any]:
    """Of a translation trial of 12 passes whose metric is BLEU; scores: one mapping per decoder."""
    plain: dict[str, Any] = {"signatures": {}, "examples": {}, "seconds": 1.0, "count": 9}
    return {
        "task": {
            "kind": "seq2seq",
            "metric": "bleu",
            "also": [],
            "metrics": dict.fromkeys(scores[0] if scores else (), POINTS),
            "sizes": {"train": 9},
            "notes": {},
        },
        "training": {
            "passes": 12,
            "steps": 12,
            "samples": 96,
            "seconds": 2.0,
            "tokens": 100,
            "diverged": "",
            "curve": [],
            **training,
        },
        "peak_memory": 5_000_000,
        "parameters": 1000,
        "decoding": [
            {"decoder": asdict(part), "metrics": metrics, **plain}
            for part, metrics in zip(decoders, scores, strict=True)
        ],
    }
