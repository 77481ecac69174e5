"""Results of other versions are other results: which versions made a record.

A part's version names the code behind it and its libraries (`msbench.plugins.code`). Records of
before say of libraries only what their machine had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from msbench.compare.labels import display_name
from msbench.records.record import Record
from msbench.spec import AXES, DIGEST, digest

LIBRARIES = ("numpy", "rouge-score", "sacrebleu", "tokenizers", "torch")
"""What scores of older records may depend on; all of them name these."""


SHOWN = 3
"""Differences that a note names."""


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


def versions_apart(records: Sequence[Record]) -> list[str]:
    """A note for every task whose records were made by several versions of a part."""
    tasks: dict[str, list[dict[str, str]]] = {}
    for record in records:
        trial: Mapping[str, Any] = record.trial
        parts: list[tuple[str, Any]] = [(axis, trial[axis]) for axis in AXES]
        parts += [("decoder", part) for part in trial["decoders"]]
        about = {"learner": trial["learner"]["version"], **trial["learner"].get("libraries", {})}
        about |= {f"{kind} {display_name(part)}": part["version"] for kind, part in parts}
        tasks.setdefault(display_name(trial["task"]), []).append(about)
    return [
        f"{name} is shown apart, by versions: {differences}"
        for name, several in sorted(tasks.items())
        if (differences := _differences(several))
    ]


def _with_libraries(trial: Mapping[str, Any], libraries: Mapping[str, str]) -> dict[str, Any]:
    return {**trial, "learner": {**trial["learner"], "libraries": libraries}}


def _differences(several: Sequence[Mapping[str, str]]) -> str:
    """What has more than one version, with all of them; of many the first."""
    names = dict.fromkeys(name for each in several for name in each)
    found = {n: sorted({each[n] for each in several if n in each}) for n in names}
    told = [f"{n} {' and '.join(v)}" for n, v in found.items() if len(v) > 1]
    more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return "; ".join([*told[:SHOWN], *more])
