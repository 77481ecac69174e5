"""Equal tuning: each optimizer's own space, as many points of it for all, the best on validation.

Points are of a scrambled Halton sequence (Halton, 1960; Owen, 2017), which covers a space of a few
dimensions more evenly than random search does; they are the same in every run and on every machine.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from msbench.errors import PluginError, did_you_mean
from msbench.plugins.registry import Entry, Registry
from msbench.records.record import Record
from msbench.spec import Choice, Part, Suite, Trial, Tuned, Tuning, digest

Space = Mapping[str, Sequence[Any]]
"""Option -> (low, high), (low, high, "linear" | "log" | "int") or (a, b, ..., "choice"); an option
of a base is called `base.lr`."""


SCALES = ("linear", "log", "int", "choice")


SEEDS = 10_000
"""Search trials have the seeds from here on; a suite's own are below."""


@dataclass(frozen=True)
class Search:
    """An optimizer's space and the points of it that are tried."""

    space: Space
    points: list[dict[str, Any]]
    parts: list[Part]
    """The optimizer at every point."""


def searches_of(suite: Suite, registry: Registry) -> tuple[dict[str, Search], list[str]]:
    """The search of every optimizer of the suite, by its part; and what is wrong with any."""
    searches: dict[str, Search] = {}
    problems: list[str] = []
    if suite.tuning is None:
        given = [choice for choice in suite.optimizers if choice.space is not None]
        return {}, [f"{choice.where}.space: needs a [tuning] table" for choice in given]
    if late := [seed for seed in suite.seeds if seed >= SEEDS]:
        problems.append(
            f"{suite.path}: seeds: {late[0]}: with tuning, seeds from {SEEDS} on are for "
            f"the search, so that winners run with fresh ones"
        )
    for choice in suite.optimizers:
        try:
            entry = registry.find("optimizer", choice.name)
            space = space_of(registry, entry, choice)
            every = points(space, suite.tuning.points)
            parts = [registry.resolve("optimizer", at(choice, each)) for each in every]
            here = digest(asdict(registry.resolve("optimizer", choice)))
            if here in searches and searches[here].space != space:
                raise PluginError("two of one name have two spaces; give each a label of its own")
            searches[here] = Search(space, every, parts)
        except PluginError as error:
            lines = dict.fromkeys(str(error).splitlines())
            problems += [f"{choice.where}: {line}" for line in lines]
    return searches, problems


def tuned_trials(
    how: Tuning,
    trials: Sequence[Trial],
    searches: dict[str, Search],
    records: dict[str, Record],
) -> list[Trial]:
    """The search behind `trials`, then those of `trials` whose search is in, at its winner."""
    seeds = range(SEEDS, SEEDS + how.seeds)
    searched: dict[str, list[Trial]] = {}
    finals = []
    for trial in trials:
        search = searches[digest(asdict(trial.optimizer))]
        cell = replace(trial, seed=-1).key
        if cell not in searched:
            points = list(zip(search.points, search.parts, strict=True))
            searched[cell] = [
                replace(
                    trial,
                    optimizer=part,
                    seed=seed,
                    decoders=trial.decoders if how.select == "metric" else (),
                    tuned=Tuned("search", number, how.points, options),
                )
                for seed in seeds
                for number, (options, part) in enumerate(points)
            ]
        best = winner(searched[cell], records, how.select)
        if best is not None:
            at_edge = edge(search.space, search.points, best)
            tuned = Tuned("final", best, how.points, search.points[best], at_edge)
            finals.append(replace(trial, optimizer=search.parts[best], tuned=tuned))
    return [each for several in searched.values() for each in several] + finals


def space_of(registry: Registry, entry: Entry, choice: Choice) -> dict[str, Sequence[Any]]:
    """What is searched: the suite's `space`, else what the plugins of the optimizer and of its base
    declare, without options that the suite has set.

    PluginError says what is wrong with it, a space in which nothing is left included.
    """
    space = dict(choice.space if choice.space is not None else _declared(registry, entry, choice))
    problems = [
        f"space of {entry.name!r}: {name}: {reason}"
        for name, bounds in space.items()
        if (reason := _wrong(registry, entry, choice, name, bounds))
    ]
    if not space:
        problems.append(
            f"optimizer {entry.name!r} has nothing to tune: its plugin declares no space, or the "
            f"suite sets all of it; leave options out, or give it a space, such as "
            f'space = {{ lr = [1e-4, 1e-1, "log"] }}'
        )
    if problems:
        raise PluginError("\n".join(problems))
    return space


def points(space: Space, count: int) -> list[dict[str, Any]]:
    """`count` distinct points of a space, option -> value; the first are the same for any count.

    PluginError if the space has fewer.
    """
    from scipy.stats.qmc import Halton  # late: a second that only searches pay

    sequence = Halton(len(space), scramble=True, rng=0)
    found: list[dict[str, Any]] = []
    for row in sequence.random(64 * count):
        each = zip(space.items(), row.tolist(), strict=True)
        point = {name: _value(bounds, unit) for (name, bounds), unit in each}
        if point not in found:
            found.append(point)
        if len(found) == count:
            return found
    raise PluginError(f"its space has {len(found)} points, and [tuning] wants {count} of each")


