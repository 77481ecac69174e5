"""Search methods: what to try next, told what was tried before gave; no trial, no record.

A method is a generator: it yields attempts, is sent the loss of each of them (less is better,
infinite where training did not end well), and returns the winner, or None if nothing ended well.
So a search goes on from its records alone, and a simulation runs the very code.
"""

import math
import statistics
from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

from msbench.plan.space import (
    Space,
    options_at_edge,
    rate_of,
    sample_points,
    split,
    two_values,
    value_at,
)
from msbench.spec import Tuning

Point = Mapping[str, Any]
"""Every searched option and its value."""


class Attempt(NamedTuple):
    """A point, and which seed of the search it is tried with, from 0."""

    point: Point
    seed: int = 0


class Winner(NamedTuple):
    """The best point, and its options beyond which better ones may lie."""

    point: Point
    edge: Sequence[str] = ()


Method = Generator[list[Attempt], list[float], Winner | None]

AGAIN = ((4, 1), (2, 1))
"""The best so many are tried again, each with so many more seeds; then the best of these."""

STEP = 0.25
"""From one rate to the next, as a share of the declared range: half a decade of two decades."""


def method_of(space: Space, start: Point, how: Tuning) -> Method:
    """The search that a suite asks for; start: what options are where they are not searched."""
    return halton(space, how) if how.method == "halton" else bracket(space, start, how.trials)


def halton(space: Space, how: Tuning) -> Method:
    """Points spread over the space, chosen beforehand; the lowest mean over seeds wins."""
    points = sample_points(space, how.points)
    losses = yield [Attempt(point, seed) for seed in range(how.seeds) for point in points]
    means = [statistics.fmean(losses[n :: len(points)]) for n in range(len(points))]
    best = min(range(len(points)), key=lambda n: means[n])
    if not math.isfinite(means[best]):
        return None
    return Winner(points[best], options_at_edge(space, points, best))


def bracket(
    space: Space,
    start: Point,
    trials: int,
    *,
    again: Sequence[tuple[int, int]] = AGAIN,
    step: float = STEP,
) -> Method:
    """Bracket the rate outward until the best is interior and refine around it; at the best rate
    two values of every other option; the best again with more seeds, and the lowest mean wins.

    Where trials are few, the bracket goes before other options, and these before refining. All
    trials are used, unless nothing ends well.
    """
    rate, limit = rate_of(space), trials - sum(count * seeds for count, seeds in again)
    others = len(varied(space, start, start))
    tried: list[tuple[Point, float]] = []
    best = start
    if rate is None:
        tried = [(start, loss) for loss in (yield [Attempt(start)])]
    else:
        scale = space[rate]
        losses = yield from _bracketed(rate, scale, start, step, limit, trials)
        yield from _refined(losses, rate, scale, start, limit - others)
        tried = [(_at(start, rate, scale, share), loss) for share, loss in losses.items()]
        best = _at(start, rate, scale, _best(losses))
    if any(math.isfinite(loss) for _, loss in tried):
        points = varied(space, start, best)[: limit - len(tried)]
        tried += zip(points, (yield [Attempt(point) for point in points]), strict=True)
    winner = yield from _again(tried, again)
    edge = [rate] if rate and winner and _outermost(winner[rate], tried, rate) else []
    return Winner(winner, edge) if winner else None


def varied(space: Space, start: Point, best: Point) -> list[Point]:
    """The best point with every value of every option but the rate that the start does not have,
    one at a time."""
    return [
        {**best, name: value}
        for name, bounds in space.items()
        for value in (two_values(bounds) if name != rate_of(space) else ())
        if value != start[name]
    ]


Losses = dict[float, float]
"""Share of the rate's declared range, which may lie outside of 0 to 1 -> loss."""

Search = Generator[list[Attempt], list[float], Losses]


def _bracketed(
    rate: str, scale: Sequence[Any], start: Point, step: float, limit: int, trials: int
) -> Search:
    """Three rates, then outward until the best lies between two others; while nothing ends well,
    downward, as far as trials last."""
    shares, losses = [0.5 - step, 0.5, 0.5 + step], Losses()
    while shares:
        points = [_at(start, rate, scale, share) for share in shares]
        losses |= zip(shares, (yield [Attempt(point) for point in points]), strict=True)
        best, ends = _best(losses), (min(losses), max(losses))
        more = len(losses) < (limit if math.isfinite(losses[best]) else trials)
        outward = best - step if best == ends[0] else best + step
        shares = [outward] if more and best in ends and _exists(scale, outward) else []
    return losses


def _refined(
    losses: Losses, rate: str, scale: Sequence[Any], start: Point, limit: int
) -> Generator[list[Attempt], list[float], None]:
    """Halfway to both neighbours of the best, again and again; the better neighbour first."""
    while len(losses) < limit and math.isfinite(losses[_best(losses)]):
        best = _best(losses)
        beside = [max((s for s in losses if s < best), default=None)]
        beside += [min((s for s in losses if s > best), default=None)]
        known = sorted((s for s in beside if s is not None), key=lambda s: losses[s])
        shares = [(best + s) / 2 for s in known][: limit - len(losses)]
        points = [_at(start, rate, scale, share) for share in shares]
        losses |= zip(shares, (yield [Attempt(point) for point in points]), strict=True)


def _again(
    tried: Sequence[tuple[Point, float]], again: Sequence[tuple[int, int]]
) -> Generator[list[Attempt], list[float], Point | None]:
    """The best with more seeds, fewer of them from stage to stage; the one with the lowest mean."""
    best = [(point, [loss]) for point, loss in tried if math.isfinite(loss)]
    next_seed = 1
    for count, seeds in again:
        best = sorted(best, key=_mean)[:count]
        for seed in range(next_seed, next_seed + seeds):
            found = yield [Attempt(point, seed) for point, _ in best]
            for (_, losses), loss in zip(best, found, strict=True):
                losses.append(loss)
        next_seed += seeds
    return min(best, key=_mean)[0] if best else None


def _mean(tried: tuple[Point, list[float]]) -> float:
    return statistics.fmean(tried[1])


def _at(start: Point, rate: str, scale: Sequence[Any], share: float) -> Point:
    """The start with another rate, which comes first: it is what pictures are drawn over."""
    return {rate: value_at(scale, share), **{n: v for n, v in start.items() if n != rate}}


def _exists(scale: Sequence[Any], share: float) -> bool:
    """Whether there is such a rate: only a logarithmic scale goes on outside of its range."""
    return split(scale)[1] == "log" or 0 <= share <= 1


def _best(losses: Losses) -> float:
    """The share with the lowest loss; of equal ones the lowest."""
    return min(sorted(losses), key=lambda share: losses[share])


def _outermost(value: float, tried: Sequence[tuple[Point, float]], rate: str) -> bool:
    """Whether no lower or no higher rate was tried."""
    rates = [point[rate] for point, _ in tried]
    return value in (min(rates), max(rates))
