"""Kept outputs -> records with the scores of another metric, as if a suite had asked for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from msbench.compare.outputs import Text
from msbench.data.measures import Measure
from msbench.errors import MsbenchError, PluginError, RecordsError, did_you_mean
from msbench.plugins.registry import Registry
from msbench.records.outputs import has_outputs, read_outputs
from msbench.records.record import Record
from msbench.records.schema import DecodedData, MetricData, TaskData
from msbench.spec import Choice


@dataclass(frozen=True)
class Wanted:
    """A registered metric, and which of the values that it gives are meant."""

    name: str
    measure: Measure
    values: Sequence[str]
    fits: Sequence[str]
    """The kinds of tasks that it is for; empty for all."""


def wanted(registry: Registry, choice: Choice) -> Wanted:
    """The metric of that name (`rouge`), or the one that gives a value of that name (`rougeL`).

    MsbenchError if there is none.
    """
    if ("metric", choice.name) in registry.entries:
        return _wanted(registry, choice)
    every = [_wanted(registry, Choice(each.name)) for each in registry.of("metric")]
    given = {value: each for each in every for value in each.measure.metrics}
    if choice.name not in given or choice.options:
        known = {*given, *(each.name for each in every)}
        raise MsbenchError(f"no metric {choice.name!r}{did_you_mean(choice.name, known)}")
    return replace(given[choice.name], values=(choice.name,))


def _wanted(registry: Registry, choice: Choice) -> Wanted:
    entry = registry.find("metric", choice.name)
    measure: Measure = registry.build("metric", registry.resolve("metric", choice))()
    return Wanted(choice.name, measure, tuple(measure.metrics), entry.fits)


@dataclass
class Rescored:
    """What came of it."""

    records: list[Record]
    """Those that were scored, those that failed, and all that are of no test split."""
    given: frozenset[str] = frozenset()
    """The values that the metric gave."""
    without: int = 0
    """Trials that have kept no outputs, and are left out."""
    problems: Sequence[str] = ()


def rescored(
    kept: Iterable[tuple[Path, Record]],
    metric: Wanted,
    references: Callable[[Record], Sequence[Text]],
) -> Rescored:
    """The records, each with the folder that it is from, with these scores.

    references: of the test split of a record, in plain words; asked once for the same data.
    RecordsError if no trial of a task that the metric fits has kept outputs; PluginError if the
    metric fails.
    """
    found, problems = Rescored([]), list[str]()
    gold: dict[str, Sequence[Text]] = {}
    for folder, record in kept:
        if not record.is_trial or record.is_search or record.status != "ok":
            found.records.append(record)
            continue
        if metric.fits and record.trial_results["task"]["kind"] not in metric.fits:
            continue
        outputs = _outputs(folder, record, problems)
        if not any(outputs):
            found.without += 1
            continue
        data = record.trial["data"]
        if data not in gold:
            gold[data] = references(record)
        found.records.append(_scored(record, metric, outputs, gold[data]))
    if not gold:
        raise RecordsError(
            "\n".join(problems)
            or f"no trial here has kept outputs of a kind that {metric.name} scores"
        )
    given = {
        name
        for record in found.records
        if record.trial_results.get("outputs")
        for decoded in record.trial_results["decoding"]
        for name in decoded["metrics"]
    }
    if not given & {*metric.values}:
        raise PluginError(f"metric {metric.name!r} gave none of {', '.join(metric.values)}")
    return replace(found, given=frozenset(given), problems=problems)


def _outputs(folder: Path, record: Record, problems: list[str]) -> Sequence[Sequence[Text] | None]:
    try:
        return read_outputs(folder, record) if has_outputs(folder, record) else ()
    except RecordsError as error:
        problems.append(str(error))
        return ()


def _scored(
    record: Record,
    metric: Wanted,
    outputs: Sequence[Sequence[Text] | None],
    references: Sequence[Text],
) -> Record:
    """The record with the values of the metric, whatever it had under their names."""
    decoding, task = record.trial_results["decoding"], record.trial_results["task"]
    scored = [
        each if wrote is None else _of_decoder(each, metric, wrote, references)
        for each, wrote in zip(decoding, outputs, strict=True)
    ]
    about = _task(task, metric.measure, metric.values)
    return replace(record, results={**record.results, "decoding": scored, "task": about})


def _of_decoder(
    decoded: DecodedData, metric: Wanted, outputs: Sequence[Text], references: Sequence[Text]
) -> DecodedData:
    try:
        scores = metric.measure.score(outputs, references)
    except Exception as error:  # whatever a plugin's metric throws
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(
            f"metric {metric.name!r} cannot score what {decoded['decoder']['name']} wrote: {reason}"
        ) from error

    def only(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name in metric.values}

    # To 6 digits, as records have them.
    examples: dict[str, list[float | None]] = {
        name: [float(f"{value:.6g}") for value in values]
        for name, values in only(scores.examples).items()
    }
    return {
        **decoded,
        "metrics": {**decoded["metrics"], **only(scores.metrics)},
        "examples": {**decoded["examples"], **examples},
        "signatures": {**decoded["signatures"], **only(scores.signatures)},
    }


def _task(task: TaskData, measure: Measure, values: Sequence[str]) -> TaskData:
    """What is known of the task's metrics, and of these, which tables then show."""
    facts = {name: cast(MetricData, asdict(measure.metrics[name])) for name in values}
    also = [*task["also"], *(n for n in values if n not in (task["metric"], *task["also"]))]
    return {**task, "also": also, "metrics": {**task.get("metrics", {}), **facts}}
