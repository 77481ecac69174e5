"""Leases: who does what, and who may write it. Two drivers are two objects in one process."""

import json
from pathlib import Path

import pytest

from msbench.records import leases as module
from msbench.records import store
from msbench.records.leases import Leases
from msbench.records.record import record
from msbench.spec import Trial


@pytest.fixture
def one(tmp_path: Path) -> Leases:
    return Leases(tmp_path)


@pytest.fixture
def two(tmp_path: Path) -> Leases:
    return Leases(tmp_path)


def test_a_job_has_one_driver(one: Leases, two: Leases, trials: list[Trial]) -> None:
    with one, two:
        assert one.take(trials[0].key)
        assert not two.take(trials[0].key)
        assert two.take(trials[1].key)
        assert one.held() == [trials[0].key]
        assert "process" in one.others()


def test_what_one_records_is_news_to_the_other(
    one: Leases, two: Leases, trials: list[Trial], tmp_path: Path
) -> None:
    with one, two:
        assert one.take(trials[0].key)
        assert one.record(record(trials[0], "ok"))
        assert not two.take(trials[0].key)
        assert [each.key for each in two.news()] == [trials[0].key]
        assert not two.news()
        assert not one.news()
        assert len(store.read(tmp_path).records) == 1


def test_a_claim_that_was_lost_cannot_be_written(
    one: Leases, two: Leases, trials: list[Trial], tmp_path: Path
) -> None:
    with one, two:
        assert one.take(trials[0].key)
        (tmp_path / ".leases").write_text("{}\n")  # as another driver does that takes it for dead
        assert two.take(trials[0].key)
        assert not one.record(record(trials[0], "ok", "stale"))
        assert two.record(record(trials[0], "ok"))
        assert [each.reason for each in store.read(tmp_path).records] == [""]
        assert one.take(trials[1].key), "it may go on with others"


def test_a_dead_process_of_this_machine_has_no_leases(
    one: Leases, two: Leases, trials: list[Trial], tmp_path: Path
) -> None:
    with one, two:
        assert one.take(trials[0].key)
        drivers = json.loads((tmp_path / ".leases").read_text())
        (driver,) = drivers.values()
        driver["process"] = 2**22 + 1  # more than Linux gives
        (tmp_path / ".leases").write_text(json.dumps(drivers) + "\n")
        assert two.take(trials[0].key)


def test_a_driver_elsewhere_is_dead_when_its_number_stands_still(
    one: Leases, two: Leases, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    path, beat = tmp_path / ".leases", 0

    def elsewhere(beat: int) -> None:
        driver = {"place": "?", "process": 1, "host": "other", "beat": beat, "jobs": {"k": False}}
        path.write_text(json.dumps({"other": driver}) + "\n")

    elsewhere(0)
    assert not two.take("k")
    for beat in range(1, 4):
        now[0] += 0.9 * module.EXPIRY
        elsewhere(beat)
        assert not two.take("k"), "it lives"
    now[0] += 0.9 * module.EXPIRY
    assert not two.take("k")
    now[0] += 0.2 * module.EXPIRY
    assert two.take("k")
    two.__exit__()


def test_measurements_are_alone(one: Leases, two: Leases, trials: list[Trial]) -> None:
    with one, two:
        assert one.take("trial")
        assert not two.take("measurement", alone=True)
        one.release("trial")
        assert two.take("measurement", alone=True)
        assert not one.take("trial")
        two.release("measurement")
        assert one.take("trial")


def test_a_damaged_file_of_leases_loses_leases_only(
    one: Leases, trials: list[Trial], tmp_path: Path
) -> None:
    (tmp_path / ".leases").write_bytes(b"\x00\xff{}{")
    with one:
        assert one.take(trials[0].key)
        assert one.record(record(trials[0], "ok"))
    assert (tmp_path / ".leases").read_text() == "{}\n"


def test_a_write_that_fails_leaves_nothing(
    trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(tmp_path, record(trials[0], "ok"))
    before = (tmp_path / store.TRIALS).read_bytes()

    def full(point: str, half: object = None) -> None:
        if point == "append":
            assert callable(half)
            half()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "fault", full)
    with pytest.raises(store.StoreError, match="No space left"):
        store.append(tmp_path, record(trials[1], "ok"))
    assert (tmp_path / store.TRIALS).read_bytes() == before


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    with pytest.raises(store.StoreError, match="the folder is gone"):
        Leases(folder).take("k")
    assert not folder.exists()