def at(choice: Choice, options: Mapping[str, Any]) -> Choice:
    """The choice with these options, those of its base too (`{"base.lr": 0.01}`)."""
    made = dict(choice.options)
    for name, value in options.items():
        outer, _, inner = name.partition(".")
        made[outer] = at(made[outer], {inner: value}) if inner else value
    return replace(choice, options=made, space=None)


def winner(trials: Sequence[Trial], records: Mapping[str, Record], select: str) -> int | None:
    """The point whose median over seeds is best on validation; None while records are missing.

    A trial that did not end ok is infinitely bad. If all are, the first point wins, and shows it.
    """
    losses: dict[int, list[float]] = {}
    for trial in trials:
        assert trial.tuned is not None
        if trial.key not in records:
            return None
        losses.setdefault(trial.tuned.point, []).append(badness(records[trial.key], select))
    medians = {point: statistics.median(values) for point, values in losses.items()}
    return min(medians, key=lambda point: (medians[point], point))


def badness(record: Record, select: str) -> float:
    """What a search trial is judged by, on validation: less is better."""
    if select == "loss" or record.status != "ok":
        return record.validation_loss
    task = record.results["task"]
    sign = 1 if task["metric"] in task["lower_is_better"] else -1
    values = [each["metrics"].get(task["metric"]) for each in record.results["decoding"]]
    return min((sign * float(value) for value in values if value is not None), default=math.inf)


def edge(space: Space, every: Sequence[Mapping[str, Any]], point: int) -> tuple[str, ...]:
    """Options of a point beyond which nothing was tried, close to the end of their space.

    Close: within the share of it that one point covers.
    """
    found = []
    for name, bounds in space.items():
        if _scale(bounds) == "choice":
            continue
        place = _place(bounds, every[point][name])
        places = [_place(bounds, each[name]) for each in every]
        near = min(place, 1 - place) <= 1 / len(every)
        if near and place in (min(places), max(places)):
            found.append(name)
    return tuple(found)


def _declared(registry: Registry, entry: Entry, choice: Choice) -> dict[str, Sequence[Any]]:
    space = {k: v for k, v in (entry.space or {}).items() if k not in choice.options}
    base = choice.options.get("base")
    if isinstance(base, Choice):
        inner = _declared(registry, registry.find(entry.kind, base.name), base)
        space |= {f"base.{name}": bounds for name, bounds in inner.items()}
    return space


def _wrong(registry: Registry, entry: Entry, choice: Choice, name: str, bounds: Any) -> str:
    """What is wrong with one dimension of a space; empty if nothing is."""
    outer, _, inner = name.partition(".")
    if inner:
        base = choice.options.get(outer)
        if not isinstance(base, Choice):
            return f"{entry.name!r} has no {outer} in this suite"
        return _wrong(registry, registry.find(entry.kind, base.name), base, inner, bounds)
    if name == "seed":
        return "a seed is not for tuning: the best of several seeds is luck"
    known = entry.options()
    if name not in known:
        return f"no such option{did_you_mean(name, known)}"
    if name in choice.options:
        return "is set as well; a search would overrule it"
    if not isinstance(bounds, Sequence) or isinstance(bounds, str):
        return f'should be [low, high, "log"], not {bounds!r}'
    values, scale = _values(bounds), _scale(bounds)
    if scale == "choice":
        return "" if values else "a choice of nothing"
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if scale not in SCALES or len(values) != 2 or len(numbers) != 2:
        return f'should be [low, high, "log"] (or {", ".join(SCALES)}), not {list(bounds)!r}'
    if not -1e300 < values[0] < values[1] < 1e300:  # not true of NaN either
        return f"needs a low end below its high end, not {values[0]} and {values[1]}"
    return "a logarithmic space starts above 0" if scale == "log" and values[0] <= 0 else ""


def _scale(bounds: Sequence[Any]) -> str:
    return bounds[-1] if bounds and isinstance(bounds[-1], str) else "linear"


def _values(bounds: Sequence[Any]) -> Sequence[Any]:
    return bounds[:-1] if bounds and isinstance(bounds[-1], str) else bounds


def _value(bounds: Sequence[Any], unit: float) -> Any:
    """A share of the way from low to high -> the option's value; three significant digits."""
    scale, values = _scale(bounds), _values(bounds)
    if scale == "choice":
        return values[min(int(unit * len(values)), len(values) - 1)]
    low, high = values
    if scale == "int":
        return min(int(low + unit * (high + 1 - low)), high)
    if scale == "log":
        low, high = math.log(low), math.log(high)
    value = low + unit * (high - low)
    value = math.exp(value) if scale == "log" else value
    ends = _values(bounds)
    # Three digits are enough, unless the space lies within a few percent, such as 0.99 to 0.9999.
    digits = 3 if ends[1] - ends[0] > 0.1 * abs(ends[1]) else 8
    return min(max(float(f"{value:.{digits}g}"), float(ends[0])), float(ends[1]))


def _place(bounds: Sequence[Any], value: float) -> float:
    """How far from low to high a value is."""
    low, high = _values(bounds)
    if _scale(bounds) == "log":
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float((value - low) / (high - low))
