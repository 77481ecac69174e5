"""Records -> the recipe to use on a task: the recommended strategy, or the best of some."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from msbench.claims.evidence import Evidence, gather
from msbench.claims.recommend import recommend
from msbench.claims.results import RankedRow
from msbench.compare.rows import StrategyKey
from msbench.errors import MsbenchError
from msbench.plan.suite import choice_of
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.report.advice import advice_first, advice_reasons
from msbench.spec import Part, Question, Trial, display_name


@dataclass(frozen=True)
class Recipe:
    """What is trained, and why."""

    trial: Trial
    """One of the strategy's trials, with the decoder that predicts, and no other."""
    row: RankedRow
    """The strategy's rank, its score and the verdict on it."""
    advice: Sequence[str]
    """What `recommend` says of the task."""
    results: Any
    """Of that trial: what it scored, and on which data."""
    seconds: float
    """What it took."""


def find_recipe(
    records: Sequence[Record],
    question: Question | None,
    registry: Registry,
    *,
    task: str = "",
    model: str = "",
    optimizer: str = "",
    decoder: str = "",
) -> Recipe:
    """The best strategy of a task by the judge of `recommend`, with all that the longest trial took
    as its budget; of a model or an optimizer, the best of those alone.

    task: may be left out where there is one. decoder: what predicts, as a suite or `msbench decode`
    names it, instead of the one that the scores are of. The trial is that of the lowest seed: which
    seed is best is chance, and to choose one by test scores would flatter it.

    MsbenchError if there are several tasks or no such strategy, and where nothing is recommended
    and no strategy was asked for.
    """
    evidence = gather(records, "", question)
    task = task or _only_task(evidence)
    passes = [r.results["training"]["passes"] for r in records if r.is_trained and r.status == "ok"]
    found = recommend(records, "passes", max(passes, default=1.0), task=task, question=question)
    means = evidence.labels.means
    asked = model or optimizer
    rows = [
        row
        for row in found.rows
        if (not model or means(model, row["model"]))
        and (not optimizer or means(optimizer, row["optimizer"]))
    ]
    if not rows or not (asked or found.choices):
        raise MsbenchError(_nothing(task, evidence, found.notes, asked))
    best = min(rows, key=lambda row: row["rank"])
    record = _first_seed(records, evidence, best)
    trial = Trial.of(record.job)
    chosen = _decoder(trial, best["decoder"], record, evidence, registry, decoder)
    return Recipe(
        replace(trial, decoders=(chosen,)),
        best,
        [*advice_first(found), *advice_reasons(found)],
        record.results,
        record.seconds,
    )


def _only_task(evidence: Evidence) -> str:
    tasks = sorted({strategy.task for strategy in evidence.trials})
    if len(tasks) > 1:
        raise MsbenchError(
            f"these results have several tasks: say one with --task: {', '.join(tasks)}"
        )
    return tasks[0]


def _nothing(task: str, evidence: Evidence, notes: Sequence[str], asked: str) -> str:
    there = sorted({strategy.optimizer for strategy in evidence.trials if strategy.task == task})
    such = f"no strategy {asked!r} that ended ok" if asked else "nothing that is recommended"
    why = next((f" ({note})" for note in notes if note.startswith(task)), "")
    return f"{task}: {such}{why}; with --optimizer NAME one of these is fitted: {', '.join(there)}"


def _first_seed(records: Sequence[Record], evidence: Evidence, row: RankedRow) -> Record:
    """The trial of the lowest seed; one that had the decoder, if it was decoded again."""
    wanted = StrategyKey.of(row)
    of_it = [
        record
        for record in records
        if record.is_trained and record.status == "ok" and evidence.labels.key(record) == wanted
    ]
    decoded = [each for each in of_it if row["decoder"] in _decoders(each, evidence)]
    return min(decoded or of_it, key=lambda record: record.trial["seed"])


def _decoders(record: Record, evidence: Evidence) -> list[str]:
    """What tables call the decoders of a trial, in its order."""
    return [evidence.labels.of(record, "decoder", part) for part in record.trial["decoders"]]


def _decoder(
    trial: Trial, label: str, record: Record, evidence: Evidence, registry: Registry, asked: str
) -> Part:
    """What predicts: as asked, else what the scores are of, else the first that predicts anything.

    A decoder that only scores texts writes none.
    """
    if asked:
        known = {display_name(part): part for part in trial.decoders}
        return known.get(asked) or registry.resolve(
            "decoder", choice_of(asked, f"--decoder {asked!r}")
        )
    named = dict(zip(_decoders(record, evidence), trial.decoders, strict=True))
    first = [named[label]] if label in named else []
    for part in (*first, *trial.decoders):
        if not registry.find("decoder", part.name).reads_targets:
            return part
    raise MsbenchError(
        f"decoder {trial.decoders[0].name!r} scores texts and writes none: name one that writes "
        f"with --decoder, such as greedy"
    )
