"""Equal tuning: each strategy's own space, as many trials of it for all, the best on validation.

A search is planned as trials like any others, and goes on when they have records; its winner is
planned once it is complete.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

from msbench.errors import PluginError
from msbench.plan.known import resolved_part
from msbench.plan.methods import Attempt, Point, Winner, method_of, varied
from msbench.plan.pruning import Limits, limits
from msbench.plan.space import RATE, Space, search_space
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.spec import (
    SCHEDULE,
    Axis,
    Choice,
    Part,
    Suite,
    Trial,
    Tuned,
    Tuning,
    digest,
    display_name,
)

SEEDS = 10_000
"""Search trials have the seeds from here on; a suite's own are below."""

Found = Callable[[Trial], Record | None]
"""The record of a trial of a search; None while it has none."""


@dataclass(frozen=True)
class Search:
    """A strategy's space, and what it is where that is not searched."""

    registry: Registry
    optimizer: Choice
    schedule: Choice
    space: Space
    start: Point
    """The options of the space as the suite has them."""
    _parts: dict[str, dict[str, Part]] = field(default_factory=dict, repr=False, compare=False)

    def parts(self, point: Point) -> dict[str, Part]:
        """Its optimizer and schedule at a point; PluginError where a part allows no such value."""
        key = repr(point)
        if key not in self._parts:
            self._parts[key] = parts_at(self.registry, self.optimizer, self.schedule, point)
        return self._parts[key]


Searches = Mapping[tuple[str, str], Search]
"""The searches of a suite by the digests of optimizer and schedule."""


def plan_searches(suite: Suite, registry: Registry) -> tuple[Searches, list[str]]:
    """The search of every optimizer of the suite with every schedule, and the problems."""
    if suite.tuning is None:
        spaced = [choice for choice in suite.optimizers if choice.space is not None]
        return {}, [f"{choice.where}.space: needs a [tuning] table" for choice in spaced]
    searches: dict[tuple[str, str], Search] = {}
    problems: list[str] = []
    if late := [seed for seed in suite.seeds if seed >= SEEDS]:
        problems.append(
            f"{suite.path}: seeds: {late[0]}: with tuning, seeds from {SEEDS} on are for "
            f"the search, so that winners run with fresh ones"
        )
    for choice, schedule in product(suite.optimizers, suite.schedules):
        try:
            search = _plan_search(suite.tuning, registry, choice, schedule)
            key = _key(parts_at(registry, choice, schedule, {}))
            if searches.setdefault(key, search).space != search.space:
                raise PluginError("two of one name have two spaces; give each a label of its own")
        except PluginError as error:
            lines = dict.fromkeys(str(error).splitlines())
            problems += [f"{choice.where}: {line}" for line in lines]
    return searches, list(dict.fromkeys(problems))


def _plan_search(how: Tuning, registry: Registry, choice: Choice, schedule: Choice) -> Search:
    """The search; PluginError if its space is wrong, or the points that it begins with are."""
    space = search_space(registry, choice, schedule, how.options)
    parts = parts_at(registry, choice, schedule, {})
    start = {name: _option(parts, name) for name in space}
    search = Search(registry, choice, schedule, space, start)
    first = [attempt.point for attempt in next(method_of(space, start, how))]
    for point in first + varied(space, start, start):
        search.parts(point)
    return search


def parts_at(
    registry: Registry, optimizer: Choice, schedule: Choice, point: Point
) -> dict[str, Part]:
    """Optimizer and schedule with these options."""
    of_schedule = {n.removeprefix(SCHEDULE): v for n, v in point.items() if n.startswith(SCHEDULE)}
    own = {name: value for name, value in point.items() if not name.startswith(SCHEDULE)}
    return {
        "optimizer": resolved_part(registry, "optimizer", optimizer.having(own)),
        "schedule": resolved_part(registry, "schedule", schedule.having(of_schedule)),
    }


def _option(parts: Mapping[str, Part], name: str) -> Any:
    """What the parts of a strategy have for an option of its space."""
    axis: Axis = "schedule" if name.startswith(SCHEDULE) else "optimizer"
    value: Any = parts[axis]
    for step in name.removeprefix(SCHEDULE).split("."):
        value = value.options.get(step)
    return value


def _key(parts: Mapping[str, Any]) -> tuple[str, str]:
    return digest(parts["optimizer"]), digest(parts["schedule"])


