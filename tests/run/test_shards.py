"""Shards of a suite, on machines that share nothing, and their merged records."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msbench import Registry, load_suite, read
from msbench.compare.overview import overview
from msbench.errors import MsbenchError, RecordsError
from msbench.plan.shards import Shard
from msbench.plan.trials import expected, plan
from msbench.records.checksum import sealed
from msbench.records.merge import merge, same_results
from msbench.records.outputs import read_outputs
from msbench.records.question import read_question, write_question
from msbench.run.driver import run_suite

Write = Callable[..., Path]
Call = Callable[..., Any]

SEARCH = """
[tuning]
trials = 10
"""


def keys(folder: Path) -> list[str]:
    return sorted(record.key for record in read(folder).records)


def test_shards_are_run_apart_and_merged(
    write_suite: Write, server: None, call: Call, tmp_path: Path
) -> None:
    suite = write_suite(**{"rounds = 2": "rounds = 1", "seeds = 2": "seeds = 3"})
    whole = call("run", suite, "--seeds", "3").stdout
    shards = []
    for number in (1, 2):
        done = call("run", suite, "--shard", f"{number}/2", "--out", f"machine-{number}")
        assert f"shard {number} of 2 is done: machine-{number}/tiny" in done.stdout
        assert "MEASURED ALONE" not in done.stdout
        shards.append(tmp_path / f"machine-{number}" / "tiny")
    assert not {*keys(shards[0])} & {*keys(shards[1])}
    merged = tmp_path / "merged" / "tiny"
    said = call("merge", *shards, "-o", merged)
    assert "6 records of 2 runs" in said.stdout
    everything = read(tmp_path / "results/tiny/trials.jsonl").records
    trials = {record.key: record for record in everything}
    assert {record.key for record in read(merged).records} == {*trials}
    assert all(same_results(record, trials[record.key]) for record in read(merged).records)
    assert "and the outputs of 6" in said.stdout
    for record in read(merged).records:
        assert read_outputs(merged, record) == read_outputs(tmp_path / "results/tiny", record)
    (one, _) = (overview(shard).rows[0] for shard in shards)
    assert (one["ok"], one["missing"], one["suite"]) == (
        len(keys(shards[0])),
        6 - one["ok"],
        "tiny",
    )
    assert overview(tmp_path / "merged").rows[0]["missing"] == 0
    rest = call("run", suite, "--out", "merged")
    assert "all 6 trials are done already" not in rest.stderr, "speeds are still to be measured"
    assert "6 of 6 trials are done already" in rest.stderr
    answer = next(line for line in rest.stdout.splitlines() if "numbers-fr" in line)
    assert answer.partition(";")[0] in whole, "but for the seconds that it took"
    again = call("merge", *shards, "-o", merged, check=2)
    assert "has records already" in again.stderr


def test_what_contradicts_is_refused(
    write_suite: Write, server: None, call: Call, tmp_path: Path
) -> None:
    suite = write_suite(**{"rounds = 2": "rounds = 0", "seeds = 2": "seeds = 1"})
    call("run", suite, "--out", "a")
    one, other = tmp_path / "a/tiny", tmp_path / "b"
    other.mkdir()
    lines = [json.loads(line) for line in (one / "trials.jsonl").read_text().splitlines()]
    for line in lines:
        del line["checksum"]
        line["results"]["training"]["seconds"] += 1.5
    failed = {**lines[1], "status": "crashed", "reason": "it was killed", "results": {}}

    def written(rows: list[dict[str, Any]]) -> None:
        text = [sealed(json.dumps(row).encode()).decode() + "\n" for row in rows]
        (other / "trials.jsonl").write_text("".join(text))

    written([lines[0], failed])
    done = merge([other, one], tmp_path / "equal")
    assert (done.records, done.twice) == (2, 2)
    assert {record.status for record in read(tmp_path / "equal").records} == {"ok"}
    lines[0]["results"]["training"]["curve"][-1]["validation_loss"] += 1e-9
    written(lines)
    with pytest.raises(RecordsError, match="1 trials have other results"):
        merge([one, other], tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (other / "question.json").write_text("{}")
    written(lines[1:])
    with pytest.raises(RecordsError, match="ask different questions"):
        merge([one, other], tmp_path / "new")
    asked = read_question(one)
    assert asked
    write_question(other, replace(asked, decoder={"headlines": "beam"}))
    merge([one, other], tmp_path / "new")
    both = read_question(tmp_path / "new")
    assert both == replace(asked, decoder={**asked.decoder, "headlines": "beam"})


def test_a_search_is_in_one_shard(write_suite: Write, registry: Registry) -> None:
    path = write_suite(bottom=SEARCH, **{"lr = 3e-3\n": "", ", lr = 3e-3": ""})
    trials = plan(load_suite(str(path)), registry, (), lambda part: "data")
    assert len(trials) == 6
    of = {
        trial.optimizer.name: [
            number for number in range(1, 5) if trial in Shard(number, 4).of_suite(trials)
        ]
        for trial in trials
    }
    assert all(len(numbers) == 1 for numbers in of.values())
    for name, (number,) in of.items():
        own = Shard(number, 4).of_suite(trials)
        assert sum(trial.optimizer.name == name for trial in own) == 3


def test_every_trial_is_in_one_shard(registry: Registry) -> None:
    trials = expected(load_suite("quick"), registry, (), lambda part: "data")
    for of in range(1, 9):
        shards = [Shard(number, of).of_suite(trials) for number in range(1, of + 1)]
        keys = [trial.key for shard in shards for trial in shard]
        assert sorted(keys) == sorted(trial.key for trial in trials)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", "1/2 "])
def test_no_shards(text: str) -> None:
    with pytest.raises(ValueError, match="is no shard"):
        Shard.parse(text)


def test_looks_need_all_records(
    write_suite: Write, registry: Registry, call: Call, tmp_path: Path
) -> None:
    suite = write_suite(bottom="[question]\nmax_seeds = 5\n", **{"seeds = 2\n": ""})
    with pytest.raises(MsbenchError, match="run it without --shard"):
        next(run_suite(load_suite(str(suite)), registry, tmp_path / "r", shard=Shard(1, 2)))
    assert "is no shard such as 2/8" in call("run", suite, "--shard", "9/8", check=2).stderr
