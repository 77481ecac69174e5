"""Disks that are full, read-only or away: refused before compute, else nothing is lost by it."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from drivers import lines, run, table, times_recorded, wait_until, write_suite
from drivers import start as start_driver


@contextmanager
def small_disk(folder: Path, size: str, options: str = "rw") -> Iterator[Path]:
    """A disk of its own."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},{options}", "none", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this user may, and this system lets him."""
    try:
        with small_disk(folder, "64k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def refused(suite: Path, out: Path) -> None:
    """Exit code 74, a sentence, and no trial was run."""
    code, said = run(suite, out)
    assert code == 74, said
    assert "cannot write" in said, said
    assert "Traceback" not in said, said
    assert not said.count("done, "), "trials were run"


def fills(suite: Path, out: Path, fill: Callable[[], Any], free: Callable[[], Any]) -> None:
    """A disk that has no room any more after some records, and then has."""
    with start_driver(suite, out) as driver:
        wait_until(lambda: len(lines(out)) >= 3)
        fill()
        _, said = driver.communicate(timeout=300)
    free()
    earlier = lines(out)
    assert driver.returncode == 74, said
    assert "Traceback" not in said, said
    assert len(earlier) >= 3
    code, said = run(suite, out)
    assert code == 0, said
    assert not set(earlier) - set(lines(out)), "a record is lost"
    assert set(times_recorded(out).values()) == {1}
    assert table(out)


def in_full_disk(suite: Path, folder: Path) -> None:
    with small_disk(folder, "64k") as disk:
        refused(suite, disk)


def in_filling_disk(suite: Path, folder: Path) -> None:
    with small_disk(folder, "2m") as disk:
        ballast = disk / "ballast"

        def fill() -> None:
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass

        fills(suite, disk, fill, ballast.unlink)


def in_read_only_disk(suite: Path, folder: Path) -> None:
    with small_disk(folder, "2m", "ro") as disk:
        refused(suite, disk)


def in_file(suite: Path, folder: Path) -> None:
    folder.write_text("not a folder")
    refused(suite, folder)


def in_vanished_folder(suite: Path, folder: Path) -> None:
    away = folder.with_name("away")
    fills(suite, folder, lambda: folder.rename(away), lambda: away.rename(folder))


def below_file_limit(suite: Path, folder: Path) -> None:
    """Files may grow to 40 kB, which is some records."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    code, said = 0, ""
    with start_driver(suite, folder) as driver:
        resource.prlimit(driver.pid, resource.RLIMIT_FSIZE, (40_000, before[1]))
        _, said = driver.communicate(timeout=300)
    earlier = lines(folder)
    assert driver.returncode == 74, said
    assert "Traceback" not in said, said
    code, said = run(suite, folder)
    assert code == 0, said
    assert not set(earlier) - set(lines(folder))
    assert set(times_recorded(folder).values()) == {1}


ANYWHERE = (in_file, in_vanished_folder, below_file_limit)
MOUNTED = (in_filling_disk, in_full_disk, in_read_only_disk)


@pytest.mark.attack("R9", "disks that are full, read-only or gone, and files that may not grow")
def test_disks(attack: Any, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, {"a": "lr = 0.1\nseconds = 0.05"}, seeds=attack.times(10, 20))
    mounted = MOUNTED if can_mount(tmp_path / "probe") else ()
    cases = [*ANYWHERE[: attack.times(1, 3)], *mounted[: attack.times(1, 3)]]
    for case in cases:
        with attack.case(case.__name__.replace("_", " ")):
            case(suite, tmp_path / case.__name__)
    if not mounted:
        attack.notes = "no disk could be mounted here"
