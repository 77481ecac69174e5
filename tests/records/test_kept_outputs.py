"""Outputs beside records: whole and of their record, or not taken for them."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from handmade import results

from msbench.errors import RecordsError
from msbench.paths import write_whole
from msbench.records import outputs as kept_outputs
from msbench.records.leases import Leases
from msbench.records.merge import merge
from msbench.records.outputs import copy_outputs, has_outputs, packed, read_outputs
from msbench.records.record import Record, record
from msbench.records.store import append, read
from msbench.spec import Trial

GREEDY, BEAM = ["cent", "deux\ncents", "trois"], ["cent", "", "dré\ud800"]


def with_outputs(trial: Trial, outputs: Sequence[Sequence[Any] | None]) -> Record:
    """A record as a worker sends it."""
    parts = [asdict(part) for part in trial.decoders]
    made = results(trial.decoders, [{"bleu": 9.0}] * len(trial.decoders))
    decoding = [{**each, "count": 3, "tokens": 9} for each in made["decoding"]]
    found = packed(trial.key, parts, outputs)  # type: ignore[arg-type]
    return record(trial, "ok", results={**made, "decoding": decoding, "outputs": found})


def file_of(folder: Path, made: Record) -> Path:
    return folder / "outputs" / f"{made.key}.jsonl.gz"


def test_outputs_are_a_file_and_a_digest(tmp_path: Path, trials: list[Trial]) -> None:
    sent = with_outputs(trials[0], [GREEDY, BEAM])
    append(tmp_path, Record.from_json(sent.to_json()))
    (kept,) = read(tmp_path).records
    assert kept.results["outputs"].keys() == {"digest"}, "the line has the digest alone"
    assert read_outputs(tmp_path, kept) == [GREEDY, ["cent", "", "dré?"]]
    content = gzip.decompress(file_of(tmp_path, kept).read_bytes())
    head, *lines = map(json.loads, content.splitlines())
    assert head["key"] == kept.key
    assert [each["name"] for each in head["decoders"]] == [d.name for d in trials[0].decoders]
    assert lines[0] == ["cent", "cent"], "a line for each example, for people and other programs"


def test_a_driver_writes_them_with_its_lease_alone(tmp_path: Path, trials: list[Trial]) -> None:
    made = with_outputs(trials[0], [GREEDY, None])
    with Leases(tmp_path) as leases:
        assert leases.record(made) is None, "no lease"
        assert not file_of(tmp_path, made).exists()
        assert leases.take(made.key)
        told = leases.record(made)
    assert told is not None
    assert "content" not in told.results["outputs"], "observers are not told the whole file"
    assert read_outputs(tmp_path, told) == [GREEDY, None]


def test_what_is_not_whole_is_not_taken(
    tmp_path: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_outputs, "UNPACKED", 2**12)
    made = with_outputs(trials[0], [GREEDY, BEAM])
    append(tmp_path, made)
    (kept,) = read(tmp_path).records
    file, other = file_of(tmp_path, kept), tmp_path / "other"
    whole = file.read_bytes()
    other.mkdir()
    append(other, with_outputs(trials[0], [BEAM, GREEDY]))
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    bomb = gzip.compress(bytes(kept_outputs.UNPACKED + 1))
    for damage in (b"", whole[:-9], bytes(changed), file_of(other, kept).read_bytes(), bomb):
        file.write_bytes(damage)
        assert has_outputs(tmp_path, kept)
        with pytest.raises(RecordsError, match="not the whole outputs of this trial's record"):
            read_outputs(tmp_path, kept)
    file.unlink()
    with pytest.raises(RecordsError, match="has kept no outputs"):
        read_outputs(tmp_path, kept)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch, trials: list[Trial]) -> None:
    monkeypatch.setattr(kept_outputs, "MOST", 20)
    with pytest.raises(ValueError, match="the most"):
        with_outputs(trials[0], [GREEDY, BEAM])
    with pytest.raises(ValueError, match="neither texts"):
        with_outputs(trials[0], [[1, 2, 3], None])
    assert packed("key", [], []) is None
    assert with_outputs(trials[0], [None, None]).results["outputs"] is None


def test_merging_takes_outputs_along(tmp_path: Path, trials: list[Trial]) -> None:
    one, other, without = (tmp_path / name for name in ("one", "other", "without"))
    made = [with_outputs(trial, [GREEDY, BEAM]) for trial in trials[:2]]
    bare = replace(made[0], results={k: v for k, v in made[0].results.items() if k != "outputs"})
    for folder, several in ((without, [bare]), (one, made[:1]), (other, made)):
        folder.mkdir()
        for each in several:
            append(folder, each)
    write_whole(file_of(one, made[0]), b"torn")
    merged = merge([without, one, other], tmp_path / "all")
    assert (merged.records, merged.twice, merged.outputs) == (2, 2, 2)
    found = read(tmp_path / "all").records
    assert [read_outputs(tmp_path / "all", each)[0] for each in found] == [GREEDY, GREEDY]
    assert copy_outputs([without], tmp_path / "all", found) == 0
