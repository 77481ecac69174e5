"""Records with kept weights -> the same trials with other decoders, and their records.

A trial that is decoded again is that trial with the new decoders and no others, so that tables pair
it by seed and know what its training cost.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from msbench.errors import MsbenchError, PluginError, RecordsError, SuiteError, did_you_mean
from msbench.plan.grid import describe
from msbench.plan.resolve import Resolved, kind_fits, misfit, resolve
from msbench.plan.trials import Fingerprint
from msbench.plugins.parts import prepared_from, trial_parts
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.records.schema import DecodedData, PartData
from msbench.run.trial import check_versions
from msbench.run.weights import check_weights, weights_file
from msbench.spec import Choice, Trial, digest

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


class RedecodedRow(TypedDict):
    """What one decoder gave with the weights of one trial."""

    trial: str
    """The key of the trial that was trained."""
    task: str
    optimizer: str
    seed: int
    decoder: str
    metrics: Mapping[str, float | None]
    """The main metric first."""
    model_steps: float | None
    tokens_per_second: float
    length_ratio: float | None
    log_probability: float | None
    empty: float | None


def chosen(
    records: Iterable[Record],
    *,
    key: str = "",
    seeds: Sequence[int] = (),
    tasks: Sequence[str] = (),
    optimizers: Sequence[str] = (),
) -> list[Record]:
    """The trained trials with all of this; RecordsError with the nearest name if there are none."""
    trials = [r for r in records if r.is_trained and not _is_redecoded(r)]
    filters: list[tuple[str, Sequence[Any], Callable[[Record], set[Any]]]] = [
        ("key", [key] if key else [], lambda record: {record.key}),
        ("seed", seeds, lambda record: {record.trial["seed"]}),
        ("task", tasks, lambda record: _names(record.trial["task"])),
        ("optimizer", optimizers, lambda record: _names(record.trial["optimizer"])),
    ]
    for what, values, values_of in filters:
        known = {each for record in trials for each in values_of(record)}
        for value in values:
            if value not in known:
                hint = did_you_mean(str(value), map(str, known))
                raise RecordsError(f"no trial here has the {what} {value!r}{hint}")
    matching = [
        record
        for record in trials
        if all(not values or values_of(record) & set(values) for _, values, values_of in filters)
    ]
    if not matching:
        raise RecordsError("no trial here has all of that together" if trials else "no trials here")
    return matching


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
    results = [resolve(registry, "decoder", choice) for choice in decoders]
    if problems := [problem for _, found in results for problem in found]:
        raise SuiteError(problems)
    resolved = [each for found, _ in results for each in found]
    with_weights = [
        r for r in records if r.status == "ok" and weights_file(weights, r.key).is_file()
    ]
    if not with_weights:
        raise RecordsError(_why_no_weights(records))
    pairs = [(record, _with_decoders(record, resolved, registry)) for record in with_weights]
    if misfits := _misfits(resolved, [trial for _, trial in pairs], registry):
        raise SuiteError(misfits)
    fitting = [(record, trial) for record, trial in pairs if trial.decoders]
    for record, trial in fitting:
        check_weights(weights_file(weights, record.key))
        if fingerprint(*prepared_from(registry, trial.task, trial.model)) != trial.data:
            raise RecordsError(
                f"the data of {trial.task.name!r} is no longer what trial {record.key} was "
                f"trained on: run its suite again"
            )
    return Redecoding(
        {trial.key: trial for _, trial in fitting},
        {trial.key: record for record, trial in fitting},
        {trial.key: weights_file(weights, record.key) for record, trial in fitting},
        {digest(asdict(each.part)): describe(each.choice) for each in resolved},
        len(records) - len(fitting),
    )


def completed(record: Record, original: Record) -> Record:
    """The record of a trial decoded again, with all that is known of its training."""
    before = {name: each for name, each in original.results.items() if name != "outputs"}
    results = {**before, **record.results, SOURCE: original.key}
    return replace(record, results=results)


def rows(records: Iterable[Record], names: Mapping[str, str]) -> list[RedecodedRow]:
    """A row per trial and decoder: what it scored and cost, and what it wrote.

    names: of decoders, by the digest of their parts, in the order of the rows.
    """
    order = list(names)
    table = []
    for record in records:
        decoding = {digest(each["decoder"]): each for each in record.trial_results["decoding"]}
        for decoder in sorted(decoding, key=order.index):
            table.append(_row(record, names[decoder], decoding[decoder]))
    return sorted(table, key=lambda row: (row["task"], row["optimizer"], row["seed"]))


def _row(record: Record, decoder: str, decoded: DecodedData) -> RedecodedRow:
    trial, task = record.trial, record.trial_results["task"]
    shown = [name for name in (task["metric"], *task["also"]) if name in decoded["metrics"]]
    seconds, tokens = decoded["seconds"], decoded["tokens"]
    return {
        "trial": record.trial_results["weights_of"],
        "task": _display_name(trial["task"]),
        "optimizer": _display_name(trial["optimizer"]),
        "seed": trial["seed"],
        "decoder": decoder,
        "metrics": {name: decoded["metrics"][name] for name in shown or decoded["metrics"]},
        "model_steps": decoded["steps"],
        "tokens_per_second": tokens / seconds if tokens is not None and seconds else math.nan,
        "length_ratio": decoded["length_ratio"],
        "log_probability": decoded["log_probability"],
        "empty": decoded["empty"],
    }


def _with_decoders(record: Record, resolved: Sequence[Resolved], registry: Registry) -> Trial:
    """The record's trial with those of the decoders that fit it."""
    trial = Trial.of(record.job)
    for kind, part in trial_parts(replace(trial, decoders=(), phases=())):
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
    task = _task(trial, registry)
    fitting = {
        digest(asdict(each.part)): each.part
        for each in resolved
        if kind_fits(each.entry, task) and each.entry.learner == trial.learner.name
    }
    return replace(trial, decoders=tuple(fitting[each] for each in sorted(fitting)))


def _misfits(
    resolved: Sequence[Resolved], trials: Sequence[Trial], registry: Registry
) -> list[str]:
    """A sentence for every decoder that fits none of the trials."""
    task = _task(trials[0], registry)
    problems = {
        each.choice.where: misfit(each.choice.where, each.entry, task)
        if not kind_fits(each.entry, task)
        else f"{each.choice.where}: decoder {each.entry.name!r} is for {each.entry.learner}, and "
        f"the trials are of {trials[0].learner.name}"
        for each in resolved
        if not any(each.part in trial.decoders for trial in trials)
    }
    return list(problems.values())


def _why_no_weights(records: Sequence[Record]) -> str:
    failed = [record for record in records if record.status != "ok"]
    if len(failed) == len(records):
        first = failed[0]
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


def _is_redecoded(record: Record) -> bool:
    return record.trial_results.get("weights_of", record.key) != record.key


def _names(part: PartData) -> set[str]:
    return {part["name"], part["label"]} - {""}


def _display_name(part: PartData) -> str:
    return part["label"] or part["name"]
