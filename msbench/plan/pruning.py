"""Limits of a search: a trial whose curve is above them can hardly win any more, and is stopped.

A limit comes from trials of earlier rounds of the same search alone, never from those that run
beside it, so a search that was interrupted, or that has other workers, is stopped alike.
"""

from collections.abc import Sequence

KEPT = 4
"""A trial goes on while fewer of those before it were better: a bracket tries its best four again
with more seeds (`methods.AGAIN`), so anything beyond them is out."""

WATCHED = 0.5
"""The share of a budget after which curves are held against each other: before, slow rates lie
behind that win in the end."""

Limits = tuple[float | None, ...]
"""A loss for each validation; None = none there."""


def limits(curves: Sequence[Sequence[float]], kept: int = KEPT, watched: float = WATCHED) -> Limits:
    """At each validation but the last the loss of the last of the earlier curves that are `kept`.

    curves: validation losses of earlier trials, shorter where one did not end. Empty as long as
    there are too few.
    """
    validations = max(map(len, curves), default=0)
    found: list[float | None] = []
    for number in range(validations - 1):
        losses = sorted(curve[number] for curve in curves if len(curve) > number)
        early = number + 1 < watched * validations
        found.append(None if early or len(losses) < kept else losses[kept - 1])
    return tuple(found) if any(each is not None for each in found) else ()
