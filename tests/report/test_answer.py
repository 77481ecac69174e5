"""The answer: short whatever was compared, and never more than the judge has said."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE, hostile_records

from msbench.compare.comparison import compare
from msbench.compare.rows import AccuracyRow, Comparison
from msbench.compare.shown import of_some_seeds, shown
from msbench.errors import MsbenchError
from msbench.records.record import Record
from msbench.records.store import read
from msbench.report.answer import LINES, TASKS, WIDTH, answer
from msbench.report.fitting import fitted, taken
from msbench.report.render import render
from msbench.report.tables import tables

REFERENCE = Path(__file__).parents[2] / "tests/kept"
COMMANDS = ["msbench compare x", "msbench report x", "msbench run x"]


@pytest.fixture(scope="module")
def quick() -> Comparison:
    return compare(read(REFERENCE / "quick").records)


def test_the_answer_says_what_the_judge_said(quick: Comparison) -> None:
    lines = answer(quick, COMMANDS)
    assert lines[0] == (
        "5 optimizers on 3 tasks, up to 4 seeds, against adamw; untuned, so not ranked"
    )
    assert "bbc-news: lookahead leads with accuracy 0.829 (adamw 0.819); 200 passes, 2.2 s" in lines
    assert "  undecided: lookahead (9 seeds needed); worse: momentum, sam, sgd" in lines
    assert lines[-3:] == COMMANDS
    better: list[AccuracyRow] = [
        {**row, "verdict": "better"} if row["optimizer"] == "lookahead" else row
        for row in quick.accuracy
    ]
    told = answer(replace(quick, accuracy=better), COMMANDS)
    assert any("lookahead is better than adamw: accuracy 0.829 against 0.819" in t for t in told)
    assert not any("is better than" in line for line in lines)


@pytest.mark.parametrize("tasks", [1, 4, 5, 12])
@pytest.mark.parametrize("notes", [0, 1, 30])
def test_it_is_short(tasks: int, notes: int, quick: Comparison) -> None:
    """Whatever things are called, and however many notes there are."""
    named = [row for row in quick.accuracy if row["task"] == "bbc-news"]
    names = count()
    many: list[Any] = [
        {
            **row,
            "task": f"task {task} {'x' * 70 * (task % 2)}",
            "optimizer": f"{row['optimizer']} {next(names):060}",
        }
        for task in range(tasks)
        for row in named
    ]
    lines = answer(
        replace(quick, accuracy=many, notes=[f"note {n} " * 30 for n in range(notes)]), COMMANDS
    )
    assert len(lines) <= LINES + max(0, tasks - TASKS)
    assert max(map(len, lines)) <= WIDTH
    assert all(any(line.startswith(f"task {task} ") for line in lines) for task in range(tasks))
    assert lines[-3:] == COMMANDS
    assert any("note" in line for line in lines) == (notes > 0)


def test_names_are_data() -> None:
    records = [Record.from_json(json.dumps(each)) for each in hostile_records(HOSTILE)]
    lines = answer(compare(records), COMMANDS)
    assert all(line.isprintable() and len(line) <= WIDTH for line in lines)


def test_tables_fit_and_name_what_they_leave_out(quick: Comparison) -> None:
    for width in (40, 80, 120):
        text = render(quick, "text", width=width)
        assert max(map(len, text.splitlines())) <= width
    narrow, wide = render(quick, "text", ["accuracy"], 80), render(quick, "text", ["accuracy"])
    assert "Left out to fit 80 characters: per example, " in narrow
    assert "Per example:" in wide
    assert "Per example:" not in narrow
    assert "Overfitting:" not in wide  # a footnote of another table
    for table in tables(quick):
        assert fitted(table.cells, taken(table.cells), table.spare) == (table.cells, [])
        cells, gone = fitted(table.cells, taken(table.cells) - 1, table.spare)
        assert {*cells[0], *gone} == {*table.cells[0]}
        assert len(gone) >= 1
    with pytest.raises(MsbenchError, match="the table ranks has no rows here"):
        render(quick, "text", ["ranks"])
    assert render(quick, "csv", ["training"]).startswith("task,model,loss,optimizer,schedule,mach")


def test_what_is_left_out_was_judged_with_the_rest(quick: Comparison) -> None:
    some = shown(quick, {"task": ["bbc-news"], "optimizer": ["sam"]})
    assert {row["optimizer"] for row in some.accuracy} == {"sam", "adamw"}  # with its baseline
    assert {row["task"] for row in some.training} == {"bbc-news"}
    (sam,) = (row for row in some.accuracy if row["optimizer"] == "sam" and row["decides"])
    assert sam in quick.accuracy  # p is adjusted for four, not for one
    assert not some.profiles
    with pytest.raises(MsbenchError, match="--task bbc-new: these results have none; did you mean"):
        shown(quick, {"task": ["bbc-new"]})
    sequential = shown(replace(quick, max_seeds=12), {"task": ["bbc-news"]})
    assert {row["task"] for row in sequential.accuracy} == {"bbc-news"}
    assert sequential.max_seeds == 12
    assert not any(row["decides"] for row in of_some_seeds(quick, [0]).accuracy)
