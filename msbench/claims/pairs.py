"""Who is compared with whom: multi-step strategies and their single-step bases, in records."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from msbench.claims.evidence import Evidence, Trials
from msbench.claims.results import Subject
from msbench.compare.rows import StrategyKey
from msbench.records.schema import PartData
from msbench.spec import is_part

Declared = Mapping[tuple[str, str], tuple[str, str]]
"""What plugins declare of a strategy: (kind, name) -> (how it is multi-step, its base's name)."""

UNKNOWN = "unknown"
"""How a strategy is multi-step whose plugin is not installed."""

SAMPLING = ("self-critical", "minimum-risk")
"""Losses that learn from outputs drawn from the model, as in reinforcement learning."""


@dataclass(frozen=True)
class Competitor:
    """An optimizer or a decoder in records, with everything else that it ran with."""

    kind: Literal["optimizer", "decoder"]
    axes: StrategyKey
    label: str
    part: PartData
    """Its name, options and so on, as in the job."""
    trials: Trials
    cell: int = -1
    """Of a decoder, its row in the scores with the task's metric."""

    @property
    def setting(self) -> tuple[str, StrategyKey]:
        """Those that can be compared with it have the same."""
        axes = self.axes._replace(optimizer="") if self.kind == "optimizer" else self.axes
        return self.kind, axes

    @property
    def wrapped(self) -> PartData | None:
        """The optimizer that it wraps, if it is a wrapper."""
        inner = self.part["options"].get("base") if self.kind == "optimizer" else None
        return cast(PartData, inner) if is_part(inner) else None


@dataclass(frozen=True)
class Pair:
    """A multi-step strategy and its base, which are equal in all else."""

    strategy: Competitor
    base: Competitor
    subject: Subject
    """The columns that describe it."""

    @property
    def trials(self) -> NDArray[np.int64]:
        """(2, seeds): those of the strategy and those of the base."""
        return np.array([self.strategy.trials, self.base.trials])


def find_pairs(evidence: Evidence, declared: Declared) -> tuple[list[Pair], list[str]]:
    """(every multi-step strategy with its base; sentences on what could not be paired, or differs).

    A wrapper's base is the optimizer that it wraps, by name; of several the one with equal options,
    else the one whose validation loss is lowest: the base at its best. Both decoders of a pair
    predict with the same trained model.
    """
    competitors = [*_optimizers(evidence), *_decoders(evidence)]
    rivals: dict[tuple[str, StrategyKey], list[Competitor]] = defaultdict(list)
    for competitor in competitors:
        rivals[competitor.setting].append(competitor)
    pairs: list[Pair] = []
    remarks: dict[str, list[str]] = defaultdict(list)
    for mine in competitors:
        steps, base = declared.get((mine.kind, mine.part["name"]), (UNKNOWN, ""))
        base = mine.wrapped["name"] if mine.wrapped else base
        bases = [r for r in rivals[mine.setting] if r is not mine and r.part["name"] == base]
        theirs = min(bases, key=lambda r: _distance(evidence, mine, r)) if steps and bases else None
        if theirs:
            pairs.append(Pair(mine, theirs, _subject(evidence, mine, theirs, steps)))
        for remark in _remarks(evidence, mine, theirs, steps, base):
            remarks[remark].append(mine.axes.task)
    return pairs, [f"{text} ({', '.join(dict.fromkeys(t))})" for text, t in remarks.items()]


def decoder_part(evidence: Evidence, cell: int) -> PartData:
    """The decoder that a row of the scores is of, as in the job."""
    trials = _trials(evidence, cell)
    place = int(evidence.scores.place[cell, trials.argmax()])
    return evidence.job(trials)["decoders"][place]


def _optimizers(evidence: Evidence) -> Iterator[Competitor]:
    for axes, trials in sorted(evidence.trials.items()):
        part = evidence.job(trials)["optimizer"]
        yield Competitor("optimizer", axes, axes.optimizer, part, trials)


def _decoders(evidence: Evidence) -> Iterator[Competitor]:
    for axes, cells in sorted(evidence.cells.items()):
        for label, cell in cells.items():
            part = decoder_part(evidence, cell)
            yield Competitor("decoder", axes, label, part, _trials(evidence, cell), cell)


def _trials(evidence: Evidence, cell: int) -> Trials:
    scores = evidence.scores
    return np.where(scores.status[cell] >= 0, scores.trial[cell], -1)


def _remarks(
    evidence: Evidence, mine: Competitor, theirs: Competitor | None, steps: str, base: str
) -> Iterator[str]:
    if steps == UNKNOWN:
        yield f"{mine.label}: unknown whether multi-step, since its plugin is not installed"
    if theirs:
        options = _set_apart(evidence, mine, theirs) if mine.kind == "optimizer" else ""
        if options:
            yield f"{mine.label} and its base {theirs.label} differ in {options}, too"
    elif steps and base:
        yield f"{mine.label}: not judged, since its base {base} was not run beside it"
    elif steps and steps != UNKNOWN:
        yield f"{mine.label}: not judged, since its plugin declares no base"


def _distance(evidence: Evidence, mine: Competitor, base: Competitor) -> tuple[float, float]:
    """The base with the least is chosen: by options that differ, then by validation loss."""
    unlike = _unlike(mine, base)
    if mine.kind == "decoder":
        return len(unlike), 0.0
    best = evidence.best(base.trials)
    return bool(unlike), float(np.where(np.isnan(best), np.inf, best).mean())


def _unlike(mine: Competitor, base: Competitor) -> dict[str, tuple[str, str]]:
    """Options in which a base differs from a strategy, or from what that wraps, as (the strategy's,
    the base's) values. A strategy that wraps nothing may have options of its own."""
    one, two = (mine.wrapped or mine.part)["options"], base.part["options"]
    names = {**one, **two} if mine.wrapped else [name for name in one if name in two]
    text = partial(json.dumps, sort_keys=True)
    values = {name: (text(one.get(name)), text(two.get(name))) for name in names}
    return {name: texts for name, texts in values.items() if texts[0] != texts[1]}


def _set_apart(evidence: Evidence, mine: Competitor, base: Competitor) -> str:
    """The options of two optimizers that differ without having been tuned, such as
    `"lr 0.1 and 0.2"`."""
    tuned = [*evidence.tuned(mine.trials, "options"), *evidence.tuned(base.trials, "options")]
    searched = {path.rpartition(".")[2] for path in tuned}
    return ", ".join(
        f"{name} {one} and {two}"
        for name, (one, two) in _unlike(mine, base).items()
        if name not in searched
    )


def _subject(evidence: Evidence, mine: Competitor, base: Competitor, steps: str) -> Subject:
    job = evidence.job(mine.trials)
    task = evidence.columns.tasks[evidence.columns.trials["group"][mine.trials.max()]]
    weights = evidence.columns.trials["parameters"][mine.trials[mine.trials >= 0]]
    losses = [job["loss"], *(loss for p in job.get("phases", ()) if (loss := p["loss"]))]
    return {
        **mine.axes.row(),
        "decoder": mine.label if mine.kind == "decoder" else "",
        "kind": mine.kind,
        "strategy": mine.label,
        "base": base.label,
        "steps": steps,
        "seeds": int(((mine.trials >= 0) & (base.trials >= 0)).sum()),
        "train_examples": task["sizes"].get("train") if task else None,
        "parameters": None if np.isnan(weights).all() else int(np.nanmax(weights)),
        "task_name": job["task"]["name"],
        "multitask": len(job["task"]["options"].get("of") or ()) > 1,
        "reinforcement": any(loss["name"] in SAMPLING for loss in losses),
    }
