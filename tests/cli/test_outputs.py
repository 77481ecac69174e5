"""What strategies wrote, from a real run: shown, scored again, in the report and the list."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from msbench.plugins.registry import Registry
from msbench.records.question import write_question
from msbench.records.record import Record
from msbench.records.store import append, read
from msbench.run.job import run_job
from msbench.run.redecode import completed
from msbench.spec import Question, Trial

Call = Callable[..., Result]


def bleu_of(record: Record) -> list[float]:
    """Per example, of the greedy decoder."""
    (found,) = (d for d in record.results["decoding"] if d["decoder"]["name"] == "greedy")
    return list(found["examples"]["bleu"])


@pytest.fixture
def ran(tmp_path: Path, trials: list[Trial]) -> list[Record]:
    """Two strategies with two decoders and seeds, in results/tiny."""
    folder = tmp_path / "results" / "tiny"
    folder.mkdir(parents=True)
    for trial in trials:
        append(folder, run_job(trial, keep_outputs=True))
    write_question(folder, Question("optimizer", "adamw", decoder={"numbers-fr": "greedy"}))
    return list(read(folder).records)


def test_outputs_of_a_run(
    ran: list[Record], registry: Registry, trials: list[Trial], call: Call, tmp_path: Path
) -> None:
    assert {r.status for r in ran} == {"ok"}
    task = registry.make_task(trials[0].task, trials[0].model)
    sources = [source for source, _ in task.texts.splits["test"]]

    # Side by side, with what stands in the task, in the order of the split.
    def shown(*words: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(
            call("outputs", "tiny", *words, "--format", "json").stdout
        )["rows"]
        return rows

    rows = shown()
    assert [row["example"] for row in rows[::2]] == [0, 1, 2, 3, 4]
    assert {(row["optimizer"].partition(" ")[0], row["decoder"]) for row in rows} == {
        ("adamw", "greedy"),
        ("sam", "greedy"),
    }
    for row in rows:
        assert row["source"] == sources[row["example"]]
        assert row["reference"] == task.test.references[row["example"]]
    text = call("outputs", "tiny", "--decoder", "beam", "--number", "2").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert sources[0].split()[0] in text
    table = call("outputs", "tiny", "--format", "csv", "--seed", "1", "--no-sources").stdout
    found = list(csv.DictReader(io.StringIO(table)))
    assert {(row["seed"], row["source"]) for row in found} == {("1", "")}

    # The worst are those with the lowest mean score of what is shown; between, the widest gap.
    scores = np.array([bleu_of(record) for record in ran if record.trial["seed"] == 0])
    lowest = np.argsort(scores.mean(axis=0), kind="stable")[:3].tolist()
    assert [row["example"] for row in shown("--worst", "3")[::2]] == lowest
    apart = shown("--between", "adamw", "sam")
    pairs = list(zip(apart[::2], apart[1::2], strict=True))
    assert all(one["output"] != other["output"] for one, other in pairs)
    gaps = [abs(one["score"] - other["score"]) for one, other in pairs]
    assert gaps == sorted(gaps, reverse=True)
    assert (
        "did you mean 'sam" in call("outputs", "tiny", "--between", "adamw", "samm", check=2).output
    )

    # Scored again by the metric that they were scored by, everything is the same.
    compared = call("compare", "tiny", "--metric", "chrf", "--format", "json").stdout
    again = json.loads(call("score", "tiny", "--metric", "chrf", "--format", "json").stdout)
    before = [row for row in json.loads(compared)["accuracy"] if row["metric"] == "chrf"]
    assert len(before) == 4
    assert again["accuracy"] == before
    rouge = call("score", "tiny", "--metric", "rouge").stdout
    assert all(name in rouge for name in ("ACCURACY, SECONDARY", "rouge1", "rougeL", "sam"))
    assert "no metric 'roug'" in call("score", "tiny", "--metric", "roug", check=2).output

    # A page has a folded section; a list says what there is.
    call("report", "tiny")
    page = (tmp_path / "report.html").read_text()
    assert '<section id="outputs">' in page
    assert sources[lowest[0]] in page
    (row,) = json.loads(call("results", "--format", "json").stdout)["rows"]
    assert (row["ok"], row["failed"], row["missing"], row["outputs"]) == (4, 0, None, 4)

    # What is decoded again and writes nothing does not inherit outputs.
    results = {name: each for name, each in ran[0].results.items() if name != "outputs"}
    assert "outputs" not in completed(replace(ran[0], results=results), ran[0]).results

    # A torn file is named and left out.
    (tmp_path / "results" / "tiny" / "outputs" / f"{ran[0].key}.jsonl.gz").write_bytes(b"torn")
    said = call("outputs", "tiny", "--format", "json")
    assert "not the whole outputs" in said.stderr
    assert len({row["optimizer"] for row in json.loads(said.stdout)["rows"]}) == 1
