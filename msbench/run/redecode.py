"""Records with kept weights -> the same trials with other decoders, and their records.

A trial that is decoded again is that trial with the new decoders and no others, so that tables pair
it by seed and know what its training cost.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from msbench.compare.rows import Row
from msbench.errors import MsbenchError, PluginError, RecordsError, SuiteError, did_you_mean
from msbench.plan.grid import describe
from msbench.plan.resolve import Resolved, kind_fits, resolve, task_kinds
from msbench.plan.trials import Fingerprint
from msbench.plugins.parts import parts_in
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.run.trial import TRAINED, check_versions
from msbench.run.weights import check_weights, weights_file
from msbench.spec import Choice, Kind, Part, Trial, digest

SOURCE = "weights_of"
"""What a record's results call the trial whose weights were decoded again."""


@dataclass(frozen=True)
class Redecoding:
    """What is to be decoded again."""

    trials: Mapping[str, Trial]
    """The trials with the new decoders, by key."""
    originals: Mapping[str, Record]
    """What trained them, by the same keys."""
    weights: Mapping[str, Path]
    names: Mapping[str, str]
    """Decoders as they were asked for, by the digest of their parts."""
    skipped: int = 0
    """Trials that were chosen and have no weights, or a kind that no decoder works on."""


def chosen(
    records: Iterable[Record],
    *,
    key: str = "",
    seeds: Sequence[int] = (),
    tasks: Sequence[str] = (),
    optimizers: Sequence[str] = (),
) -> list[Record]:
    """The trained trials with all of this; RecordsError with the nearest name if there are none."""
    trials = [r for r in records if r.is_trial and not r.is_search and _is_original(r)]
    wanted: dict[str, tuple[Sequence[Any], Callable[[Record], set[Any]]]] = {
        "key": ([key] if key else [], lambda r: {r.key}),
        "seed": (seeds, lambda r: {r.job["seed"]}),
        "task": (tasks, lambda r: _names(r.job["task"])),
        "optimizer": (optimizers, lambda r: _names(r.job["optimizer"])),
    }
    for what, (values, of) in wanted.items():
        known = {each for record in trials for each in of(record)}
        for value in values:
            if value not in known:
                raise RecordsError(
                    f"no trial here has the {what} {value!r}"
                    f"{did_you_mean(str(value), map(str, known))}"
                )
    found = [
        record
        for record in trials
        if all(not values or of(record) & set(values) for values, of in wanted.values())
    ]
    if not found:
        raise RecordsError("no trial here has all of that together" if trials else "no trials here")
    return found


def redecoding(
    records: Sequence[Record],
    decoders: Sequence[Choice],
    weights: Path,
    registry: Registry,
    fingerprint: Fingerprint,
) -> Redecoding:
    """What is to be done for these records, everything checked that needs no model.

    weights: the folder of them. SuiteError lists what is wrong with decoders, RecordsError and
    PluginError what is wrong with the trials.
    """
    resolved, problems = list[Any](), list[str]()
    for choice in decoders:
        found, wrong = resolve(registry, "decoder", choice)
        resolved += found
        problems += wrong
    if problems:
        raise SuiteError(problems)
    able = [r for r in records if weights_file(weights, r.key).is_file() and r.status == "ok"]
    if not able:
        raise RecordsError(_without(records))
    made = [(record, _again(record, resolved, registry)) for record in able]
    if misfits := _misfits(resolved, [trial for _, trial in made], registry):
        raise SuiteError(misfits)
    fitting = [(record, trial) for record, trial in made if trial.decoders]
    for record, trial in fitting:
        check_weights(weights_file(weights, record.key))
        if fingerprint(trial.task) != trial.data:
            raise RecordsError(
                f"the data of {trial.task.name!r} is no longer what trial {record.key} was "
                f"trained on: run its suite again"
            )
    return Redecoding(
        {trial.key: trial for _, trial in fitting},
        {trial.key: record for record, trial in fitting},
        {trial.key: weights_file(weights, record.key) for record, trial in fitting},
        {digest(asdict(part)): describe(choice) for choice, _, part in resolved},
        len(records) - len(fitting),
    )


def completed(record: Record, original: Record) -> Record:
    """The record of a trial decoded again, with all that is known of its training."""
    results = {**original.results, **record.results, SOURCE: original.key}
    return replace(record, results=results)


