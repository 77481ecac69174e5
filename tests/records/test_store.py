"""Records on disk survive what happens to files."""

import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from msbench.errors import RecordsError, StoreError
from msbench.records import store
from msbench.records.checksum import FIELD, sealed, verify
from msbench.records.leases import Leases
from msbench.records.lines import Jobs, record_of
from msbench.records.record import Record, record
from msbench.spec import Trial, job_to_json, key_of, keys_by_seed


@pytest.fixture
def one(trials: list[Trial]) -> Record:
    return record(trials[0], "ok", results={"x": 1.5})


def test_round_trip(tmp_path: Path, trials: list[Trial]) -> None:
    records = [record(t, "ok", results={"loss": float(n)}) for n, t in enumerate(trials)]
    for each in records:
        store.append(tmp_path, each)
    back = store.read(tmp_path)
    assert [r.to_json() for r in back.records] == [r.to_json() for r in records]
    assert [Trial.of(r.job) for r in back.records] == trials
    assert [Trial.of(r.job).key for r in back.records] == [r.key for r in records]


def test_a_record_is_strict_json(trials: list[Trial]) -> None:
    line = record(trials[0], "diverged", results={"loss": float("nan"), "a": [float("inf")]})
    data = json.loads(line.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert data["results"] == {"loss": None, "a": [None]}


def test_the_last_record_of_a_key_counts(tmp_path: Path, trials: list[Trial]) -> None:
    store.append(tmp_path, record(trials[0], "crashed", "first"))
    store.append(tmp_path, record(trials[0], "ok"))
    (back,) = store.read(tmp_path).records
    assert back.status == "ok"


def test_a_half_written_line_costs_only_itself(tmp_path: Path, trials: list[Trial]) -> None:
    store.append(tmp_path, record(trials[0], "ok"))
    path = tmp_path / store.TRIALS
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    store.append(tmp_path, record(trials[1], "ok"))
    back = store.read(tmp_path)
    assert [r.key for r in back.records] == [trials[0].key, trials[1].key]
    assert len(back.problems) == 1
    assert "trials.jsonl, line 2: skipped" in back.problems[0]
    assert path.read_bytes().startswith(whole)


def test_other_layouts_are_named(tmp_path: Path, one: Record) -> None:
    store.append(tmp_path, one)
    path = tmp_path / store.TRIALS
    path.write_bytes(path.read_bytes() + changed(one, schema=9) + b"\n")
    assert "record layout 9, this msbench reads 1 to 3" in store.read(tmp_path).problems[0]


HOLLOW = b'{"key": "k", "group": "g", "job": {}, "status": "ok", "schema": 1}\n'


@pytest.mark.parametrize(
    "content", [b"\x00\xff\xfe binary", b"[]\n", b'{"a": 1}\n', b"[" * 9999, HOLLOW]
)
def test_a_file_without_records_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordsError, match="holds no msbench records"):
        store.read(path)
    assert path.read_bytes() == content


def test_parallel_writers_do_not_mix_lines(tmp_path: Path, trials: list[Trial]) -> None:
    big = {"text": "x" * 100_000}
    with ThreadPoolExecutor(8) as pool:
        for trial in trials * 8:
            pool.submit(store.append, tmp_path, record(trial, "ok", results=big))
    back = store.read(tmp_path)
    assert not back.problems
    assert len((tmp_path / store.TRIALS).read_bytes().splitlines()) == 8 * len(trials)


def test_a_folder_that_is_a_file(tmp_path: Path, one: Record) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match=r"cannot write results to .*taken"):
        store.prepare_folder(tmp_path / "taken")
    (tmp_path / store.TRIALS).mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*trials\.jsonl: it is a folder"):
        store.append(tmp_path, one)


def damaged(line: bytes) -> list[bytes]:
    """Lines that look like others but are not."""
    data = json.loads(line)
    two = {**data, "job": {**data["job"], "seed": 7}}
    option = {**data["job"]["optimizer"], "options": {"seed": 3}}
    moved = {"results": {"job": {}, "status": "x"}, **two}
    lines = [
        two,
        {**two, "job": {**two["job"], "optimizer": option}},
        {**two, "job": {**two["job"], "device": "cuda"}},
        {**two, "job": {**two["job"], "seed": 8, "training": {}}},
        {**two, "status": "odd"},
        {**two, "schema": 3},
        moved,
        {**two, "job": None},
        {**two, "results": {"decoding": [{"metrics": {"a": "b"}}]}},
    ]
    return [line, *(json.dumps(each).encode() for each in lines), line[:-9], b"[]", line]


def test_many_lines_are_read_as_each_alone() -> None:
    """The fast path against its slow twin, on real records and on damaged ones."""
    real = Path("tests/kept/quick/trials.jsonl").read_bytes().splitlines()
    jobs: Jobs = {}
    for line in [*real[:30], *damaged(real[0]), *damaged(real[1])]:
        found, expected = [], []
        for read, into in ((lambda x: record_of(x, jobs), found), (Record.from_json, expected)):
            try:
                into.append(read(line))
            except ValueError as error:
                into.append(str(error).partition(":")[0] if "layout" in str(error) else "bad")
        assert found == expected
    assert len(jobs) < 25  # another seed is the same job


def changed(record: Record, **fields: object) -> bytes:
    """Its line with other fields and the right checksum."""
    data = {**json.loads(record.to_json()), **fields}
    del data["checksum"]
    return sealed(json.dumps(data).encode())


