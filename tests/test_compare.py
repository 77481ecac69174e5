"""Tables: the numbers, the pairing, what is done with bad rows, and every format."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
from scipy import stats as reference

from msbench.compare import compare
from msbench.errors import MsbenchError
from msbench.render import render
from msbench.spec import FORMATS, Comparison, Measurement, Part, Record, Throughput, Trial, record
from msbench.stats import mean_interval


def result(value: float, decoders: Sequence[Part]) -> dict[str, Any]:
    return {
        "task": {"kind": "seq2seq", "metric": "bleu", "lower_is_better": []},
        "training": {"passes": 12, "seconds": 2.0, "tokens": 100, "diverged": "", "curve": []},
        "peak_memory": 5_000_000,
        "decoding": [
            {"decoder": asdict(part), "metrics": {"bleu": value + n, "chrf": 2 * value}}
            for n, part in enumerate(decoders)
        ],
    }


@pytest.fixture
def records(trials: list[Trial]) -> list[Record]:
    """Four seeds of two optimizers: SAM is exactly 1 above, on scores that vary by seed."""
    made = []
    for seed, value in enumerate([10.0, 14.0, 11.0, 30.0]):
        for trial in trials[:2]:
            better = trial.optimizer.name == "sam"
            one = replace(trial, seed=seed)
            made.append(record(one, "ok", results=result(value + better, one.decoders)))
    return made


def row(comparison: Comparison, optimizer: str, metric: str = "bleu") -> dict[str, Any]:
    return next(
        r for r in comparison.accuracy if (r["optimizer"], r["metric"]) == (optimizer, metric)
    )


def test_the_interval_is_scipys() -> None:
    values = [0.2, 0.5, 0.1, 0.9, 0.4]
    mean, low, high = mean_interval(values)
    expected = reference.t.interval(0.95, 4, loc=mean, scale=reference.sem(values))
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    assert mean_interval([3.0])[0] == 3.0
    assert math.isnan(mean_interval([3.0])[1])
    assert all(math.isnan(x) for x in mean_interval([]))


def test_differences_are_paired_by_seed(records: list[Record]) -> None:
    sam = row(compare(records, "adamw"), "sam")
    assert sam["n"] == sam["n_ok"] == 4
    assert sam["difference"] == pytest.approx(1.0)
    assert sam["difference_high"] - sam["difference_low"] < 1e-9
    assert sam["high"] - sam["low"] > 10
    adamw = row(compare(records, "adamw"), "adamw")
    assert adamw["difference"] == 0.0


def test_every_row_has_what_readers_rely_on(records: list[Record]) -> None:
    wanted = """task model loss optimizer decoder metric n n_ok mean low high passes train_seconds
        tokens_per_second peak_memory"""
    rows = json.loads(render(compare(records), "json"))
    assert len(rows) == 2 * 2 * 2
    for each in rows:
        assert set(wanted.split()) <= set(each)
    assert rows[0]["tokens_per_second"] == 50.0


def test_bad_rows_are_counted_shown_and_never_ranked_best(records: list[Record]) -> None:
    best = next(i for i, r in enumerate(records) if r.job["optimizer"]["name"] == "sam")
    records[best] = replace(records[best], status="diverged", reason="loss nan", results={})
    comparison = compare(records, "adamw")
    sam = row(comparison, "sam")
    assert (sam["n"], sam["n_ok"], sam["status"]) == (4, 3, "ok 3, diverged 1")
    assert sam["mean"] == pytest.approx((15 + 12 + 31) / 3, abs=1.01)
    assert comparison.accuracy[0]["optimizer"] == "adamw"
    assert any("sam seed 0: diverged: loss nan" in note for note in comparison.notes)


def test_a_strategy_that_never_ends_ok_keeps_its_row(records: list[Record]) -> None:
    failed = [
        replace(r, status="crashed", results={}) if r.job["optimizer"]["name"] == "sam" else r
        for r in records
    ]
    comparison = compare(failed, "adamw")
    sam = row(comparison, "sam")
    assert (sam["n"], sam["n_ok"]) == (4, 0)
    assert math.isnan(sam["mean"])
    for style in FORMATS:
        assert "sam" in render(comparison, style)
    only = [r for r in failed if r.status == "crashed"]
    assert "0/4" in render(compare(only))


def test_one_seed_has_no_interval(records: list[Record]) -> None:
    (adamw,) = (r for r in compare(records[:1]).accuracy[:1])
    assert adamw["mean"] > 0
    assert math.isnan(adamw["low"])
    assert json.loads(render(compare(records[:1]), "json"))[0]["low"] is None


def test_same_names_are_told_apart_by_what_differs(records: list[Record]) -> None:
    hot = []
    for each in records:
        trial = Trial.of(each.job)
        if trial.optimizer.name == "adamw":
            options = {**trial.optimizer.options, "lr": 0.5}
            other = replace(trial, optimizer=replace(trial.optimizer, options=options))
            hot.append(record(other, "ok", results=dict(each.results)))
    names = {r["optimizer"] for r in compare([*records, *hot]).accuracy}
    assert names == {"adamw (lr=0.003)", "adamw (lr=0.5)", "sam"}
    longer = replace(
        Trial.of(records[0].job), training=replace(Trial.of(records[0].job).training, passes=99)
    )
    mixed = [*records, record(longer, "ok", results=dict(records[0].results))]
    tasks = {r["task"] for r in compare(mixed).accuracy}
    assert tasks == {"numbers-fr (training.passes=12)", "numbers-fr (training.passes=99)"}


def test_an_absent_baseline_is_an_error(records: list[Record]) -> None:
    with pytest.raises(MsbenchError, match="no optimizer 'adam' in these results; did you mean"):
        compare(records, "adam")
    with pytest.raises(MsbenchError, match="no trials"):
        compare([])


def test_csv_and_json_hold_the_same_values(records: list[Record]) -> None:
    comparison = compare(records)
    rows = list(csv.DictReader(io.StringIO(render(comparison, "csv"))))
    values = json.loads(render(comparison, "json"))
    assert [float(r["mean"]) for r in rows] == [v["mean"] for v in values]
    assert [r["optimizer"] for r in rows] == [v["optimizer"] for v in values]


def test_a_seed_counts_once_whatever_decoders_were_beside(records: list[Record]) -> None:
    again = []
    for each in records:
        trial = Trial.of(each.job)
        only = replace(trial, decoders=trial.decoders[:1])
        again.append(record(only, "ok", results=dict(each.results)))
    once, twice = compare(records, "adamw").accuracy, compare([*again, *records], "adamw").accuracy
    assert json.dumps(once) == json.dumps(twice)


def test_the_default_baseline_does_not_depend_on_who_finished_first(records: list[Record]) -> None:
    assert compare(records).baseline == compare(records[::-1]).baseline == "adamw"


def test_ratios_follow_the_baseline(trials: list[Trial], records: list[Record]) -> None:
    measurement = Measurement(tuple(t for t in trials if t.seed == 0), Throughput())
    training = [
        {
            "strategy": {k: asdict(getattr(t, k)) for k in ("loss", "optimizer", "schedule")},
            "per_second": rates[1],
            "rates": rates,
        }
        for t, rates in zip(measurement.strategies, ([10.0, 20.0], [5.0, 10.0]), strict=True)
    ]
    speed = record(measurement, "ok", results={"training": training, "decoding": []})
    for baseline, other, ratio in (("adamw", "sam", 0.5), ("sam", "adamw", 2.0)):
        rows = compare([*records, speed], baseline).throughput
        assert [r["optimizer"] for r in rows] == [baseline, other]
        assert [r["ratio"] for r in rows] == [1.0, ratio]


HOSTILE = ["a|b", "0012", "x_y & 5% $z$", "*bold*", "\x1b[31mred", "<script>", "new\nline", "a\\b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_in_their_cell(records: list[Record], name: str) -> None:
    renamed = []
    for each in records:
        trial = Trial.of(each.job)
        if trial.optimizer.name == "adamw":
            trial = replace(trial, optimizer=replace(trial.optimizer, label=name))
        renamed.append(record(trial, "ok", results=dict(each.results)))
    comparison = compare(renamed, name)
    plain = {style: render(compare(records, "adamw"), style) for style in FORMATS}
    for style in ("text", "markdown", "latex"):
        shown = render(comparison, style)
        assert "\x1b" not in shown
        assert len(shown.splitlines()) == len(plain[style].splitlines())
        if style == "markdown":
            table = [line for line in shown.splitlines() if line.startswith("|")]
            pipes = {line.replace("\\\\", "").replace("\\|", "").count("|") for line in table}
            assert len(pipes) == 1
            assert "<script>" not in shown
    assert json.loads(render(comparison, "json"))[0]["optimizer"] in (name, "sam")
    rows = list(csv.DictReader(io.StringIO(render(comparison, "csv"), newline="")))
    assert name in {r["optimizer"] for r in rows}
    if name == "0012":
        assert "0012" in render(comparison, "text")
