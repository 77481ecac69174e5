"""Results of other versions are other results: which versions made a record.

A part's version names the code behind it and its libraries (`msbench.plugins.code`). Records of
before say of libraries only what their machine had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from msbench.compare.labels import Labels
from msbench.records.record import Record
from msbench.spec import digest

LIBRARIES = ("numpy", "rouge-score", "sacrebleu", "tokenizers", "torch")
"""What scores of older records may depend on; all of them name these."""

DIGEST = "/"
"""What a version that names the code has in it."""


def by_versions(record: Record) -> Record:
    """The record, as of another group if its parts do not say which libraries they used.

    The libraries become a part of its learners, so that tables show them where they differ.
    """
    has = record.machine.get("versions") or {}
    libraries = {name: has[name] for name in LIBRARIES if name in has}
    if DIGEST in record.trial["learner"]["version"] or not libraries:
        return record
    job: Mapping[str, Any] = record.job
    if record.is_trial:
        job = _with_libraries(job, libraries)
    else:
        strategies = [_with_libraries(each, libraries) for each in job["strategies"]]
        job = {**job, "strategies": strategies}
    return replace(record, job=job, group=digest([record.group, libraries]))


def versions_apart(records: Sequence[Record], labels: Labels) -> list[str]:
    """A note for every task that several versions of what trains it have made records of."""
    by_name: dict[str, dict[str, dict[str, str]]] = {}
    for record in records:
        about = {"learner": record.trial["learner"]["version"]}
        about |= record.machine.get("versions") or {}
        name = record.trial["task"]["label"] or record.trial["task"]["name"]
        by_name.setdefault(name, {})[labels.axes(record)["task"]] = about
    return [
        f"{name} is shown apart, by versions: {differences}"
        for name, tasks in sorted(by_name.items())
        if len(tasks) > 1 and (differences := _differences(list(tasks.values())))
    ]


def _with_libraries(trial: Mapping[str, Any], libraries: Mapping[str, str]) -> dict[str, Any]:
    return {**trial, "learner": {**trial["learner"], "libraries": libraries}}


def _differences(several: Sequence[Mapping[str, str]]) -> str:
    """What has more than one version, with all of them."""
    names = dict.fromkeys(name for each in several for name in each)
    found = {n: sorted({each[n] for each in several if n in each}) for n in names}
    return "; ".join(f"{n} {' and '.join(v)}" for n, v in found.items() if len(v) > 1)
