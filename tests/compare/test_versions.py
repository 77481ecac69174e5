"""Results of several versions are never averaged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from msbench.claims.recommend import recommend
from msbench.compare.comparison import compare
from msbench.records.record import Record
from msbench.records.store import read

QUICK = Path(__file__).parents[2] / "tests/kept/quick"


def upgraded(record: Record) -> Record:
    """The record as another torch would have made it."""
    versions = {**record.machine["versions"], "torch": "9.0"}
    return replace(record, machine={**record.machine, "versions": versions})


def of_code(record: Record, digest: str, kind: str = "learner") -> Record:
    """The record as one whose learner, or part of another kind, has a digest."""
    part = {**record.job[kind], "version": f"0.1.0/{digest}"}
    return replace(record, group=f"{record.group}{digest}", job={**record.job, kind: part})


def seeds(records: list[Record]) -> tuple[dict[str, set[int]], list[str]]:
    """How many seeds the rows of each task have, and the notes."""
    made = compare(records)
    rows: dict[str, set[int]] = {}
    for row in made.accuracy:
        rows.setdefault(row["task"], set()).add(row["n"])
    return rows, [note for note in made.notes if "shown apart" in note]


def trials() -> list[Record]:
    """The reference trials of one task."""
    records = [r for r in read(QUICK).records if r.is_trial]
    return [r for r in records if r.trial["task"]["name"] == records[0].trial["task"]["name"]]


def test_older_records_are_apart_by_the_libraries_of_their_machine() -> None:
    records = trials()
    name, total = records[0].trial["task"]["name"], len({r.trial["seed"] for r in records})
    assert seeds(records) == ({name: {total}}, [])
    mixed = [upgraded(r) if r.trial["seed"] == 0 else r for r in records]
    rows, notes = seeds(mixed)
    was = records[0].machine["versions"]["torch"]
    assert rows == {
        f"{name} (learner.torch={was})": {total - 1},
        f"{name} (learner.torch=9.0)": {1},
    }
    assert notes == [f"{name} is shown apart, by versions: torch {was} and 9.0"]


def test_a_changed_part_is_named() -> None:
    def mixed(digest: str) -> list[Record]:
        parts = [of_code(r, "aa", "model") for r in trials()]
        return [of_code(r, digest, "model") if r.trial["seed"] == 0 else r for r in parts]

    _, notes = seeds(mixed("bb"))
    task, model = (trials()[0].job[kind]["name"] for kind in ("task", "model"))
    assert notes == [f"{task} is shown apart, by versions: model {model} 0.1.0/aa and 0.1.0/bb"]
    assert notes[0] in recommend(mixed("bb"), "passes", 300).notes
    assert seeds(mixed("aa"))[1] == []


def test_records_with_digests_are_apart_by_them_alone() -> None:
    def mixed(digest: str) -> list[Any]:
        return [
            upgraded(of_code(r, digest)) if r.trial["seed"] == 0 else of_code(r, "aa")
            for r in trials()
        ]

    name = trials()[0].trial["task"]["name"]
    rows, notes = seeds(mixed("bb"))
    assert {task: min(n) for task, n in rows.items()}[f"{name} (learner.version=0.1.0/bb)"] == 1
    assert len(rows) == 2
    assert "learner 0.1.0/aa and 0.1.0/bb" in notes[0]
    rows, notes = seeds(mixed("aa"))  # torch that nothing imports is nothing to these
    assert (list(rows), notes) == ([name], [])
