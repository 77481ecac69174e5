"""How parts are called in tables: by label, else name; what differs is added in brackets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from msbench.compare.rows import StrategyKey, StrategyRow
from msbench.compare.short_names import Name, names, unique
from msbench.records.record import Record
from msbench.records.schema import PartData, StrategyData, TrialData
from msbench.spec import AXES, SCHEDULE, identity, is_part

_OTHERS = AXES[1:]
"""The axes but the task."""


_UNNAMED = ("options", "around", "libraries")
"""What need not be said of the place of a value: `learner.torch`, not `learner.libraries.torch`."""


class Labels:
    """The names of parts in tables.

    Two parts of one kind on the same task that would be called the same are told apart by the
    options in which they differ.
    """

    def __init__(self, records: Sequence[Record]):
        parts: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
        for record in {record.group: record for record in records}.values():
            for kind, task, part in _parts_of(record):
                alike = parts.setdefault((kind, task, display_name(part)), {})
                alike[text_of(part)] = flattened(part)
        self._labels: dict[tuple[str, str, str], str] = {}
        self._names: dict[str, str] = {}
        named: dict[tuple[str, str], dict[str, Name]] = {}
        for (kind, task, name), alike in parts.items():
            flat = list(alike.values())
            found = dict(zip(alike, names(name, flat, _differing(flat)), strict=True))
            named.setdefault((kind, "" if kind == "task" else task), {}).update(found)
        for (kind, task), of_kind in named.items():
            for text, label in unique(of_kind).items():
                own = of_kind[text].own
                self._labels[kind, task or own, text] = label
                self._names[label] = own
        self._axes: dict[str, StrategyRow] = {}

    def means(self, name: str, label: str) -> bool:
        """Whether a name that a user gives means the part of this label: a bare name also means
        those that are told apart by their options."""
        return name in (label, self._names.get(label))

    def name(self, label: str) -> str:
        """A label without what tells it from others."""
        return self._names.get(label, label)

    def axes(self, record: Record) -> StrategyRow:
        """The labels of a trial's axes."""
        if record.group not in self._axes:
            self._axes[record.group] = self.strategy(record, record.trial)
        return self._axes[record.group]

    def key(self, record: Record) -> StrategyKey:
        """The labels of a trial's axes: what tells its strategy."""
        return StrategyKey.of(self.axes(record))

    def strategy(
        self, record: Record, trial: TrialData, timed: StrategyData | None = None
    ) -> StrategyRow:
        """The labels of one trial of a record's job; timed: of a strategy on its task and model."""
        told = {a: _part(timed if timed and a in timed else trial, a) for a in _OTHERS}
        named = {axis: self.of(record, axis, part) for axis, part in told.items()}
        return StrategyKey(task=self.task(trial), **named).row()

    def task(self, trial: TrialData) -> str:
        """The label of a trial's task."""
        name = display_name(trial["task"])
        return self._labels["task", name, text_of(_task_around(trial))]

    def of(self, record: Record, kind: str, part: PartData) -> str:
        """The label of a part in a record."""
        return self._labels[kind, display_name(record.trial["task"]), text_of(part)]


def machine_names(machines: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """(a short name for each machine: its processor, numbered where several have one; notes that
    say what those differ in)."""
    processors = [str(machine.get("processor", "unknown")) for machine in machines]
    names, notes = [], []
    for number, (processor, machine) in enumerate(zip(processors, machines, strict=True)):
        alike = [flattened(m) for p, m in zip(processors, machines, strict=True) if p == processor]
        if len(alike) == 1:
            names.append(processor)
            continue
        names.append(f"{processor} #{processors[: number + 1].count(processor)}")
        flat = flattened(machine)
        told = ", ".join(f"{key}={flat.get(key, '-')}" for key in _differing(alike))
        notes.append(f"machine {names[-1]}: {told}")
    return names, notes


def display_name(part: Mapping[str, Any]) -> str:
    """What a part is called where nothing else is called so."""
    return str(part["label"] or part["name"])


def text_of(part: Mapping[str, Any]) -> str:
    """A part as text: equal texts are equal parts."""
    return json.dumps(part, sort_keys=True)


def _parts_of(record: Record) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """(kind, name of the task, part) of everything in a record's job."""
    trials = [record.trial] if record.is_trial else record.measurement["strategies"]
    for trial in trials:
        task = display_name(trial["task"])
        yield "task", task, _task_around(trial)
        for axis in _OTHERS:
            yield axis, task, _part(trial, axis)
        for part in trial["decoders"]:
            yield "decoder", task, part


def _task_around(trial: TrialData) -> Mapping[str, Any]:
    """The task, with what else makes numbers incomparable."""
    keys = ("training", "learner", "device", "threads", "dtype", "data", "phases")
    around = {key: value for key, value in identity(trial).items() if key in keys}
    training = {k: v for k, v in around["training"].items() if k not in ("count", "compared")}
    if compared := around["training"].get("compared"):
        training["batch_size"], training["passes"] = compared
    around["training"] = training
    return {**trial["task"], "around": around}


def _part(trial: TrialData | StrategyData, axis: str) -> PartData:
    """A part of a trial; of a strategy that was tuned, without what was searched: by that it is not
    told from others, but by what its budget counts."""
    said: Mapping[str, Any] = trial
    part: PartData = said[axis]
    for name in (said.get("tuned") or {}).get("options", ()):
        of_schedule = name.startswith(SCHEDULE)
        if axis == ("schedule" if of_schedule else "optimizer"):
            part = _without(part, name.removeprefix(SCHEDULE).split("."))
    if axis == "optimizer":
        count = said.get("training", {}).get("count", "passes")
        part = cast(PartData, {**part, "budget": count})
    return part


def _without(part: PartData, path: Sequence[str]) -> PartData:
    options = dict(part["options"])
    if len(path) == 1:
        options.pop(path[0], None)
    elif is_part(options.get(path[0])):
        options[path[0]] = _without(options[path[0]], path[1:])
    return {**part, "options": options}


def flattened(part: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"lr": 0.1, "base.name": "adamw", "base.lr": 0.01, ...}."""
    flat: dict[str, Any] = {}
    for key, value in part.items():
        if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            flat.update(flattened({f"{key}[{n}]": v for n, v in enumerate(value, start=1)}, prefix))
        elif isinstance(value, Mapping):
            inner = prefix if key in _UNNAMED else f"{prefix}{key}."
            flat.update(flattened(value, inner))
        else:
            flat[prefix + key] = value
    return flat


def _differing(flats: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys under which not all have the same."""
    keys = dict.fromkeys(key for flat in flats for key in flat)
    return [key for key in keys if len({text_of({"": flat.get(key)}) for flat in flats}) > 1]
