"""What strategies wrote for the same test examples, side by side, and which are worth a look."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msbench.compare.labels import Labels
from msbench.compare.rows import Comparison, StrategyKey, StrategyRow
from msbench.compare.versions import by_versions
from msbench.errors import MsbenchError, RecordsError, did_you_mean
from msbench.records.outputs import has_outputs, read_outputs
from msbench.records.record import Record
from msbench.records.schema import DecodedData

Kept = Iterable[tuple[Path, Record]]
"""Records, each with the folder that it is from."""

Text = str | Sequence[str]
"""A text or the name of a label; of tags or words a list."""


@dataclass(frozen=True)
class Writer:
    """A strategy with a decoder: what it wrote for every test example, with one seed."""

    axes: StrategyRow
    decoder: str
    seed: int
    folder: Path
    record: Record
    place: int
    """Of the decoder in the record."""
    metric: str
    """What the scores are by; empty if there are none per example."""
    sign: int
    """-1 where lower scores are better, else 1."""

    @cached_property
    def outputs(self) -> Sequence[Text]:
        """What it wrote, read from the disk; nothing of a decoder that writes nothing.

        RecordsError if the file is not whole.
        """
        return read_outputs(self.folder, self.record)[self.place] or ()

    @property
    def scores(self) -> NDArray[np.float64]:
        """(examples,) NaN where not known."""
        decoded = self.record.trial_results["decoding"][self.place]
        values = decoded["examples"].get(self.metric) or [None] * decoded["count"]
        return np.array(values, dtype=float)

    def is_called(self, name: str) -> bool:
        """Whether a name that a user gives is one of its: of its optimizer, its decoder, ..."""
        own = [*StrategyKey.of(self.axes)[1:], self.decoder]
        return name in own or name in [each.partition(" (")[0] for each in own]


@dataclass(frozen=True)
class Examples:
    """Test examples of a task, as people read them."""

    sources: Sequence[Text]
    references: Sequence[Text]


class OutputRow(StrategyRow):
    """What one strategy wrote for one example."""

    decoder: str
    seed: int
    example: int
    """Its place in the test split, from 0."""
    why: str
    """Why it is shown, where it was chosen."""
    source: Text
    reference: Text
    output: Text
    metric: str
    score: float


@dataclass(frozen=True)
class Outputs:
    """Examples with what strategies wrote for them."""

    rows: Sequence[OutputRow]
    notes: Sequence[str] = field(default_factory=tuple)


def writers(
    kept: Kept,
    comparison: Comparison,
    problems: list[str],
    *,
    decoders: Sequence[str] = (),
    seeds: Sequence[int] = (),
    metric: str = "",
) -> list[Writer]:
    """Who wrote something, by task; of each task with the seed that most of them have outputs of.

    comparison: of these records; its rows are the strategies that are meant. problems: gets a
    sentence for each file that is not whole, and is left out. decoders: by name; by default those
    that decide, if they write anything, else all. metric: of the scores, by default the one that
    decides. RecordsError if nobody has kept outputs, MsbenchError if there is no such decoder, or
    no score by that metric.
    """
    records = list(kept)
    known = [by_versions(r) for _, r in records if not r.is_yardstick]
    labels = Labels([r for r in known if r.is_trial or r.status == "ok"])
    found: dict[tuple[str, int], dict[tuple[StrategyKey, str], Writer]] = {}
    rows = {(StrategyKey.of(r), r["decoder"]) for r in comparison.accuracy}
    deciding = {r["task"]: r["metric"] for r in comparison.accuracy if r["decides"]}
    for folder, record in records:
        if not record.is_trained or record.status != "ok" or not has_outputs(folder, record):
            continue
        if seeds and record.trial["seed"] not in seeds:
            continue
        versioned = by_versions(record)
        axes, seed = labels.axes(versioned), record.trial["seed"]
        for place, decoded in enumerate(record.trial_results["decoding"]):
            label = labels.of(versioned, "decoder", decoded["decoder"])
            key = StrategyKey.of(axes), label
            if key in rows:
                names = _metrics(metric, deciding.get(axes["task"], ""), record, decoded)
                scored = next(iter(names), "")
                about = (axes, label, seed, folder, record, place, scored, _sign(record, scored))
                found.setdefault((axes["task"], seed), {})[key] = Writer(*about)
    whole = [[w for w in of_task if _is_whole(w, problems)] for of_task in _one_seed(found)]
    if not any(whole):
        raise RecordsError(
            "\n".join(problems)
            or "none of these trials has kept outputs: they ran before outputs were kept, with "
            "keep_outputs = false, or the folder outputs/ is no longer beside their records"
        )
    chosen = [w for of_task in whole for w in _decoders(of_task, comparison, decoders)]
    if not chosen:
        there = {w.decoder for each in whole for w in each}
        raise MsbenchError(
            f"no outputs of decoder {decoders[0]!r}{did_you_mean(decoders[0], there)}"
        )
    if metric and not any(w.metric for w in chosen):
        raise MsbenchError(f"no scores per example by {metric!r} in these results")
    return chosen


def by_task(found: Sequence[Writer]) -> dict[str, list[Writer]]:
    """The writers of each task."""
    tasks: dict[str, list[Writer]] = {}
    for each in found:
        tasks.setdefault(each.axes["task"], []).append(each)
    return tasks


Picks = Mapping[int, str]
"""Examples to show, in this order, and why."""


def first(found: Sequence[Writer], number: int) -> Picks:
    """The first examples."""
    return dict.fromkeys(range(min(number, len(found[0].scores))), "")


def worst(found: Sequence[Writer], number: int) -> Picks:
    """The examples with the lowest scores, as a mean over the writers; the lowest first.

    MsbenchError if no scores per example are known.
    """
    means = _goodness(found)
    if np.isnan(means).all():
        raise MsbenchError(
            f"{found[0].axes['task']}: its records have no scores per example, so there is no worst"
        )
    order = np.argsort(means, kind="stable")[:number]
    return {int(at): "" for at in order if not np.isnan(means[at])}


def between(found: Sequence[Writer], one: str, other: str, number: int) -> Picks:
    """The examples for which these two wrote something else, the largest difference of scores
    first."""
    sides = [[w for w in found if w.is_called(name)] for name in (one, other)]
    if not all(sides):
        return {}
    gap = np.nan_to_num(np.abs(np.subtract(*map(_goodness, sides))))
    columns = [[list(w.outputs) for w in side] for side in sides]
    apart = [at for at in range(len(gap)) if _texts(columns[0], at) != _texts(columns[1], at)]
    return dict.fromkeys(sorted(apart, key=lambda at: -gap[at])[:number], "")


def highlights(found: Sequence[Writer]) -> Picks:
    """One example each: the best, the median and the worst by mean score, and that in which scores
    differ most; the first ones where there are no scores."""
    means = _goodness(found)
    known = np.flatnonzero(~np.isnan(means))
    if not len(known):
        return first(found, 3)
    order = known[np.argsort(means[known], kind="stable")]
    spread = np.ptp(np.array([w.scores for w in found])[:, known], axis=0)
    wanted = {
        "worst": order[0],
        "median": order[len(order) // 2],
        "best": order[-1],
        "differ most": known[int(np.nanargmax(spread))] if np.nanmax(spread) > 0 else order[0],
    }
    picks: dict[int, str] = {}
    for why, at in wanted.items():
        picks.setdefault(int(at), why)
    return picks


def output_rows(
    found: Sequence[Writer], picks: Picks, examples: Examples | None
) -> list[OutputRow]:
    """A row for every pick and writer of a task; without examples, with no source and reference."""
    columns = [(w, w.outputs, w.scores.tolist()) for w in found]
    return [
        {
            **writer.axes,
            "decoder": writer.decoder,
            "seed": writer.seed,
            "example": at,
            "why": why,
            "source": examples.sources[at] if examples else "",
            "reference": examples.references[at] if examples else "",
            "output": outputs[at],
            "metric": writer.metric,
            "score": scores[at],
        }
        for at, why in picks.items()
        for writer, outputs, scores in columns
    ]


def check_names(found: Sequence[Writer], names: Sequence[str]) -> None:
    """MsbenchError for a name that no writer has, or for two that are of the same."""
    called = [{id(w) for w in found if w.is_called(name)} for name in names]
    for name, own in zip(names, called, strict=True):
        if not own:
            there = {part for w in found for part in (w.axes["optimizer"], w.decoder)}
            raise MsbenchError(
                f"nobody called {name!r} has kept outputs{did_you_mean(name, there)}"
            )
    if called[0] & called[1]:
        raise MsbenchError(f"{names[0]!r} and {names[1]!r} are not two: both mean the same outputs")


def _goodness(found: Sequence[Writer]) -> NDArray[np.float64]:
    """(examples,) mean score over the writers, more being better; NaN where one is not known."""
    return np.asarray(np.mean([w.sign * w.scores for w in found], axis=0))


def _is_whole(writer: Writer, problems: list[str]) -> bool:
    """Whether it wrote something that can be read; what cannot be is added to the problems once."""
    try:
        return bool(writer.outputs)
    except RecordsError as error:
        problems += [str(error)] if str(error) not in problems else []
        return False


def _texts(columns: Sequence[Sequence[Text]], at: int) -> list[Text]:
    return [column[at] for column in columns]


def _one_seed(
    found: Mapping[tuple[str, int], Mapping[tuple[StrategyKey, str], Writer]],
) -> list[list[Writer]]:
    """Of each task the writers of the seed that most have, of several the lowest."""
    best: dict[str, tuple[int, int]] = {}
    for (task, seed), of_seed in found.items():
        best[task] = max(best.get(task, (0, 0)), (len(of_seed), -seed))
    return [
        sorted(found[task, -seed].values(), key=lambda w: (*StrategyKey.of(w.axes), w.decoder))
        for task, (_, seed) in sorted(best.items())
    ]


def _decoders(
    of_task: list[Writer], comparison: Comparison, names: Sequence[str]
) -> Iterable[Writer]:
    """Those with the decoders that were asked for, else that decide, else all."""
    if names:
        return [w for w in of_task if {w.decoder, w.decoder.partition(" (")[0]} & {*names}]
    decides = {(StrategyKey.of(r), r["decoder"]) for r in comparison.accuracy if r["decides"]}
    deciding = [w for w in of_task if (StrategyKey.of(w.axes), w.decoder) in decides]
    return deciding or of_task


def _metrics(asked: str, deciding: str, record: Record, decoded: DecodedData) -> list[str]:
    """Metrics with scores per example, the one that is meant first."""
    task = record.trial_results["task"]
    known = decoded["examples"]
    wanted = [asked] if asked else [deciding, task["metric"], *task["also"], *known]
    return [name for name in wanted if known.get(name)]


def _sign(record: Record, metric: str) -> int:
    facts = record.trial_results["task"].get("metrics", {}).get(metric)
    return -1 if facts and facts["lower_is_better"] else 1


def chosen_rows(
    found: Sequence[Writer],
    pick: Callable[[Sequence[Writer]], Picks],
    ask: Callable[[Writer], Examples | None],
) -> Outputs:
    """What `pick` chooses in every task, with its examples, which `ask` gets."""
    rows = list[OutputRow]()
    for of_task in by_task(found).values():
        if picks := pick(of_task):
            rows += output_rows(of_task, picks, ask(of_task[0]))
    return Outputs(rows)