def tune(
    how: Tuning,
    cells: Sequence[partial[Trial]],
    seeds: Sequence[int],
    searches: Searches,
    records: Mapping[str, Record],
) -> list[Trial]:
    """The search trials of every cell (all of a trial but its seed) as far as records decide; then,
    of every cell whose search is complete and has a winner, the winner with each of `seeds`."""

    def found(trial: Trial) -> Record | None:
        return records.get(trial.key)

    tried: list[Trial] = []
    winners: list[partial[Trial]] = []
    for cell in cells:
        trials, winner = _searched(how, cell, searches[_key(cell.keywords)], found)
        tried += trials
        winners += [winner] if winner else []
    return tried + [winner(seed=seed) for seed in seeds for winner in winners]


def _searched(
    how: Tuning, cell: partial[Trial], search: Search, found: Found
) -> tuple[list[Trial], partial[Trial] | None]:
    """(the trials of a search up to the first that has no record, with all that can be done beside
    it; the winner, once it is complete and unless nothing ended well)."""
    numbers: dict[str, int] = {}
    trials: list[Trial] = []
    curves: list[Sequence[float]] = []
    method = method_of(search.space, search.start, how)
    attempts = next(method)
    try:
        while True:
            above = limits(curves) if how.prune else ()
            batch = [_trial(how, cell, search, each, numbers, above) for each in attempts]
            planned = [trial for trial in batch if trial]
            trials += planned
            done = {trial.key: record for trial in planned if (record := found(trial))}
            if len(done) < len({trial.key for trial in planned}):
                return trials, None
            curves += [record.validation_curve for record in done.values()]
            attempts = method.send(
                [math.inf if t is None else done[t.key].objective(how.select) for t in batch]
            )
    except StopIteration as end:
        return trials, _final(cell, search, end.value, numbers)


def _trial(
    how: Tuning,
    cell: partial[Trial],
    search: Search,
    attempt: Attempt,
    numbers: dict[str, int],
    above: Limits,
) -> Trial | None:
    """The trial of an attempt; None where a part allows no such value. No decoder is measured
    unless the metric selects. numbers: of the points so far, in the order of their first trial.
    above: where to stop; a point that is tried again goes on, since its mean counts."""
    number = numbers.setdefault(repr(attempt.point), len(numbers))
    tuned = Tuned("search", number, how.most_points, attempt.point)
    if how.select == "loss":
        cell = partial(cell, decoders=())
    try:
        parts: dict[str, Any] = {**search.parts(attempt.point)}
    except PluginError:
        return None
    above = () if attempt.seed else above
    return cell(**parts, seed=SEEDS + attempt.seed, tuned=tuned, prune_above=above)


def _final(
    cell: partial[Trial], search: Search, winner: Winner | None, numbers: Mapping[str, int]
) -> partial[Trial] | None:
    if winner is None:
        return None
    parts: dict[str, Any] = {**search.parts(winner.point)}
    number = numbers[repr(winner.point)]
    tuned = Tuned("final", number, len(numbers), winner.point, tuple(winner.edge))
    return partial(cell, **parts, tuned=tuned)


def tuning_notes(suite: Suite) -> list[str]:
    """Who chose the options that are compared, in a sentence: a search, or who else."""
    names = list(dict.fromkeys(map(display_name, suite.optimizers)))
    if suite.tuning is not None:
        return [
            f"tuning: {suite.tuning.trials_each} trials for each of {len(names)} optimizers on "
            f"every task, model, loss and schedule, all on validation"
            + "; one that can hardly win any more is stopped"
            * suite.tuning.prune
        ]
    if suite.tuned_by:
        return [f"options: chosen by {suite.tuned_by}; nothing is searched here"]
    rated = {display_name(choice) for choice in suite.optimizers if _sets_rate(choice)}
    groups = {
        "the suite sets the rates of": [name for name in names if name in rated],
        "on default rates run": [name for name in names if name not in rated],
    }
    told = "; ".join(f"{what} {', '.join(of)}" for what, of in groups.items() if of)
    return [f"untuned: no search chose the options that are compared ([tuning]); {told}"]


def _sets_rate(choice: Choice) -> bool:
    base = choice.options.get("base")
    return RATE in choice.options or (isinstance(base, Choice) and _sets_rate(base))
