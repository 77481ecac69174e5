"""How large a suite may be. Everything is counted before it is made, so that too much is refused
at once, and refused in the same words."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from msbench.errors import shown

MOST = {
    "bytes": 200_000,
    "values": 20_000,
    "parts": 1_000,
    "trials": 100_000,
}
"""Bytes and values (numbers, texts, tables) of a suite file; parts that it names, those inside of
others and every point of a grid counted; trials that it stands for, a search's included."""

DEEPEST = 32
"""Levels of tables and lists; parts nest at most 8 deep, with two levels each."""


def too_many(what: str, count: int) -> list[str]:
    """The problem if there are too many, else nothing. what: a key of `MOST`."""
    if count <= MOST[what]:
        return []
    most = f"a suite may have {MOST[what]:,}; split it into several"
    return [f"{count:,} {what} are too many: {most}"]


def size_problems(table: dict[str, Any]) -> list[str]:
    """Whether a table has more values or levels than any suite needs."""
    count, deep = 0, None
    for path, level, _ in _values(table):
        count += 1
        deep = deep or (path if level > DEEPEST else None)
    where = _where(deep)[:40]
    return too_many("values", count) or (
        [f"{where}...: is more than {DEEPEST} levels deep"] if deep else []
    )


def number_problems(table: dict[str, Any]) -> list[str]:
    """Numbers that are not finite, or integers of more than the 64 bits that TOML has.

    No option means them, and no record can hold them.
    """
    problems = []
    for path, _, value in _values(table):
        if isinstance(value, float) and not isfinite(value):
            problems.append(f"{_where(path)}: Input should be a finite number, not {value}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            problems.append(f"{_where(path)}: Input should fit in 64 bits, not {shown(value)}")
    return problems


Path = tuple[Any, str | int] | None
"""The path of the table or list around it, and its key or number there; None of the whole. To
write out where each value is would take memory without bounds."""


def _values(table: dict[str, Any]) -> Iterator[tuple[Path, int, Any]]:
    """(path, level, value) of all that a table holds, down to the first level too deep.

    Without recursion, which a deep table would end.
    """
    waiting: list[tuple[Path, int, Any]] = [(None, 0, table)]
    while waiting:
        path, level, value = waiting.pop()
        yield path, level, value
        if isinstance(value, dict) and level <= DEEPEST:
            waiting += [((path, key), level + 1, each) for key, each in value.items()]
        if isinstance(value, list) and level <= DEEPEST:
            waiting += [((path, n), level + 1, each) for n, each in enumerate(value, start=1)]


def _where(path: Path) -> str:
    """The path as it is written in messages, its beginning if it is long."""
    steps = []
    while path:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).lstrip(".")[:200]
