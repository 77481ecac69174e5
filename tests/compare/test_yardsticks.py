"""Yardsticks: planned once, no strategies in any table, and what strategies are held against."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from handmade import results
from scipy import stats as scipy_stats

from msbench.claims import recommend
from msbench.compare.comparison import compare
from msbench.compare.stats import holm
from msbench.errors import SuiteError
from msbench.plan.suite import load_suite
from msbench.plan.trials import measurements, plan
from msbench.plugins.registry import Registry
from msbench.records.record import Record, record
from msbench.report.findings import summary
from msbench.report.render import render
from msbench.report.tables import tables
from msbench.spec import FORMATS, Question, Trial, job_from_json, job_to_json, plain

LINEAR = '\n[[yardstick]]\nname = "linear"\n'
SCORES = {"adamw": [10.0, 14.0, 11.0, 12.0], "sam": [30.0, 31.0, 33.0, 30.5]}

Write = Callable[..., Path]


@pytest.fixture
def held(write_suite: Write, registry: Registry) -> list[Trial]:
    suite = load_suite(str(write_suite(bottom=LINEAR)))
    return plan(suite, registry, (), lambda part: "data")


def made(trial: Trial, score: float, examples: list[float]) -> Record:
    curve = [{"passes": 12, "steps": 12, "seconds": 1.0, "validation_loss": 1.0}]
    found = results(trial.decoders, [{"bleu": score}] * len(trial.decoders), curve=curve)
    for decoded in found["decoding"]:
        decoded["examples"] = {"bleu": examples}
    return record(trial, "ok", results=found)


def records_of(held: list[Trial], yardstick: float) -> list[Record]:
    """Four seeds of two optimizers on three examples, and the yardstick's one trial."""
    made_of: list[Record] = []
    for trial in held:
        if trial.yardstick:
            made_of.append(made(trial, yardstick, [yardstick - 1, yardstick, yardstick + 1]))
        elif trial.seed == 0:
            for seed, score in enumerate(SCORES[trial.optimizer.name]):
                one = replace(trial, seed=seed)
                made_of.append(made(one, score, [score - 2, score, score + 2]))
    return made_of


def test_a_yardstick_is_one_trial_a_task_and_nothing_is_timed(
    held: list[Trial], write_suite: Write, registry: Registry
) -> None:
    (only,) = [trial for trial in held if trial.yardstick]
    assert (only.model.name, only.learner.name, only.seed) == ("linear", "linear", 0)
    assert job_from_json(job_to_json(only)) == only
    strategies = [trial for trial in held if not trial.yardstick]
    assert all("yardstick" not in plain(trial) for trial in strategies)  # keys are as they were
    without = plan(load_suite(str(write_suite())), registry, (), lambda part: "data")
    assert {trial.key for trial in without} == {trial.key for trial in strategies}
    timed = measurements(load_suite(str(write_suite(bottom=LINEAR))), held)
    assert not any(trial.yardstick for each in timed for trial in each.strategies)
    adding = {"seeds = 2\n": "", "[throughput]": "[question]\nmax_seeds = 6\n\n[throughput]"}
    suite = load_suite(str(write_suite(bottom=LINEAR, **adding)))
    first = plan(suite, registry, (), lambda part: "data")
    assert sum(trial.yardstick for trial in first) == 1


def test_what_is_no_yardstick_is_refused(write_suite: Write, registry: Registry) -> None:
    def problem(bottom: str) -> str:
        with pytest.raises(SuiteError) as caught:
            plan(load_suite(str(write_suite(bottom=bottom))), registry, (), lambda part: "data")
        return caught.value.problems[0]

    assert "brings its own" in problem('\n[[yardstick]]\nname = "encoder-decoder"\n')
    assert "two have one name" in problem(LINEAR + LINEAR)
    assert "no task 'nowhere'" in problem(LINEAR + 'tasks = ["nowhere"]\n')


def test_it_is_in_no_family_and_judged_by_the_one_judge(held: list[Trial]) -> None:
    records = records_of(held, 29.0)
    question = Question("optimizer", "adamw")
    comparison = compare(records, question=question)
    alone = compare([r for r in records if not r.is_yardstick], question=question)
    assert repr(comparison.accuracy) == repr(alone.accuracy)
    assert repr(comparison.ranks) == repr(alone.ranks)
    (row,) = [r for r in comparison.yardsticks if r["decides"]]
    assert (row["yardstick"], row["score"]) == ("linear", 29.0)
    against = {r["optimizer"]: r for r in comparison.against}
    p = [scipy_stats.ttest_1samp(SCORES[name], 29.0).pvalue for name in against]
    assert [r["p_adjusted"] for r in against.values()] == pytest.approx(holm(p).tolist())
    assert against["adamw"]["verdict"] == "worse"
    assert against["sam"]["verdict"] == "better"
    assert against["sam"]["example_p"] < 1
    sentence = "sam beats linear (bleu 29)"
    assert any(sentence in line for line in summary(comparison))
    for format in FORMATS:
        assert "linear" in render(comparison, format) or format == "csv"
    assert sentence in render(comparison)
    assert any(sentence in note for note in recommend(records, "passes", 12).notes)
    (shown,) = tables(comparison, ["accuracy"])
    last = next(cells for cells in shown.cells if cells["optimizer"] == "linear")
    assert (last["mean"], last["verdict"]) == ("29.0", "beaten by 1 of 2")
    assert last["95 % interval"] == ""  # one score has none
    assert last["seeds ok"] == "1 of 1"


def test_nothing_is_made_up(held: list[Trial]) -> None:
    best = compare(records_of(held, 60.0), question=Question("optimizer", "adamw"))
    assert any("no strategy beats linear (bleu 60): the best, sam" in s for s in summary(best))
    same = [
        made(replace(each, seed=seed), 20.0, [20.0] * 3)
        for each in held
        if not each.yardstick and each.optimizer.name == "adamw" and each.seed == 0
        for seed in range(4)
    ]
    (yardstick,) = [r for r in records_of(held, 10.0) if r.is_yardstick]
    asked = Question("optimizer", "adamw")
    (still,) = compare([*same, yardstick], question=asked).against
    assert still["difference"] == 10.0
    assert math.isnan(still["p_adjusted"])
    assert still["verdict"] == "undecided"
    failed = replace(yardstick, status="failed", reason="no such luck", results={})
    lost = compare([*same, failed], question=asked)
    assert lost.against == []
    assert any("linear on" in n and "no such luck" in n for n in lost.notes)
    rows: list[dict[str, Any]] = json.loads(render(lost, "json"))["yardsticks"]
    assert rows[0]["score"] is None