def rows(records: Iterable[Record], names: Mapping[str, str]) -> list[Row]:
    """A row per trial and decoder: what it scored and cost, and what it wrote.

    names: of decoders, by the digest of their parts, in the order of the rows. `metrics` is a
    mapping, the main one first.
    """
    found = []
    order = list(names)
    for record in records:
        task = record.results["task"]
        parts = {digest(decoded["decoder"]): decoded for decoded in record.results["decoding"]}
        for part in sorted(parts, key=order.index):
            decoded = parts[part]
            shown = [m for m in (task["metric"], *task["also"]) if m in decoded["metrics"]]
            seconds = decoded["seconds"]
            found.append(
                {
                    "trial": record.results[SOURCE],
                    "task": _display(record.job["task"]),
                    "optimizer": _display(record.job["optimizer"]),
                    "seed": record.job["seed"],
                    "decoder": names[part],
                    "metrics": {m: decoded["metrics"][m] for m in shown or decoded["metrics"]},
                    "model_steps": decoded["steps"],
                    "tokens_per_second": decoded["tokens"] / seconds if seconds else math.nan,
                    "length_ratio": decoded["length_ratio"],
                    "log_probability": decoded["log_probability"],
                    "empty": decoded["empty"],
                }
            )
    return sorted(found, key=lambda row: (row["task"], row["optimizer"], row["seed"]))


def _again(record: Record, resolved: Sequence[Resolved], registry: Registry) -> Trial:
    """The record's trial with those of the decoders that fit it."""
    trial = Trial.of(record.job)
    parts: list[tuple[Kind, Part]] = [(kind, getattr(trial, kind)) for kind in TRAINED]
    for kind, part in (inside for each in parts for inside in parts_in(*each)):
        if (kind, part.name) not in registry.entries:
            raise PluginError(
                f"trial {record.key} needs {kind} {part.name!r} of plugin {part.plugin} "
                f"{part.version}, which is not loaded (--plugin loads a file)"
            )
    trial = replace(trial, decoders=())
    check_versions(trial, registry, ("task", "model", "learner"))
    learner = registry.find("learner", trial.learner.name).load()
    try:
        getattr(learner, "check_device", lambda device: None)(trial.device)
    except MsbenchError as error:
        raise MsbenchError(
            f"trial {record.key}: {trial.device!r} cannot be used: {error}"
        ) from error
    fitting = {
        digest(asdict(part)): part
        for choice, entry, part in resolved
        if kind_fits(entry, _task(trial, registry)) and entry.learner == trial.learner.name
    }
    return replace(trial, decoders=tuple(fitting[each] for each in sorted(fitting)))


def _misfits(
    resolved: Sequence[Resolved], trials: Sequence[Trial], registry: Registry
) -> list[str]:
    """A sentence for every decoder that fits none of the trials."""
    problems = {}
    for choice, entry, part in resolved:
        if any(part in trial.decoders for trial in trials):
            continue
        task = _task(trials[0], registry)
        problems[choice.where] = (
            f"{choice.where}: decoder {entry.name!r} works on {' and '.join(entry.fits)} tasks, "
            f"and {_display(asdict(task[2]))!r} is a {' or '.join(task_kinds(task))} task"
            if not kind_fits(entry, task)
            else f"{choice.where}: decoder {entry.name!r} is for {entry.learner}, and the trials "
            f"are of {trials[0].learner.name}"
        )
    return list(problems.values())


def _without(records: Sequence[Record]) -> str:
    """Why there is nothing to decode."""
    bad = [record for record in records if record.status != "ok"]
    if len(bad) == len(records):
        first = bad[0]
        return (
            f"none of the {len(records)} chosen trials ended ok, so there are no weights: trial "
            f"{first.key} {first.status}: {first.reason}"
        )
    return (
        f"none of the {len(records)} chosen trials has kept weights: put keep_weights = true at "
        f"the top of the suite and run it into another folder (--out), since what is done is not "
        f"done again"
    )


def _task(trial: Trial, registry: Registry) -> Resolved:
    choice = Choice(trial.task.name, label=trial.task.label)
    return Resolved(choice, registry.find("task", trial.task.name), trial.task)


def _is_original(record: Record) -> bool:
    return bool(record.results.get(SOURCE, record.key) == record.key)


def _names(part: Mapping[str, Any]) -> set[str]:
    return {part["name"], part["label"]} - {""}


def _display(part: Mapping[str, Any]) -> str:
    return str(part["label"] or part["name"])
