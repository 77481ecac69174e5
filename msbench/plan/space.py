"""Search spaces of strategies: what they may say, their points, and which points lie at an edge.

Points are of a scrambled Halton sequence (Halton, 1960; Owen, 2017), which covers a space of a few
dimensions more evenly than random search does; they are the same in every run and on every machine.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msbench.errors import PluginError, did_you_mean
from msbench.kinds import Kind
from msbench.plan.known import known_of_entry
from msbench.plugins.registry import Registry
from msbench.spec import SCHEDULE, Choice

Space = Mapping[str, Sequence[Any]]
"""Option -> (low, high), (low, high, "linear" | "log" | "int") or (a, b, ..., "choice"); an option
of a base is called `base.lr`, one of the schedule `schedule.warmup`."""

SCALES = ("linear", "log", "int", "choice")

RATE = "lr"
"""What an optimizer's rate is called, whatever it is an option of."""


def search_space(
    registry: Registry, choice: Choice, schedule: Choice | None = None, only: Sequence[str] = ()
) -> Space:
    """What is searched: the suite's `space`, else what the plugins of the optimizer, of its base
    and of the schedule declare, without options that the suite has set.

    only: options of this name alone, whatever they are an option of. PluginError says what is wrong
    with it, a space in which nothing is left included.
    """
    space = (
        choice.space if choice.space is not None else _declared_by_all(registry, choice, schedule)
    )
    space = {name: bounds for name, bounds in space.items() if not only or _last(name) in only}
    problems = [
        f"space of {choice.name!r}: {name}: {problem}"
        for name, bounds in space.items()
        for problem in _dimension_problems(registry, choice, schedule, name, bounds)
    ]
    if not space:
        problems.append(
            f"optimizer {choice.name!r} has nothing to tune: its plugin declares no space, or the "
            f"suite sets all of it; leave options out, or give it a space, such as "
            f'space = {{ lr = [1e-4, 1e-1, "log"] }}'
        )
    if problems:
        raise PluginError("\n".join(problems))
    return space


def sample_points(space: Space, count: int) -> list[dict[str, Any]]:
    """`count` distinct points of a space, option -> value; the first are the same for any count.

    PluginError if the space has fewer.
    """
    from scipy.stats.qmc import Halton  # late: a second that only searches pay

    sequence = Halton(len(space), scramble=True, rng=0)
    points: dict[str, dict[str, Any]] = {}
    for row in sequence.random(64 * count).tolist():
        shares = zip(space.items(), row, strict=True)
        point = {name: value_at(bounds, share) for (name, bounds), share in shares}
        points.setdefault(repr(point), point)
        if len(points) == count:
            return list(points.values())
    raise PluginError(f"its space has {len(points)} points, and [tuning] wants {count} of each")


def rate_of(space: Space) -> str | None:
    """The option that is bracketed: the rate of the optimizer or of its innermost base, else the
    first number on a logarithmic scale; None where there is none."""
    scales = {name: split(bounds)[1] for name, bounds in space.items()}
    rates = [n for n, scale in scales.items() if _last(n) == RATE and scale in ("log", "linear")]
    numbers = [name for name, scale in scales.items() if scale == "log"]
    return next(iter(rates[-1:] or numbers), None)


def two_values(bounds: Sequence[Any]) -> Sequence[Any]:
    """The values of an option that is not bracketed: those of a choice, else a quarter of the way
    from either end of its range."""
    values, scale = split(bounds)
    return values if scale == "choice" else [value_at(bounds, 0.25), value_at(bounds, 0.75)]


def options_at_edge(
    space: Space, points: Sequence[Mapping[str, Any]], number: int
) -> tuple[str, ...]:
    """Options of a point beyond which nothing was tried, close to the end of their space.

    Close: within the share of it that one point covers.
    """
    at_edge = []
    for name, bounds in space.items():
        if split(bounds)[1] == "choice":
            continue
        shares = [_share_of(bounds, point[name]) for point in points]
        share = shares[number]
        near = min(share, 1 - share) <= 1 / len(points)
        if near and share in (min(shares), max(shares)):
            at_edge.append(name)
    return tuple(at_edge)


