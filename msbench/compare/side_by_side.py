"""Which test examples are worth a look, and what strategies wrote for them, side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from msbench.compare.outputs import Text, Writer
from msbench.compare.rows import StrategyRow
from msbench.errors import MsbenchError, RecordsError, did_you_mean


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


Picks = Mapping[int, str]
"""Examples to show, in this order, and why."""


def chosen_rows(
    found: Sequence[Writer],
    pick: Callable[[Sequence[Writer]], Picks],
    ask: Callable[[Writer], Examples | None],
) -> Outputs:
    """What `pick` chooses in every task, with its examples, which `ask` gets."""
    rows = list[OutputRow]()
    for of_task in by_task(found).values():
        if not (picks := pick(of_task)):
            continue
        examples, count = ask(of_task[0]), len(of_task[0].outputs)
        if examples and len(examples.references) != count:
            raise RecordsError(f"{of_task[0].axes['task']}: it has not the {count} examples scored")
        rows += output_rows(of_task, picks, examples)
    return Outputs(rows)


def by_task(found: Sequence[Writer]) -> dict[str, list[Writer]]:
    """The writers of each task."""
    tasks: dict[str, list[Writer]] = {}
    for each in found:
        tasks.setdefault(each.axes["task"], []).append(each)
    return tasks


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


def _texts(columns: Sequence[Sequence[Text]], at: int) -> list[Text]:
    return [column[at] for column in columns]
