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
    return [f"{count:,} {what} are too many: a suite may have {MOST[what]:,}; split it in several"]


def size_problems(table: dict[str, Any]) -> list[str]:
    """Whether a table has more values or levels than any suite needs."""
    found = list(_values(table))
    deep = [where[:40] for where, level, _ in found if level > DEEPEST]
    return too_many("values", len(found)) or [
        f"{where}...: is more than {DEEPEST} levels deep" for where in deep[:1]
    ]


def number_problems(table: dict[str, Any]) -> list[str]:
    """Numbers that are not finite, or integers of more than the 64 bits that TOML has.

    No option means them, and no record can hold them.
    """
    problems = []
    for where, _, value in _values(table):
        if isinstance(value, float) and not isfinite(value):
            problems.append(f"{where}: Input should be a finite number, not {value}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            problems.append(f"{where}: Input should be a number of 64 bits, not {shown(value)}")
    return problems


def _values(table: dict[str, Any]) -> Iterator[tuple[str, int, Any]]:
    """(where, level, value) of all that a table holds, down to the first level too deep.

    Without recursion, which a deep table would end.
    """
    waiting: list[tuple[str, int, Any]] = [("", 0, table)]
    while waiting:
        where, level, value = waiting.pop()
        yield where, level, value
        if isinstance(value, dict) and level <= DEEPEST:
            waiting += [(f"{where}.{k}".lstrip("."), level + 1, v) for k, v in value.items()]
        if isinstance(value, list) and level <= DEEPEST:
            waiting += [(f"{where}[{n}]", level + 1, v) for n, v in enumerate(value, start=1)]
