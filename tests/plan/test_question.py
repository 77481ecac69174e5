"""The question of a suite: what it may say, what it leaves open, and that records keep it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from msbench.errors import RecordsError, SuiteError
from msbench.plan.question import question_of
from msbench.plan.suite import load_suite
from msbench.records.question import FILE, read_question, write_question
from msbench.spec import Question, Suite, Trial

Write = Callable[..., Path]


def test_what_is_left_open_is_found_in_the_suite(tiny: Suite, trials: Sequence[Trial]) -> None:
    expected = Question("optimizer", "adamw", {}, {"numbers-fr": "greedy"})
    assert question_of(tiny, trials) == expected


def test_a_suite_declares_its_question(write_suite: Write, trials: Sequence[Trial]) -> None:
    declared = """
[question]
by = "decoder"
baseline = "beam"
metric = { numbers-fr = "chrf" }
decoder = { numbers-fr = "beam" }
"""
    suite = load_suite(str(write_suite(bottom=declared)))
    expected = Question("decoder", "beam", {"numbers-fr": "chrf"}, {"numbers-fr": "beam"})
    assert question_of(suite, trials) == expected


def test_the_axis_is_one_that_varies_within_a_task(tiny: Suite, trials: Sequence[Trial]) -> None:
    """A model for each task is no comparison of models."""
    one = [replace(trial, optimizer=trials[0].optimizer) for trial in trials]
    model = replace(trials[0].model, name="other")
    other = [replace(trial, task=replace(trial.task, name="t"), model=model) for trial in one]
    assert question_of(tiny, [*one, *other]).by == "decoder"
    named = replace(tiny, question=Question(baseline="adamw"))
    assert question_of(named, [*one, *other]).by == "optimizer"


def test_names_that_stand_for_nothing_are_told(write_suite: Write) -> None:
    wrong = """
[question]
baseline = "adam"
metric = { numbers = "chrf" }
decoder = { numbers-fr = "beem" }
"""
    with pytest.raises(SuiteError) as caught:
        load_suite(str(write_suite(bottom=wrong)))
    text = str(caught.value)
    assert "question.metric.numbers: no such task; did you mean 'numbers-fr'" in text
    assert "question.decoder.numbers-fr: no decoder 'beem'; did you mean 'beam'" in text
    assert "question.baseline: no optimizer 'adam'; did you mean 'adamw'" in text
    with pytest.raises(SuiteError, match=r"question\.by: Input should be 'optimizer'"):
        load_suite(str(write_suite(bottom='[question]\nby = "speed"')))


def test_records_keep_the_question_beside_them(tmp_path: Path) -> None:
    question = Question("loss", "mse", {"t": "bleu"}, {"t": "beam"})
    assert read_question(tmp_path) is None
    write_question(tmp_path, question)
    assert read_question(tmp_path) == read_question(tmp_path / "trials.jsonl") == question
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    (tmp_path / FILE).write_bytes(b"\xff")  # whatever is there, the suite's question replaces it
    odd = Question(baseline="\ud800\x1b")
    write_question(tmp_path, odd)
    assert read_question(tmp_path) == odd


@pytest.mark.parametrize(
    "text", ["", "[]", '{"by": "speed"}', '{"metric": {"t": 3}}', '{"more": 1}', '{"baseline": 1}']
)
def test_a_file_that_holds_no_question_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(RecordsError, match="is no question of a suite"):
        read_question(tmp_path)
