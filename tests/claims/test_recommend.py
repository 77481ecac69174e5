"""Recommendations: records whose truth is known, and the committed ones."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from msbench.claims.recommend import budget, recommend
from msbench.compare.comparison import compare
from msbench.compare.stats import paired_tests, seeds_needed
from msbench.errors import MsbenchError
from msbench.records.record import Record, record
from msbench.records.store import stream
from msbench.report.advice import advice_lines, advice_tables
from msbench.report.render import rendered
from msbench.spec import FORMATS, Trial

REFERENCE = Path(__file__).parents[2] / "results/reference"
NOISE = [0.3, -0.2, 0.1, 0.4, -0.4, 0.2]

Made = Callable[..., list[Record]]


@pytest.fixture
def made(trials: list[Trial]) -> Made:
    """Six seeds of AdamW and of SAM, which gains so much on AdamW's scores, in 12 passes."""

    def make(gain: float, spread: float = 1.0, falls: float = 0.5) -> list[Record]:
        found = []
        for seed, noise in enumerate(NOISE):
            for trial in trials[:2]:
                sam = trial.optimizer.name == "sam"
                one = replace(trial, seed=seed, decoders=trial.decoders[:1])
                losses = [3.0, 2.5 - sam * (1 + noise), 2.5 - falls - sam * (gain > 0)]
                curve = [
                    {"passes": p, "steps": p, "seconds": p / 4, "validation_loss": loss}
                    for p, loss in zip((4, 8, 12), losses, strict=True)
                ]
                score = 30 + 5 * noise + sam * (gain + spread * NOISE[5 - seed])
                results: dict[str, Any] = {
                    "task": {"kind": "seq2seq", "metric": "bleu"},
                    "training": {"passes": 12, "steps": 12, "seconds": 3.0, "curve": curve},
                    "decoding": [{"decoder": asdict(one.decoders[0]), "metrics": {"bleu": score}}],
                }
                found.append(record(one, "ok", results=results, machine={"processor": "one"}))
        return found

    return make


def said(records: Sequence[Record], unit: str, amount: float) -> str:
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


def test_a_better_strategy_is_shown_to_be(made: Made) -> None:
    found = recommend(made(20), "passes", 12)
    (choice,) = found.choices
    assert (choice["best"]["optimizer"], choice["shown"]) == ("sam", True)
    first, second = found.rows
    assert (first["quantity"], first["worst_seed"]) == ("test bleu", 4)
    values = [20 + NOISE[5 - seed] for seed in range(6)]
    tests = paired_tests(-np.array([values]))
    assert second["difference"] == pytest.approx(tests.difference[0])
    assert second["p_adjusted"] == pytest.approx(tests.p[0])  # one pair: nothing to adjust for
    assert "is shown to be worse" in "\n".join(advice_lines(found))


def test_nothing_shown_says_what_to_try(made: Made) -> None:
    text = said(made(0.2, spread=2.0), "passes", 12)
    assert "is not shown to be worse" in text
    assert "seeds (msbench run --seeds)" in text
    assert "the validation loss of the best still falls" in text
    assert "still falls" not in said(made(0.2, spread=2.0, falls=0.0), "passes", 12)
    assert "use the whole budget: the best was only measured up to 12 passes" in said(
        made(0.2), "passes", 100
    )


def test_beyond_the_budget_it_is_the_validation_loss_there(made: Made) -> None:
    found = recommend(made(20), "passes", 10)
    assert {r["quantity"] for r in found.rows} == {"validation loss"}
    base = next(r for r in found.rows if r["optimizer"] == "adamw")
    assert base["mean"] == pytest.approx((2.5 + 2.0) / 2)
    assert "Validation loss stands for the test metric" in "\n".join(advice_lines(found))
    at_seconds = recommend(made(20), "seconds", 2.5)
    assert next(r for r in at_seconds.rows if r["optimizer"] == "adamw")["mean"] == base["mean"]


