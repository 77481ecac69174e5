"""What is asked of records: the question that was declared, or another one at the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msbench.compare.columns import Columns
from msbench.compare.labels import Labels
from msbench.compare.rows import CellRow
from msbench.errors import MsbenchError, did_you_mean, printable
from msbench.records.record import Record
from msbench.spec import COMPARED, VARYING, Compared, Question

PLAIN = ("greedy", "argmax", "cross-entropy", "constant")
"""Decoders, losses and schedules that others are compared with unless told otherwise."""


@dataclass(frozen=True)
class Asked:
    """A question that is complete, in the names that tables use."""

    by: Compared
    baseline: str
    bases: Mapping[str, str]
    """Per task, the name of the baseline there."""
    decoders: Mapping[str, str]
    """Per task, the decoder that decides where decoders are not what is compared."""
    decides: Sequence[bool]
    """Of every cell, whether its verdict answers the declared question."""
    notes: Sequence[str]
    """In what it is not the declared one."""
    max_seeds: int = 0
    """Seeds were added until there was a verdict, up to so many; 0 if not."""


def metrics_of(columns: Columns, labels: Labels, question: Question | None) -> dict[str, str]:
    """Per task, by its label, the metric that decides: the declared one, else the task's own."""
    found = {}
    for record, about in zip(columns.groups, columns.tasks, strict=True):
        task = labels.task(record.trial)
        named = _of_task(question.metric, labels, task) if question else ""
        if named or about:
            found[task] = named or (about["metric"] if about else "")
    return found


def asked(
    question: Question | None,
    cells: Sequence[CellRow],
    metrics: Mapping[str, str],
    labels: Labels,
    measured: Sequence[Record],
    *,
    by: Compared | None = None,
    baseline: str = "",
    metric: str = "",
) -> Asked:
    """The question, with what the command line says instead; where none was declared, that is it.

    metrics: `metrics_of`. Raises MsbenchError for an axis or a baseline that there is not.
    """
    if by is not None and by not in COMPARED:
        raise MsbenchError(f"cannot compare by {by!r}{did_you_mean(by, COMPARED)}")
    declared = question or Question(by, baseline)
    axis = declared.by or _varying(cells, labels, declared.baseline)
    other = by is not None and by != axis
    axis = by or axis
    known = {cell[axis] for cell in cells}
    if not known:  # trials without a decoder have losses alone
        return Asked(axis, "", {}, {}, [], [], declared.max_seeds)
    named, absent = "" if other else declared.baseline, ""
    if question and named and not any(labels.means(named, label) for label in known):
        named, absent = "", named
    first = named or _default(axis, known, measured, labels)
    bases, name = _bases(cells, labels, axis, baseline or first)
    notes = []
    if other:
        notes.append("the declared question compares another axis: verdicts here are secondary")
    elif absent:
        notes.append(
            f"the declared baseline {printable(absent)} is not in these results: verdicts here are "
            "secondary"
        )
    elif bases != _bases(cells, labels, axis, first)[0]:
        notes.append(f"the declared baseline is {first}: verdicts here are secondary")
    decoders = _decoders(declared, cells, labels)
    decides = [
        cell["main"]
        and not notes
        and (axis == "decoder" or cell["decoder"] == decoders.get(cell["task"]))
        and metric in ("", metrics.get(cell["task"]))
        for cell in cells
    ]
    if metric and not notes and not any(decides):
        notes.append(f"{metric} is not the declared metric: verdicts here are secondary")
    missing = [] if metric or question is None else _missing(question, cells, metrics, labels)
    return Asked(axis, name, bases, decoders, decides, [*notes, *missing], declared.max_seeds)


def _missing(
    question: Question, cells: Sequence[CellRow], metrics: Mapping[str, str], labels: Labels
) -> list[str]:
    """Declared metrics and decoders that no record has."""
    there = {(cell["task"], cell["metric"]) for cell in cells}
    notes = [
        f"{task}: no record has the declared metric {printable(name)}, so nothing decides there"
        for task, name in metrics.items()
        if (task, name) not in there
    ]
    for task in dict.fromkeys(cell["task"] for cell in cells):
        named = _of_task(question.decoder, labels, task)
        have = {cell["decoder"] for cell in cells if cell["task"] == task}
        if named and not any(labels.means(named, each) for each in have):
            notes.append(
                f"{task}: no record has the declared decoder {printable(named)}; another decides"
            )
    return notes


def _of_task(by_task: Mapping[str, str], labels: Labels, task: str) -> str:
    """What is said of a task; one that is told apart by its options has its name in the suite."""
    return by_task.get(task, by_task.get(labels.name(task), ""))


def _varying(cells: Sequence[CellRow], labels: Labels, baseline: str) -> Compared:
    """The axis that the baseline is of, if one is named, else one in which cells of one task
    differ."""
    for axis in VARYING:
        if baseline and any(labels.means(baseline, name) for name in {c[axis] for c in cells}):
            return axis
    tasks = len({cell["task"] for cell in cells})
    for axis in VARYING:
        if len({(cell["task"], cell[axis]) for cell in cells}) > tasks:
            return axis
    return "optimizer"


def _decoders(question: Question, cells: Sequence[CellRow], labels: Labels) -> dict[str, str]:
    """Per task the decoder that decides: the declared one, else one of PLAIN, else the first by
    name."""
    there: dict[str, set[str]] = {}
    for cell in cells:
        if cell["main"]:
            there.setdefault(cell["task"], set()).add(cell["decoder"])
    found = {}
    for task, names in there.items():
        named = _of_task(question.decoder, labels, task)
        meant = sorted(name for name in names if named and labels.means(named, name))
        plain = [name for name in PLAIN if name in names]
        found[task] = [*meant, *plain, *sorted(names)][0]
    return found


def _bases(
    cells: Sequence[CellRow], labels: Labels, by: Compared, baseline: str
) -> tuple[dict[str, str], str]:
    """(per task the name of the baseline there, its name).

    A bare name also means the first of several that are told apart by their options.
    """
    names: dict[str, list[str]] = {}
    for cell in cells:
        names.setdefault(cell["task"], []).append(cell[by])
    bases = {}
    for task, labels_there in names.items():
        meant = [label for label in sorted(labels_there) if labels.means(baseline, label)]
        if meant:
            bases[task] = baseline if baseline in meant else meant[0]
    if not bases:
        known = {label for labels_there in names.values() for label in labels_there}
        raise MsbenchError(f"no {by} {baseline!r} in these results{did_you_mean(baseline, known)}")
    return bases, bases[min(bases)] if len(set(bases.values())) == 1 else baseline


def _default(by: Compared, names: set[str], measured: Sequence[Record], labels: Labels) -> str:
    if by == "optimizer" and measured:
        record = measured[-1]
        return labels.strategy(record, record.trial)["optimizer"]
    return next((plain for plain in PLAIN if plain in names), min(names))