def test_a_checksum_is_the_end_of_the_line(one: Record) -> None:
    line = one.to_json().encode()
    assert verify(line)
    assert verify(line + b"\n")
    assert not verify(line.replace(b"checksum", b"sum"))
    body, _, digits = line.rpartition(FIELD)
    assert int(digits[:8], 16) == zlib.crc32(body)
    for number in range(len(body)):
        with pytest.raises(ValueError, match="checksum does not fit"):
            verify(line[:number] + bytes([line[number] ^ 1]) + line[number + 1 :])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"key": "0" * 20}, "its key is '00000000000000000000', and that of its job '"),
        ({"group": "0" * 20}, "its group is "),
        ({"reason": 5}, "reason: Input should be a valid string, not 5"),
        ({"key": [1]}, r"key: Input should be a valid string, not \[1\]"),
        ({"machine": "x"}, "machine: Input should be an object, not 'x'"),
        ({"seconds": 10**400}, "seconds: "),
        ({"results": {"training": []}}, "results.training: "),
    ],
)
def test_what_cannot_be_is_skipped(one: Record, fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Record.from_json(changed(one, **fields))
    with pytest.raises(ValueError, match=said):
        record_of(changed(one, **fields), {})


def test_scores_are_within_their_range() -> None:
    line = Path("tests/kept/quick/trials.jsonl").read_bytes().splitlines()[0]
    data = json.loads(line)
    metrics = data["results"]["decoding"][0]["metrics"]
    metrics["accuracy"] = 1 + 1e-15
    assert Record.from_json(json.dumps(data))
    metrics["accuracy"] = 1e6
    with pytest.raises(ValueError, match=r"a score of 1e\+06 in accuracy, which is 1 at most"):
        Record.from_json(json.dumps(data))


def test_a_key_by_seed_is_the_key(trials: list[Trial]) -> None:
    """The fast twin against the slow one."""
    for trial in trials:
        job = json.loads(job_to_json(trial))
        keys = keys_by_seed(job)
        assert keys(trial.seed) == key_of(job) == trial.key
        assert keys(12) == key_of({**job, "seed": 12}) == replace(trial, seed=12).key


def test_numbers_of_a_budget_are_kept_as_they_were_written(trials: list[Trial]) -> None:
    for clip in (1, 1.0):
        trial = replace(trials[0], training=replace(trials[0].training, clip=clip))
        assert Record.from_json(record(trial, "ok").to_json()).key == trial.key


def test_records_without_a_checksum_are_counted(tmp_path: Path, one: Record) -> None:
    older = Path("tests/kept/quick/trials.jsonl").read_bytes().splitlines()[:3]
    (tmp_path / store.TRIALS).write_bytes(b"\n".join([*older, one.to_json().encode()]))
    found = store.read(tmp_path)
    assert len(found.records) == 4
    (sentence,) = found.unsealed
    assert "trials.jsonl: 3 records have no checksum" in sentence
    assert not store.read(Path("tests/kept/quick")).problems


def test_a_line_that_has_lost_its_end_costs_one_record(tmp_path: Path, trials: list[Trial]) -> None:
    lines = [record(trial, "ok").to_json().encode() for trial in trials[:3]]
    (tmp_path / store.TRIALS).write_bytes(lines[0] + b"*" + lines[1] + b"\n" + lines[2])
    found = store.read(tmp_path)
    assert [each.key for each in found.records] == [trials[1].key, trials[2].key]
    assert len(found.problems) == 1


def test_not_a_number_is_not_json() -> None:
    line = Path("tests/kept/quick/trials.jsonl").read_text().splitlines()[0]
    data = json.loads(line)
    data["machine"]["load"] = float("nan")
    with pytest.raises(ValueError, match=r"machine\.load: Input should be valid JSON, not nan"):
        Record.from_json(json.dumps(data))


def test_special_files_are_refused_at_once(tmp_path: Path, one: Record) -> None:
    file = tmp_path / store.TRIALS
    os.mkfifo(file)
    for asked in (tmp_path, file):
        with pytest.raises(RecordsError, match="is a FIFO, not a file"):
            store.read(asked)
    with pytest.raises(RecordsError, match="is a FIFO, not a file or folder of records"):
        store.find_results(str(file))
    for write in (store.prepare_folder, lambda folder: store.append(folder, one)):
        with pytest.raises(StoreError, match="it is a FIFO, not a file"):
            write(tmp_path)
    file.unlink()
    for name, write in (
        (".room", store.prepare_folder),
        (".leases", lambda d: Leases(d).take("k")),
    ):
        os.mkfifo(tmp_path / name)
        with pytest.raises(StoreError, match="it is a FIFO, not a file"):
            write(tmp_path)
        (tmp_path / name).unlink(missing_ok=True)
    file.unlink(missing_ok=True)
    file.symlink_to("/dev/zero")
    with pytest.raises(RecordsError, match="it is a device, not a file"):
        store.read(tmp_path)


def test_find_results(tmp_path: Path, one: Record) -> None:
    folder = tmp_path / "quick"
    folder.mkdir()
    store.append(folder, one)
    assert store.find_results("quick", tmp_path) == folder
    assert store.find_results(str(folder), Path("elsewhere")) == folder
    with pytest.raises(RecordsError, match=r"no results 'quik'.*did you mean 'quick'"):
        store.find_results("quik", tmp_path)
