"""Equal tuning: each optimizer's own space, as many points of it for all, the best on validation.

A search is planned as trials like any others; its winner is planned once they have records.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from msbench.errors import PluginError
from msbench.plan.known import resolved_part
from msbench.plan.space import Space, options_at_edge, sample_points, search_space
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.spec import Choice, Part, Select, Suite, Trial, Tuned, Tuning, digest

SEEDS = 10_000
"""Search trials have the seeds from here on; a suite's own are below."""


@dataclass(frozen=True)
class Search:
    """An optimizer's space and the points of it that are tried."""

    space: Space
    points: list[dict[str, Any]]
    parts: list[Part]
    """The optimizer at every point."""


def plan_searches(suite: Suite, registry: Registry) -> tuple[dict[str, Search], list[str]]:
    """The search of every optimizer of the suite by the digest of its part, and the problems."""
    if suite.tuning is None:
        spaced = [choice for choice in suite.optimizers if choice.space is not None]
        return {}, [f"{choice.where}.space: needs a [tuning] table" for choice in spaced]
    searches: dict[str, Search] = {}
    problems: list[str] = []
    if late := [seed for seed in suite.seeds if seed >= SEEDS]:
        problems.append(
            f"{suite.path}: seeds: {late[0]}: with tuning, seeds from {SEEDS} on are for "
            f"the search, so that winners run with fresh ones"
        )
    for choice in suite.optimizers:
        try:
            search = _plan_search(suite.tuning, registry, choice)
            key = digest(resolved_part(registry, "optimizer", choice))
            if searches.setdefault(key, search).space != search.space:
                raise PluginError("two of one name have two spaces; give each a label of its own")
        except PluginError as error:
            lines = dict.fromkeys(str(error).splitlines())
            problems += [f"{choice.where}: {line}" for line in lines]
    return searches, problems


def _plan_search(how: Tuning, registry: Registry, choice: Choice) -> Search:
    space = search_space(registry, choice)
    points = sample_points(space, how.points)
    parts = [resolved_part(registry, "optimizer", with_options(choice, each)) for each in points]
    return Search(space, points, parts)


def tune(
    how: Tuning,
    cells: Sequence[partial[Trial]],
    seeds: Sequence[int],
    searches: Mapping[str, Search],
    records: Mapping[str, Record],
) -> list[Trial]:
    """The search trials of every cell (all of a trial but its seed), then, of every cell whose
    search is complete, the winner with each of `seeds`."""
    tried: list[Trial] = []
    winners: list[partial[Trial]] = []
    for cell in cells:
        search = searches[digest(cell.keywords["optimizer"])]
        trials = _search_trials(how, cell, search)
        tried += trials
        best = best_point(trials, records, how.select)
        if best is not None:
            edge = options_at_edge(search.space, search.points, best)
            tuned = Tuned("final", best, how.points, search.points[best], edge)
            winners.append(partial(cell, optimizer=search.parts[best], tuned=tuned))
    return tried + [cell(seed=seed) for seed in seeds for cell in winners]


def _search_trials(how: Tuning, cell: partial[Trial], search: Search) -> list[Trial]:
    """Every point with every seed; no decoder is measured unless the metric selects."""
    if how.select == "loss":
        cell = partial(cell, decoders=())
    return [
        cell(optimizer=part, seed=seed, tuned=Tuned("search", number, how.points, options))
        for seed in range(SEEDS, SEEDS + how.seeds)
        for number, (options, part) in enumerate(zip(search.points, search.parts, strict=True))
    ]


def with_options(choice: Choice, options: Mapping[str, Any]) -> Choice:
    """The choice with these options, those of its base too (`{"base.lr": 0.01}`)."""
    changed = dict(choice.options)
    for name, value in options.items():
        outer, _, inner = name.partition(".")
        changed[outer] = with_options(changed[outer], {inner: value}) if inner else value
    return replace(choice, options=changed, space=None)


def best_point(
    trials: Sequence[Trial], records: Mapping[str, Record], select: Select
) -> int | None:
    """The point whose median over seeds is best on validation; None while records are missing.

    A trial that did not end ok is infinitely bad. If all are, the first point wins, and shows it.
    """
    values: dict[int, list[float]] = {}
    for trial in trials:
        assert trial.tuned is not None
        if trial.key not in records:
            return None
        values.setdefault(trial.tuned.point, []).append(records[trial.key].objective(select))
    medians = {point: statistics.median(each) for point, each in values.items()}
    return min(medians, key=lambda point: (medians[point], point))
