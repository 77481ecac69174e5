"""Who is compared with whom: multi-step strategies and their single-step bases, in records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msbench.claims.results import Row
from msbench.compare.columns import Ledger
from msbench.compare.labels import Labels, text_of
from msbench.compare.verdicts import Scored
from msbench.spec import AXES

Declared = Mapping[tuple[str, str], tuple[str, str]]
"""What plugins say of a strategy: (kind, name) -> (how it is multi-step, the name of its base)."""


UNKNOWN = "unknown"
"""How a strategy is multi-step whose plugin is not installed."""


Trials = NDArray[np.int64]
"""Per seed of a ledger a trial of it, -1 where there is none."""


Axes = tuple[str, ...]


Part = Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """A multi-step strategy and its base, which are equal in all else."""

    kind: str
    """`"optimizer"` or `"decoder"`."""
    cell: Row
    """AXES of the strategy; of decoders also the decoder."""
    base: str
    """What the base is called in tables."""
    steps: str
    mine: Trials
    theirs: Trials
    places: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    """Of decoders: where they are in the job of each trial."""

    @property
    def name(self) -> str:
        """What the strategy is called in tables."""
        return str(self.cell[self.kind])


def strategies(ledger: Ledger, labels: Labels) -> dict[Axes, Trials]:
    """The trials of every strategy (AXES) by seed; of one seed the last counts."""
    found: dict[Axes, Trials] = {}
    of_group = [tuple(labels.axes(record)[axis] for axis in AXES) for record in ledger.groups]
    groups, seeds = ledger.trials["group"].tolist(), ledger.trials["seed"].tolist()
    for trial in np.flatnonzero(ledger.kept).tolist():
        axes = of_group[groups[trial]]
        if axes not in found:
            found[axes] = np.full(len(ledger.seeds), -1, dtype=np.int64)
        found[axes][seeds[trial]] = trial
    return found


def optimizer_pairs(
    ledger: Ledger, labels: Labels, declared: Declared
) -> tuple[list[Pair], list[str]]:
    """(every multi-step optimizer with its base; a sentence for what has none here).

    A wrapper's base is the optimizer that it wraps, by name; of several the one with equal options,
    else the one whose validation loss is lowest: the base at its best.
    """
    every = strategies(ledger, labels)
    parts = {axes: _optimizer(ledger, trials) for axes, trials in every.items()}
    place = AXES.index("optimizer")
    around: dict[Axes, list[Axes]] = {}
    for axes in sorted(every):
        around.setdefault(axes[:place] + axes[place + 1 :], []).append(axes)
    pairs, notes = [], _Notes()
    for axes, trials in sorted(every.items()):
        part, label, task = parts[axes], axes[place], axes[0]
        inner = part["options"].get("base")
        wrapped = inner if isinstance(inner, Mapping) else None
        steps, base = notes.told("optimizer", part, label, task, declared)
        base = wrapped["name"] if wrapped and steps else base
        others = [a for a in around[axes[:place] + axes[place + 1 :]] if a != axes]
        alike = [a for a in others if parts[a]["name"] == base]
        if not notes.has_base(label, task, steps, base, alike):
            continue
        unlike = {a: _unlike(wrapped or part, parts[a], whole=wrapped is not None) for a in alike}
        chosen = min(alike, key=lambda a: (bool(unlike[a]), _mean_best(ledger, every[a])))
        searched = _searched(ledger, trials) | _searched(ledger, every[chosen])
        if told := {k: v for k, v in unlike[chosen].items() if k not in searched}:
            options = ", ".join(f"{k} {mine} and {theirs}" for k, (mine, theirs) in told.items())
            notes.add(f"{label} and its base {chosen[place]} differ in {options}, too", task)
        cell: Row = dict(zip(map(str, AXES), axes, strict=True))
        pairs.append(Pair("optimizer", cell, chosen[place], steps, trials, every[chosen]))
    return pairs, notes.lines()


def decoder_pairs(
    ledger: Ledger, scores: Scored, declared: Declared
) -> tuple[list[Pair], list[str]]:
    """As `optimizer_pairs`; both decoders predicted with the very same trained model."""
    parts = [decoder_of(ledger, scores, number) for number in range(len(scores.cells))]
    trials = np.where(scores.status >= 0, scores.trial, -1)
    around: dict[Axes, list[int]] = {}
    for number, cell in enumerate(scores.cells):
        if cell["main"]:
            around.setdefault(tuple(cell[axis] for axis in AXES), []).append(number)
    pairs, notes = [], _Notes()
    for axes, numbers in sorted(around.items()):
        for mine in numbers:
            label, task = scores.cells[mine]["decoder"], axes[0]
            steps, base = notes.told("decoder", parts[mine], label, task, declared)
            alike = [n for n in numbers if n != mine and parts[n]["name"] == base]
            if not notes.has_base(label, task, steps, base, alike):
                continue
            theirs = min(alike, key=lambda n: len(_unlike(parts[mine], parts[n])))
            about: Row = {**dict(zip(map(str, AXES), axes, strict=True)), "decoder": label}
            told = str(scores.cells[theirs]["decoder"])
            places = scores.place[mine], scores.place[theirs]
            pairs.append(Pair("decoder", about, told, steps, trials[mine], trials[theirs], places))
    return pairs, notes.lines()


class _Notes:
    """Sentences on strategies that are not judged, each with the tasks that it is true of."""

    def __init__(self) -> None:
        self.tasks: dict[str, list[str]] = {}

    def add(self, sentence: str, task: str) -> None:
        tasks = self.tasks.setdefault(sentence, [])
        if task not in tasks:
            tasks.append(task)

    def told(
        self, kind: str, part: Part, label: str, task: str, declared: Declared
    ) -> tuple[str, str]:
        """(how a part is multi-step, its base); a sentence if nothing installed says so."""
        if (kind, part["name"]) not in declared:
            self.add(
                f"{label}: unknown whether multi-step, since its plugin is not installed", task
            )
        return declared.get((kind, part["name"]), (UNKNOWN, ""))

    def has_base(self, label: str, task: str, steps: str, base: str, alike: list[Any]) -> bool:
        """Whether there is something to compare with; a sentence if there should be."""
        if alike and steps:
            return True
        if base and steps:
            self.add(f"{label}: not judged, since its base {base} was not run beside it", task)
        elif steps and steps != UNKNOWN:
            self.add(f"{label}: not judged, since its plugin declares no base", task)
        return False

    def lines(self) -> list[str]:
        return [f"{sentence} ({', '.join(tasks)})" for sentence, tasks in self.tasks.items()]


def _optimizer(ledger: Ledger, trials: Trials) -> Part:
    part: Part = ledger.groups[ledger.trials["group"][trials.max()]].job["optimizer"]
    return part


def decoder_of(ledger: Ledger, scores: Scored, cell: int) -> Part:
    """The decoder that a cell is of."""
    seed = int(np.argmax(scores.status[cell] >= 0))
    job = ledger.groups[ledger.trials["group"][scores.trial[cell, seed]]].job
    part: Part = job["decoders"][scores.place[cell, seed]]
    return part


def _unlike(mine: Part, theirs: Part, *, whole: bool = False) -> dict[str, tuple[str, str]]:
    """Options that differ, with both values; unless `whole`, only of those that both have."""
    one, two = mine["options"], theirs["options"]
    names = [k for k in {**one, **two} if whole or (k in one and k in two)]
    texts = {k: (text_of(one.get(k)), text_of(two.get(k))) for k in names}
    return {k: pair for k, pair in texts.items() if pair[0] != pair[1]}


def _searched(ledger: Ledger, trials: Trials) -> set[str]:
    """Options that tuning chose, without the path to them."""
    tuned: Mapping[str, Any] = ledger.tuned.get(int(trials.max())) or {}
    return {name.rpartition(".")[2] for name in tuned.get("options", ())}


def _mean_best(ledger: Ledger, trials: Trials) -> float:
    """The mean over seeds of the best validation loss; what did not end ok is infinite."""
    there = trials[trials >= 0]
    best = np.where(ledger.ok[there], ledger.trials["best"][there], np.inf)
    return float(np.where(np.isnan(best), np.inf, best).mean())
