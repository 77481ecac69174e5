"""Tables of searches: which of several counts, and what selected the winner."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from handmade import results

from msbench.compare.comparison import compare
from msbench.compare.rows import TuningRow
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.records.record import Record, record
from msbench.report.plots.tuning import PLOT
from msbench.report.render import render
from msbench.spec import Select, Suite, Trial

Search = Callable[..., tuple[list[Record], list[Record]]]

FIRST = {"lr": [1e-4, 1e-2, "log"]}
SECOND = {"lr": [1e-2, 1.0, "log"]}


def no_data(part: Any) -> str:
    return "data"


@pytest.fixture
def suite(write_suite: Callable[..., Path]) -> Suite:
    free = {"lr = 3e-3\n": "\n", ", lr = 3e-3": ""}
    suite = load_suite(
        str(write_suite(**free, **{"[throughput]": "[tuning]\nmethod = 'halton'\n[throughput]"}))
    )
    (adamw,) = (choice for choice in suite.optimizers if choice.name == "adamw")
    return replace(suite, optimizers=(adamw,))


@pytest.fixture
def search(suite: Suite, registry: Registry) -> Search:
    """(search trials, those of the winner) of AdamW over a space: one loss, and one score of the
    test metric per decoder, for each of its points; a trial without a loss crashed."""

    def make(
        space: Mapping[str, Sequence[Any]],
        losses: Sequence[float | None],
        scores: Sequence[Sequence[float]] = (),
        select: Select = "loss",
    ) -> tuple[list[Record], list[Record]]:
        assert suite.tuning is not None
        tuned = replace(
            suite,
            optimizers=(replace(suite.optimizers[0], space=space),),
            tuning=replace(suite.tuning, points=len(losses), select=select),
        )

        def done(trial: Trial) -> Record:
            assert trial.tuned is not None
            point = trial.tuned.point
            loss = losses[point]
            if loss is None:
                return record(trial, "crashed", "killed")
            given = [{"bleu": score} for score in (scores[point] if scores else (20.0, 30.0))]
            curve = [{"validation_loss": loss, "passes": 12, "steps": 12, "seconds": 2.0}]
            found = results(trial.decoders, given[: len(trial.decoders)], curve=curve)
            return record(trial, "ok", results=found)

        tried = [done(trial) for trial in plan(tuned, registry, (), no_data)]
        return tried, [done(trial) for trial in plan(tuned, registry, tried, no_data)]

    return make


def tuning(records: Sequence[Record]) -> TuningRow:
    (row,) = compare(records).tuning
    return row


def test_a_search_of_another_space_replaces_the_one_before(search: Search) -> None:
    tried, won = search(FIRST, [None, 3.0, None, 2.5, 2.0])
    tried_again, won_again = search(SECOND, [1.9, 1.59, 1.7, 1.8])
    comparison = compare([*tried, *won, *tried_again, *won_again])
    (row,) = comparison.tuning
    assert row == tuning([*tried_again, *won_again])
    assert (row["validation_loss"], row["ok"], row["points"], row["point"]) == (1.59, 4, 4, 1)
    assert row["median"] == pytest.approx((1.7 + 1.8) / 2)
    assert "5 trials of an earlier search are left out" in comparison.notes
    assert "2 trials of winners of an earlier search are left out" in comparison.notes
    assert not comparison.failures  # they are of the earlier search
    assert "1.59" in render(comparison)


def test_points_that_a_search_goes_on_with_stay(search: Search) -> None:
    few, _ = search(FIRST, [3.0, 2.0])
    many, won = search(FIRST, [3.0, 2.0, 1.0, 4.0])
    more = [one for one in many if one.key not in {each.key for each in few}]
    comparison = compare([*few, *more, *won])
    (row,) = comparison.tuning
    assert (row["points"], row["ok"], row["validation_loss"], row["worst"]) == (4, 4, 1.0, 4.0)
    assert not any("earlier search" in note for note in comparison.notes)


def test_while_a_search_runs_scores_are_of_the_winner_before(search: Search) -> None:
    tried, won = search(FIRST, [3.0, 2.0, 2.5])
    tried_again, _ = search(SECOND, [1.9, 1.59, 1.7])
    comparison = compare([*tried, *won, *tried_again[:2]])
    (row,) = comparison.tuning
    assert (row["points"], row["ok"], row["point"], row["options"]) == (2, 2, None, {})
    assert [r["mean"] for r in comparison.accuracy if r["n"] == 2]
    (note,) = (note for note in comparison.notes if "the winner of an earlier search" in note)
    assert note.startswith("numbers-fr, adamw: ")


def test_a_search_by_another_measure_replaces_the_one_before(search: Search) -> None:
    by_loss, won = search(FIRST, [3.0, 2.0])
    by_metric, won_again = search(FIRST, [3.0, 2.0], [(50.0, 40.0), (45.0, 20.0)], "metric")
    row = tuning([*by_loss, *won, *by_metric, *won_again])
    assert row == tuning([*by_metric, *won_again])
    assert row["metric"] == "bleu"


def test_what_selected_the_winner_is_shown(search: Search) -> None:
    """Point 2 has the best score of all decoders, and a loss that others undercut."""
    scores = [(50.0, 40.0), (45.0, 60.0), (20.0, 70.0), (0.0, 0.0)]
    records = [
        each for part in search(FIRST, [1.0, 2.0, 3.0, None], scores, "metric") for each in part
    ]
    comparison = compare(records)
    (row,) = comparison.tuning
    assert (row["point"], row["metric"], row["score"], row["validation_loss"]) == (2, "bleu", 70, 3)
    assert (row["median"], row["worst"], row["ok"], row["points"]) == (60, 50, 3, 4)
    assert [point["score"] for point in row["searched"]] == [50, 60, 70, -float("inf")]
    text = render(comparison)
    assert "a metric that is named selected the winner" in text
    drawn = PLOT.panels(comparison)["numbers-fr"]
    assert [each["metric"] for each in drawn] == ["bleu"]
    tried, won = search(FIRST, [1.0, 2.0])
    assert tuning([*tried, *won])["metric"] == ""
