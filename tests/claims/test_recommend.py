"""Recommendations: records whose truth is known, and the committed ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msbench.claims.recommend import budget, recommend
from msbench.compare.comparison import compare
from msbench.compare.stats import paired_tests
from msbench.errors import MsbenchError
from msbench.records.record import Record
from msbench.records.store import stream
from msbench.report.advice import advice_lines, advice_tables
from msbench.spec import Trial

REFERENCE = Path(__file__).parents[2] / "tests/kept/optimizers"
NOISE = [0.3, -0.2, 0.1, 0.4, -0.4, 0.2]

Run = Callable[..., list[Record]]


@pytest.fixture
def run(made: Callable[..., list[Record]]) -> Run:
    """Six seeds of AdamW and of SAM, which gains so much on its scores, in 12 passes."""

    def make(gain: float, spread: float = 1.0, falls: float = 0.5, **more: Any) -> list[Record]:
        return made(
            [gain + spread * noise for noise in NOISE],
            base_curve=lambda seed: [3.0, 2.5, 2.5 - falls],
            sam_curve=lambda seed: [3.0, 1.5 - NOISE[seed], 2.5 - falls - (gain > 0)],
            **{"flops": None, "decoders": 1, **more},
        )

    return make


def advice(records: Sequence[Record], unit: str, amount: float) -> str:
    return "\n".join(advice_lines(recommend(records, unit, amount)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500passes", ("passes", 500)),
        ("200 steps", ("steps", 200)),
        ("60s", ("seconds", 60)),
        ("1e12flops", ("flops", 1e12)),
        ("0.5s", ("seconds", 0.5)),
    ],
)
def test_budgets(text: str, expected: tuple[str, float]) -> None:
    assert budget(text) == expected


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "0passes", "nans", "infs", "5 minutes"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(MsbenchError, match="such as 500passes"):
        budget(text)


def test_a_better_strategy_is_shown_to_be(run: Run) -> None:
    found = recommend(run(20), "passes", 12)
    (choice,) = found.choices
    assert (choice["best"]["optimizer"], choice["shown"]) == ("sam", True)
    first, second = found.rows
    assert (first["quantity"], first["worst_seed"]) == ("test bleu", 1)
    tests = paired_tests([[-20 - noise for noise in NOISE]])
    assert second["difference"] == pytest.approx(tests.difference[0])
    assert second["p_adjusted"] == pytest.approx(tests.p[0])  # one pair: nothing to adjust for
    assert "is worse: -20" in "\n".join(advice_lines(found))


def test_nothing_shown_says_what_to_try(run: Run) -> None:
    text = advice(run(2.0, spread=20.0), "passes", 12)
    assert "is undecided (6 seeds; about" in text
    assert "seeds (msbench run --seeds)" in text
    assert "the validation loss of the best still falls" in text
    assert "still falls" not in advice(run(2.0, spread=20.0, falls=0.0), "passes", 12)
    assert "use the whole budget: the best was only measured up to 12 passes" in advice(
        run(0.2), "passes", 100
    )


def test_beyond_the_budget_it_is_the_validation_loss_there(run: Run) -> None:
    found = recommend(run(20), "passes", 10)
    assert {r["quantity"] for r in found.rows} == {"validation loss"}
    base = next(r for r in found.rows if r["optimizer"] == "adamw")
    assert base["mean"] == pytest.approx((2.5 + 2.0) / 2)
    assert "Validation loss stands for the test metric" in "\n".join(advice_lines(found))
    at_seconds = recommend(run(20), "seconds", 10 / 3)
    assert next(r for r in at_seconds.rows if r["optimizer"] == "adamw")["mean"] == base["mean"]


@pytest.mark.parametrize(
    ("unit", "amount", "reason"),
    [
        ("passes", 2, " at 2 passes: the earliest that was measured is at 4 passes"),
        ("flops", 1e12, ", since its records do not say what was measured at how many flops"),
    ],
)
def test_no_evidence_is_a_sentence(run: Run, unit: str, amount: float, reason: str) -> None:
    text = advice(run(20), unit, amount)
    assert "There is no evidence at this budget" in text
    assert f"numbers-fr: no evidence{reason}" in text
    some = advice([*run(20)[:2], *run(20, flops=24e6)[2:]], "flops", 1e3)
    assert "at 1000 flops: the earliest that was measured is at 8e+06 flops" in some
    failed = [replace(r, status="crashed", results={}) for r in run(20)]
    assert "numbers-fr: no evidence, since none of 12 trials ended ok" in advice(
        failed, unit, amount
    )


def test_no_evidence_names_the_loss_and_the_machine_that_lack_it(run: Run) -> None:
    """Cross-entropy has evidence at 2 seconds, another loss is first measured at 10."""

    def rewarded(trial: Trial) -> Trial:
        return replace(trial, loss=replace(trial.loss, name="minimum-risk"))

    late = run(20, seconds=lambda seed, sam: 30.0, change=rewarded)
    note = "numbers-fr, minimum-risk{}: no evidence at 2 seconds: the earliest that was measured is"
    assert note.format("") + " at 10 seconds" in recommend([*run(20), *late], "seconds", 2).notes
    late = [replace(each, machine={"processor": "two"}) for each in late]
    found = recommend([*run(20), *late], "seconds", 2)
    assert note.format(", on two") + " at 10 seconds" in found.notes


def test_what_is_asked_for_must_exist(run: Run) -> None:
    with pytest.raises(MsbenchError, match="there are no trials"):
        recommend([], "passes", 12)
    with pytest.raises(MsbenchError, match="no task 'numbers' in these results; did you mean"):
        recommend(run(20), "passes", 12, task="numbers")


def test_one_strategy_and_one_seed(run: Run) -> None:
    alone = [r for r in run(20) if r.job["optimizer"]["name"] == "sam"]
    assert "nothing else was measured" in advice(alone, "passes", 12)
    seed = [r for r in run(20) if r.job["seed"] == 0]
    assert not recommend(seed, "passes", 12).choices
    text = advice(seed, "passes", 12)
    assert "There is too little evidence at this budget: nothing can be recommended." in text
    assert (
        "numbers-fr: no recommendation, since no strategy was measured with two seeds within 12 "
        "passes (sam: 1 of 1 seeds): more seeds (msbench run --seeds) may tell" in text
    )


def test_a_runner_up_of_one_seed_is_no_rival(run: Run) -> None:
    one_less = [r for r in run(20) if r.job["seed"] == 0 or r.job["optimizer"]["name"] == "sam"]
    text = advice(one_less, "passes", 12)
    assert "use sam" in text
    assert "is undecided (1 seed, too few)" in text
    assert "run more seeds" in text


def early(run: Run, fast: int) -> list[Record]:
    """Everything is first measured at 1 second, but of SAM so many seeds at 0.4; one seed of AdamW
    crashed."""
    records = run(20, seconds=lambda seed, sam: 1.2 if sam and seed < fast else 3.0)
    first = next(i for i, r in enumerate(records) if r.job["optimizer"]["name"] == "adamw")
    records[first] = replace(records[first], status="crashed", reason="killed", results={})
    return records


def test_not_measured_so_early_is_not_failed_and_wins_nothing(run: Run) -> None:
    found = recommend(early(run, 1), "seconds", 0.5)
    counts = {r["optimizer"]: (r["n"], r["n_ok"], r["measured"]) for r in found.rows}
    assert counts == {"sam": (6, 6, 1), "adamw": (6, 5, 0)}
    assert [r["verdict"] for r in found.rows] == ["", "undecided"]
    assert not found.choices
    text = "\n".join(advice_lines(found))
    assert "use sam" not in text
    assert (
        "no strategy was measured with two seeds within 0.5 seconds (sam: 1 of 6 seeds, 5 not "
        "measured by then): a larger budget or more validations may tell" in text
    )
    ((_, cells),) = advice_tables(found)
    assert [(row["seeds measured"], row["seeds ok"]) for row in cells] == [
        ("1 of 6", "6 of 6"),
        ("0 of 5", "5 of 6"),
    ]


def test_what_was_measured_of_some_seeds_says_so(run: Run) -> None:
    found = recommend(early(run, 3), "seconds", 0.5)
    (choice,) = found.choices
    assert (choice["best"]["optimizer"], choice["best"]["measured"]) == ("sam", 3)
    assert (choice["runner_up"], choice["alike"]) == (None, 0)
    text = "\n".join(advice_lines(found))
    assert "worst of 3 seeds" in text
    assert "only 3 of 6 were measured by then" in text
    assert "ended ok" not in text
    assert choice["best"]["spent"] == pytest.approx(0.5)
    later = recommend(early(run, 3), "seconds", 1.0).rows
    assert {r["optimizer"]: (r["measured"], r["n_ok"]) for r in later} == {
        "sam": (6, 6),
        "adamw": (5, 5),
    }


def test_lost_trials_never_win(run: Run) -> None:
    records = run(20)
    sam = next(i for i, r in enumerate(records) if r.job["optimizer"]["name"] == "sam")
    records[sam] = replace(records[sam], status="diverged", reason="nan", results={})
    found = recommend(records, "passes", 12)
    assert found.choices[0]["best"]["optimizer"] == "adamw"
    assert (found.rows[1]["n_ok"], found.rows[1]["n"]) == (5, 6)


def test_seconds_of_two_machines_are_two_recommendations(run: Run) -> None:
    records = [
        replace(r, machine={"processor": "two"}) if r.job["seed"] > 2 else r for r in run(20)
    ]
    assert {c["machine"] for c in recommend(records, "seconds", 3).choices} == {"one", "two"}
    assert len(recommend(records, "passes", 12).choices) == 1


def test_an_edge_is_named() -> None:
    found = recommend(stream(REFERENCE, []), "passes", 300, task="bbc-news")
    assert "widen the space of muon: its lr is at the edge" in "\n".join(advice_lines(found))


def test_the_means_are_compares() -> None:
    found = recommend(stream(REFERENCE, []), "passes", 300)
    table = compare(stream(REFERENCE, []), "adamw")
    means = {(r["task"], r["optimizer"]): r["mean"] for r in table.accuracy if r["main"]}
    assert len(found.choices) == 3
    for row in found.rows:
        assert row["mean"] == pytest.approx(means[row["task"], row["optimizer"]], nan_ok=True)


def test_a_score_that_is_no_number_is_not_one_that_comes_later(run: Run) -> None:
    records = run(0.0)
    for record in records:
        if record.trial["seed"]:
            for decoded in record.results["decoding"]:
                decoded["metrics"] = dict.fromkeys(decoded["metrics"])
    text = advice(records, "passes", 12)
    assert "1 of 6 seeds, 5 gave no number): more seeds (msbench run --seeds) may tell" in text
    assert "by then" not in text