def _last(name: str) -> str:
    """`lr` of `base.lr`."""
    return name.rpartition(".")[2]


def _declared_by_all(
    registry: Registry, choice: Choice, schedule: Choice | None
) -> dict[str, Sequence[Any]]:
    space = _declared(registry, "optimizer", choice)
    of_schedule = _declared(registry, "schedule", schedule) if schedule is not None else {}
    return space | {f"{SCHEDULE}{name}": bounds for name, bounds in of_schedule.items()}


def _declared(registry: Registry, kind: Kind, choice: Choice) -> dict[str, Sequence[Any]]:
    declared = registry.find(kind, choice.name).space or {}
    space = {name: bounds for name, bounds in declared.items() if name not in choice.options}
    base = choice.options.get("base")
    if isinstance(base, Choice):
        inner = _declared(registry, kind, base)
        space |= {f"base.{name}": bounds for name, bounds in inner.items()}
    return space


def _dimension_problems(
    registry: Registry, choice: Choice, schedule: Choice | None, name: str, bounds: Any
) -> list[str]:
    """What is wrong with one dimension of a space: its option, else its bounds."""
    if name.startswith(SCHEDULE) and schedule is not None:
        inner = name.removeprefix(SCHEDULE)
        return _option_problems(registry, "schedule", schedule, inner, bounds)
    return _option_problems(registry, "optimizer", choice, name, bounds)


def _option_problems(
    registry: Registry, kind: Kind, choice: Choice, name: str, bounds: Any
) -> list[str]:
    outer, _, inner = name.partition(".")
    if inner:
        base = choice.options.get(outer)
        if not isinstance(base, Choice):
            return [f"{choice.name!r} has no {outer} in this suite"]
        return _option_problems(registry, kind, base, inner, bounds)
    if name == "seed":
        return ["a seed is not for tuning: the best of several seeds is luck"]
    entry = registry.find(kind, choice.name)
    known = known_of_entry(entry, "options", lambda: list(entry.options()))
    if name not in known:
        return [f"no such option{did_you_mean(name, known)}"]
    if name in choice.options:
        return ["is set as well; a search would overrule it"]
    return _bounds_problems(bounds)


def _bounds_problems(bounds: Any) -> list[str]:
    if not isinstance(bounds, Sequence) or isinstance(bounds, str):
        return [f'should be [low, high, "log"], not {bounds!r}']
    values, scale = split(bounds)
    if scale == "choice":
        return [] if values else ["a choice of nothing"]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if scale not in SCALES or len(values) != 2 or len(numbers) != 2:
        return [f'should be [low, high, "log"] (or {", ".join(SCALES)}), not {list(bounds)!r}']
    low, high = values
    if not -1e300 < low < high < 1e300:  # not true of NaN either
        return [f"needs a low end below its high end, not {low} and {high}"]
    if scale == "log" and low <= 0:
        return ["a logarithmic space starts above 0"]
    return []


def split(bounds: Sequence[Any]) -> tuple[Sequence[Any], str]:
    """(the values, the scale)."""
    has_scale = bool(bounds) and isinstance(bounds[-1], str)
    return (bounds[:-1], bounds[-1]) if has_scale else (bounds, "linear")


def value_at(bounds: Sequence[Any], share: float) -> Any:
    """A share of the way from low to high -> the option's value, three significant digits.

    Of a logarithmic scale the share may be below 0 or above 1: the value lies as far outside.
    """
    values, scale = split(bounds)
    if scale == "choice":
        return values[min(int(share * len(values)), len(values) - 1)]
    low, high = values
    if scale == "int":
        return min(int(low + share * (high + 1 - low)), high)
    if scale == "log":
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    # Three digits are enough, unless the space lies within a few percent, such as 0.99 to 0.9999.
    digits = 3 if high - low > 0.1 * abs(high) else 8
    rounded = float(f"{value:.{digits}g}")
    return min(max(rounded, float(low)), float(high)) if 0 <= share <= 1 else rounded


def _share_of(bounds: Sequence[Any], value: float) -> float:
    """How far from low to high a value is; the inverse of `value_at`."""
    (low, high), scale = split(bounds)
    if scale == "log":
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float((value - low) / (high - low))
