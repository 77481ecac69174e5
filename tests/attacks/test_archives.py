"""Archives that lie or explode: refused, and little of them is read."""

import io
import os
import tracemalloc
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import pytest
from conftest import Attack

from msbench.data.cache import cached
from msbench.data.sources import Source, check, open_source, source_path
from msbench.errors import DataError

MEGABYTE = 10**6
LITTLE = 30 * MEGABYTE
"""Bytes of memory that a refusal may take."""


def zipped(content: bytes, name: str = "text.txt", method: int = ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def claiming(archive: bytes, size: int) -> bytes:
    """The archive with another size of its only member, in both places that say it."""
    directory, header = archive.rindex(b"PK\x01\x02"), archive.index(b"PK\x03\x04")
    said = size.to_bytes(4, "little")
    changed = bytearray(archive)
    changed[directory + 24 : directory + 28] = said
    changed[header + 22 : header + 26] = said
    return bytes(changed)


def overlapping(count: int) -> bytes:
    """`count` members that are one and the same stretch of the file."""
    archive = zipped(bytes(20 * MEGABYTE))
    start = archive.index(b"PK\x01\x02")
    end = archive.rindex(b"PK\x05\x06")
    directory, tail = archive[start:end] * count, bytearray(archive[end:])
    tail[8:12] = count.to_bytes(2, "little") * 2
    tail[12:16] = len(directory).to_bytes(4, "little")
    return archive[:start] + directory + bytes(tail)


def encrypted() -> bytes:
    archive = bytearray(zipped(b"secret"))
    for place in (archive.index(b"PK\x03\x04") + 6, archive.index(b"PK\x01\x02") + 8):
        archive[place] |= 1
    return bytes(archive)


BOMB = zipped(bytes(200 * MEGABYTE))
ARCHIVES = {
    "a bomb": BOMB,
    "a bomb that claims one byte": claiming(BOMB, 1),
    "a bomb that claims a thousand bytes": claiming(BOMB, 1000),
    "a text that claims 4 GB": claiming(zipped(b"text" * 999), 2**32 - 2),
    "a text that claims too little": claiming(zipped(b"text" * 999), 100),
    "a text that claims a bit more": claiming(zipped(os.urandom(999)), 1100),
    "a stored text that claims more": claiming(zipped(b"text" * 99, method=ZIP_STORED), 9999),
    "a thousand members in one place": overlapping(1000),
    "a bomb in a bomb": zipped(BOMB),
    "an encrypted member": encrypted(),
    "a tar file": b"text.txt".ljust(257, b"\0") + b"ustar\x0000" + bytes(760),
    "a gzip file": b"\x1f\x8b\x08" + bytes(99),
    "nothing": b"",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Source]:
    """Puts content where the archive of a source belongs, pinned by its own hash."""
    monkeypatch.setenv("MSBENCH_CACHE", str(tmp_path))

    def put(content: bytes) -> Source:
        source = Source("an-archive", "1.0", sha256(content).hexdigest(), len(content), "", "")
        source_path(source).parent.mkdir(exist_ok=True)
        source_path(source).write_bytes(content)
        return source

    return put


@pytest.fixture
def little_memory() -> Iterator[None]:
    """No more memory than a refusal may take."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LITTLE, f"{peak:,} bytes at once"


def read_all(source: Source) -> None:
    with open_source(source) as archive:
        for name in archive.namelist():
            archive.read(name)


def is_refused(source: Source) -> bool:
    try:
        read_all(source)
    except (DataError, BadZipFile, RuntimeError):
        return True
    return False


@pytest.mark.attack("I7", "zip bombs and lying sizes in archives; files that are none")
def test_archives_that_lie(
    attack: Attack, place: Callable[[bytes], Source], little_memory: None
) -> None:
    """As pinned archives, which only a plugin could bring, and as prepared tasks."""
    for name, content in ARCHIVES.items():
        with attack.case(name):
            assert is_refused(place(content))
    for name in ("../out.txt", "/etc/out.txt", "C:\\out.txt"):
        with attack.case(f"a member called {name}"):  # read in place, never unpacked
            read_all(place(zipped(b"text", name)))
    draw = attack.generator()
    whole = zipped(draw.randbytes(5000))
    for _ in range(attack.times(50, 2000)):
        damaged = bytearray(whole[: draw.randrange(1, len(whole))])
        damaged[draw.randrange(len(damaged)) :] += draw.randbytes(3)
        with attack.case("a damaged archive"):
            source = place(whole)
            source_path(source).write_bytes(damaged)
            assert is_refused(source)


@pytest.mark.attack("I7", "caches that are forged, devices and pipes")
def test_caches_that_lie(
    attack: Attack, place: Callable[[bytes], Source], tmp_path: Path, little_memory: None
) -> None:
    """A forged digest is right; what it is of is refused all the same, or is only data."""
    made = {"ids": np.arange(3)}
    cached("key", lambda: made)
    (file,) = (tmp_path / "prepared").iterdir()
    claims = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,)}"
    objects = io.BytesIO()
    np.save(objects, np.array([{}]), allow_pickle=True)
    arrays = {
        "an array that claims 80 TB": b"\x93NUMPY\x01\x00" + bytes([len(claims), 0]) + claims,
        "an array of pickles": objects.getvalue(),
        "no array": b"text",
    }
    forged = {**ARCHIVES, **{k: zipped(v, "ids.npy") for k, v in arrays.items()}}
    del forged["a bomb"]  # 200 MB that are said to be 200 MB
    for name, content in forged.items():
        with attack.case(name):
            file.write_bytes(content + sha256(content).digest())
            assert cached("key", lambda: made)["ids"].tolist() == [0, 1, 2]
    source = place(b"right")
    for path in (source_path(source), file):
        for name, make in {
            "a pipe": os.mkfifo,
            "a device": lambda p: p.symlink_to("/dev/zero"),
            "a folder": Path.mkdir,
        }.items():
            path.unlink() if path.is_file() or path.is_symlink() or path.is_fifo() else path.rmdir()
            make(path)  # type: ignore[operator]
            with attack.case(name):
                assert check(source) != "ok"
                assert cached("key", lambda: made)["ids"].tolist() == [0, 1, 2]
