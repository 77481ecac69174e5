"""How parts are called in tables: by label, else name; what differs is added in brackets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msbench.compare.rows import Row
from msbench.records.record import Record
from msbench.spec import AXES, identity


class Labels:
    """How parts are called in tables: by label, else name; what differs is added in brackets.

    Two parts of one kind on the same task that would be called the same are told apart by the
    options in which they differ.
    """

    def __init__(self, records: Sequence[Record]):
        seen: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
        for job in {record.group: record for record in records}.values():
            for kind, task, name, part in _named(job):
                seen.setdefault((kind, task, name), {})[text_of(part)] = _flat(part)
        self._labels: dict[tuple[str, str, str], str] = {}
        for (kind, task, name), parts in seen.items():
            differing = _differing(list(parts.values()))
            for text, flat in parts.items():
                told = ", ".join(f"{k}={flat.get(k, '-')}" for k in differing)
                self._labels[kind, task, text] = f"{name} ({told})" if told else name
        self._axes: dict[str, Row] = {}

    def axes(self, record: Record) -> Row:
        """The labels of a trial's axes."""
        if record.group not in self._axes:
            self._axes[record.group] = self.strategy(record, record.job)
        return self._axes[record.group]

    def decoder(self, record: Record, part: Mapping[str, Any]) -> str:
        """The label of a decoder in a record."""
        return self.of(record, "decoder", part)

    def strategy(self, record: Record, trial: Mapping[str, Any]) -> Row:
        """The labels of one trial of a record's job."""
        rest = {str(axis): self.of(record, axis, _part(trial, axis)) for axis in AXES[1:]}
        return {"task": self.task(record, trial), **rest}

    def task(self, record: Record, trial: Mapping[str, Any]) -> str:
        """The label of a trial's task."""
        return self._labels["task", _name(trial["task"]), text_of(_task_part(trial))]

    def of(self, record: Record, kind: str, part: Mapping[str, Any]) -> str:
        """The label of a part in a record."""
        first = record.job if record.is_trial else record.job["strategies"][0]
        return self._labels[kind, _name(first["task"]), text_of(part)]


def machine_names(machines: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """(a short name for each machine: its processor, numbered where several have one; notes that
    say what those differ in)."""
    processors = [str(machine.get("processor", "unknown")) for machine in machines]
    names, notes = [], []
    for number, (processor, machine) in enumerate(zip(processors, machines, strict=True)):
        alike = [_flat(m) for p, m in zip(processors, machines, strict=True) if p == processor]
        if len(alike) == 1:
            names.append(processor)
            continue
        names.append(f"{processor} #{processors[: number + 1].count(processor)}")
        flat = _flat(machine)
        told = ", ".join(f"{key}={flat.get(key, '-')}" for key in _differing(alike))
        notes.append(f"machine {names[-1]}: {told}")
    return names, notes


def _named(record: Record) -> Iterable[tuple[str, str, str, Mapping[str, Any]]]:
    """(kind, task, name, part) of everything in a record's job."""
    for trial in (record.job,) if record.is_trial else record.job["strategies"]:
        task = _name(trial["task"])
        yield "task", task, task, _task_part(trial)
        for kind in AXES[1:]:
            yield kind, task, _name(trial[kind]), _part(trial, kind)
        for part in trial["decoders"]:
            yield "decoder", task, _name(part), part


def _task_part(trial: Mapping[str, Any]) -> Mapping[str, Any]:
    """The task, with what else makes numbers incomparable."""
    keys = ("training", "learner", "device", "threads", "dtype", "data", "phases")
    around = {key: value for key, value in identity(trial).items() if key in keys}
    return {**trial["task"], "around": around}


def _part(trial: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A part of a trial; of an optimizer that was tuned, without what was searched: by that it is
    not told from others."""
    part: Mapping[str, Any] = trial[kind]
    if kind == "optimizer" and trial.get("tuned"):
        for name in trial["tuned"]["options"]:
            part = _without(part, name.split("."))
    return part


def _without(part: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    options = dict(part["options"])
    if len(path) == 1:
        options.pop(path[0], None)
    else:
        options[path[0]] = _without(options[path[0]], path[1:])
    return {**part, "options": options}


def _name(part: Mapping[str, Any]) -> str:
    return str(part["label"] or part["name"])


def text_of(part: Mapping[str, Any]) -> str:
    """A part as text: equal texts are equal parts."""
    return json.dumps(part, sort_keys=True)


def _flat(part: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"lr": 0.1, "base.name": "adamw", "base.lr": 0.01, ...}."""
    flat: dict[str, Any] = {}
    for key, value in part.items():
        if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            flat.update(_flat({f"{key}[{n}]": v for n, v in enumerate(value, start=1)}, prefix))
        elif isinstance(value, Mapping):
            inner = prefix if key in ("options", "around") else f"{prefix}{key}."
            flat.update(_flat(value, inner))
        else:
            flat[prefix + key] = value
    return flat


def _differing(flats: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for flat in flats for key in flat)
    return [key for key in keys if len({text_of({"": flat.get(key)}) for flat in flats}) > 1]
