"""Columns in the cache: what is read there is what would be read from the records."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msbench.compare.columns import Columns, collect
from msbench.compare.stored import KEPT, columns_of
from msbench.records.store import stream

REFERENCE = Path(__file__).parents[2] / "tests/kept"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of columns, in a cache of its own."""
    monkeypatch.setenv("MSBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/columns"


def read(path: Path, metric: str = "") -> tuple[Columns, list[str], list[str]]:
    problems: list[str] = []
    unsealed: list[str] = []
    return columns_of(path, metric, problems, unsealed, least=0), problems, unsealed


def fresh(path: Path, metric: str = "") -> tuple[Columns, list[str], list[str]]:
    """The twin without a cache."""
    problems: list[str] = []
    unsealed: list[str] = []
    return collect(stream(path, problems, unsealed), metric), problems, unsealed


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit; NaN is itself."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, Columns):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    several = isinstance(one, list | tuple) and isinstance(other, list | tuple)
    return bool([*one] == [*other] if several else one == other)


@pytest.mark.parametrize("suite", ["quick", "optimizers", "roles"])
def test_columns_from_the_cache_are_those_of_the_records(cache: Path, suite: str) -> None:
    path = REFERENCE / suite
    wanted = fresh(path)
    for columns, *said in (read(path), read(path)):
        assert same(columns, wanted[0])
        assert said == [*wanted[1:]]
    assert len(list(cache.iterdir())) == 1


def test_columns_of_a_metric_are_kept_apart(cache: Path) -> None:
    path = REFERENCE / "quick"
    for metric in ("", "accuracy", "", "accuracy"):
        assert same(read(path, metric)[0], fresh(path, metric)[0])


def append_a_line(file: Path, cache: Path) -> None:
    with file.open("ab") as out:
        out.write(file.read_bytes().splitlines(keepends=True)[0][:-9] + b"\n")


def change_a_digit(file: Path, cache: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"seconds": 1', b'"seconds": 2', 1))


def damage_the_cache(file: Path, cache: Path) -> None:
    (stored,) = cache.iterdir()
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)


def cut_the_cache(file: Path, cache: Path) -> None:
    (stored,) = cache.iterdir()
    stored.write_bytes(stored.read_bytes()[:100])


@pytest.mark.parametrize("change", [append_a_line, change_a_digit, damage_the_cache, cut_the_cache])
def test_what_has_changed_is_read_again(
    tmp_path: Path, cache: Path, change: Callable[[Path, Path], None]
) -> None:
    file = tmp_path / "trials.jsonl"
    file.write_bytes((REFERENCE / "quick/trials.jsonl").read_bytes())
    read(file)
    change(file, cache)
    for _ in range(2):
        columns, *said = read(file)
        wanted, *remarks = fresh(file)
        assert same(columns, wanted)
        assert said == remarks


def test_small_results_are_not_kept(cache: Path) -> None:
    columns_of(REFERENCE / "quick", "", [], [], least=2**40)
    assert not cache.exists()


def test_columns_of_few_results_are_kept(tmp_path: Path, cache: Path) -> None:
    line = (REFERENCE / "quick/trials.jsonl").read_bytes().splitlines(keepends=True)[0]
    for number in range(KEPT + 3):
        file = tmp_path / f"{number}.jsonl"
        file.write_bytes(line)
        read(file)
    assert len(list(cache.iterdir())) == KEPT
