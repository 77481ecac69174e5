"""Records of other versions, taken as if of now once some of their trials gave the same again."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from msbench.errors import PluginError
from msbench.plugins.parts import TRAINED, nested_kind
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.spec import Choice, Kind, Part, Phase, Trial, display_name, group_of, plain

SAME = 1e-6
"""Relative difference of two losses or scores that rounding explains."""


def as_of_now(record: Record, registry: Registry) -> Record:
    """The record with its parts in the versions of now, options that came later at their defaults;
    the record itself where a part is gone or takes other options."""
    if not record.is_trial:
        return record
    try:
        trial = _trial_now(Trial.of(record.job), registry)
    except PluginError:
        return record
    if trial.key == record.key:
        return record
    job = plain(trial)
    return replace(record, key=trial.key, group=group_of(job), job=job)


def _trial_now(trial: Trial, registry: Registry) -> Trial:
    def now(kind: Kind, part: Part) -> Part:
        return registry.resolve(kind, _choice(kind, part))

    own: dict[str, Any] = {kind: now(kind, getattr(trial, kind)) for kind in TRAINED}
    phases = (
        Phase(each.passes, **{kind: now(kind, part) for kind, part in each.parts().items()})
        for each in trial.phases
    )
    return replace(
        trial,
        decoders=tuple(now("decoder", each) for each in trial.decoders),
        metrics=tuple(now("metric", each) for each in trial.metrics),
        phases=tuple(phases),
        **own,
    )


def _choice(kind: Kind, part: Part) -> Choice:
    """What a suite would ask for to get the part."""

    def asked(name: str, value: Any) -> Any:
        inner = nested_kind(kind, name)
        if isinstance(value, list):
            return [asked(name, each) for each in value]
        return _choice(inner, value) if isinstance(value, Part) else value

    options = {name: asked(name, value) for name, value in part.options.items()}
    return Choice(part.name, options, part.label)


def sample_of(trials: Iterable[Trial], count: int, baseline: str) -> list[Trial]:
    """The trials to run again: of every task in turn, the baseline's before those of others, those
    of searches last."""
    by_task: dict[str, list[Trial]] = {}
    for trial in trials:
        by_task.setdefault(display_name(trial.task), []).append(trial)

    def order(trial: Trial) -> tuple[bool, bool, int]:
        return trial.is_search, display_name(trial.optimizer) != baseline, trial.seed

    queues = [iter(sorted(each, key=order)) for each in by_task.values()]
    return list(_in_turn(queues))[:count]


def _in_turn(queues: Sequence[Iterator[Trial]]) -> Iterator[Trial]:
    left = list(queues)
    while left:
        for queue in [*left]:
            trial = next(queue, None)
            if trial is None:
                left.remove(queue)
            else:
                yield trial


def differences(again: Iterable[Record], before: Mapping[str, Record]) -> list[str]:
    """What trials that were run again have otherwise than `before`, a line each; by key."""
    return [line for record in again for line in _differences(record, before[record.key])]


def _differences(record: Record, before: Record) -> Iterator[str]:
    trial = Trial.of(record.job)
    name = f"{display_name(trial.task)}, {display_name(trial.optimizer)}, seed {trial.seed}"
    if record.status != before.status:
        yield f"{name}: {before.status} then, {record.status} now"
        return
    then, now = before.validation_curve, record.validation_curve
    if len(then) != len(now) or not all(map(_same, then, now)):
        yield f"{name}: validation loss {_last(then)} then, {_last(now)} now"
    old, new = _scores(before), _scores(record)
    for place, metric in sorted(old.keys() | new.keys()):
        scores = [each.get((place, metric), math.inf) for each in (old, new)]
        if not _same(*scores):
            yield f"{name}: {metric} of decoder {place} {scores[0]:.6g} then, {scores[1]:.6g} now"


def _scores(record: Record) -> dict[tuple[int, str], float]:
    """All that were measured, by the decoder's place from 1 and the metric."""
    return {
        (place, metric): math.nan if score is None else score
        for place, decoded in enumerate(record.trial_results.get("decoding", ()), start=1)
        for metric, score in decoded["metrics"].items()
    }


def _same(then: float, now: float) -> bool:
    both = math.isnan(then) and math.isnan(now)
    return both or then == now or abs(then - now) <= SAME * max(abs(then), abs(now))


def _last(curve: Sequence[float]) -> str:
    return f"{curve[-1]:.8g}" if curve else "none"