def test_no_evidence_is_a_sentence(made: Made) -> None:
    text = said(made(20), "passes", 2)
    assert "There is no evidence at this budget" in text
    assert "the earliest that was measured is at 4 passes" in text
    assert "do not say" in said(made(20), "flops", 1e12)
    failed = [replace(r, status="crashed", results={}) for r in made(20)]
    assert "none of 12 trials ended ok" in said(failed, "passes", 12)
    with pytest.raises(MsbenchError, match="there are no trials"):
        recommend([], "passes", 12)
    with pytest.raises(MsbenchError, match="no task 'numbers' in these results; did you mean"):
        recommend(made(20), "passes", 12, task="numbers")


def test_one_strategy_and_one_seed(made: Made) -> None:
    alone = [r for r in made(20) if r.job["optimizer"]["name"] == "sam"]
    assert "nothing else was measured" in said(alone, "passes", 12)
    seed = [r for r in made(20) if r.job["seed"] == 0]
    assert "too few seeds to tell" in said(seed, "passes", 12)
    assert "run more seeds" in said(seed, "passes", 12)


def test_lost_trials_never_win(made: Made) -> None:
    records = made(20)
    sam = next(i for i, r in enumerate(records) if r.job["optimizer"]["name"] == "sam")
    records[sam] = replace(records[sam], status="diverged", reason="nan", results={})
    found = recommend(records, "passes", 12)
    assert found.choices[0]["best"]["optimizer"] == "adamw"
    assert (found.rows[1]["n_ok"], found.rows[1]["n"]) == (5, 6)


def test_seconds_of_two_machines_are_two_recommendations(made: Made) -> None:
    records = [
        replace(r, machine={"processor": "two"}) if r.job["seed"] > 2 else r for r in made(20)
    ]
    assert {c["machine"] for c in recommend(records, "seconds", 3).choices} == {"one", "two"}
    assert len(recommend(records, "passes", 12).choices) == 1


def test_an_edge_is_named() -> None:
    found = recommend(stream(REFERENCE / "optimizers", []), "passes", 300, task="bbc-news")
    assert "widen the space of muon: its lr is at the edge" in "\n".join(advice_lines(found))


def test_the_means_are_compares() -> None:
    found = recommend(stream(REFERENCE / "optimizers", []), "passes", 300)
    table = compare(stream(REFERENCE / "optimizers", []), "adamw")
    means = {(r["task"], r["optimizer"]): r["mean"] for r in table.accuracy if r["main"]}
    assert len(found.choices) == 3
    for row in found.rows:
        mean = means[row["task"], row["optimizer"]]
        assert row["mean"] == pytest.approx(mean, nan_ok=True)


def test_seeds_needed_is_the_power_of_the_test() -> None:
    differences = [0.5, 1.5, -0.5, 1.0]
    n = seeds_needed(differences)
    effect = np.mean(differences) / np.std(differences, ddof=1)

    def power(seeds: float) -> float:
        critical = scipy_stats.t.ppf(0.975, seeds - 1)
        return float(scipy_stats.nct.sf(critical, seeds - 1, effect * math.sqrt(seeds)))

    assert power(n) >= 0.8 > power(n - 1)
    assert seeds_needed(differences, tests=100) > n
    assert seeds_needed([1.0, 1.0, 1.0]) == 6  # two to the minus five is the first below 0.05
    assert seeds_needed([1.0, -1.0]) == math.inf
    assert math.isnan(seeds_needed([1.0]))


def test_every_format_and_hostile_names(made: Made) -> None:
    evil = "\x1b[31m|<b>"
    records = []
    for each in made(20):
        one = Trial.of(each.job)
        label = evil if one.optimizer.name == "sam" else ""
        named = replace(one, optimizer=replace(one.optimizer, label=label))
        records.append(record(named, "ok", results=each.results, machine=each.machine))
    found = recommend(records, "passes", 12)
    for style in FORMATS:
        text = rendered(found, found.rows, advice_tables(found), advice_lines(found), style)
        assert "\x1b" not in text
