"""Claims: records whose truth is known, the statistics behind them, and the committed records."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msbench.claims.assess import claims
from msbench.claims.results import Claims
from msbench.compare.comparison import compare
from msbench.compare.stats import holm, paired_tests
from msbench.errors import MsbenchError
from msbench.records.record import Record, record
from msbench.records.store import stream
from msbench.report.claim_tables import claim_legend, claim_tables
from msbench.report.render import rendered
from msbench.spec import FORMATS, Part, Trial

REFERENCE = Path(__file__).parents[2] / "results/reference"
DECLARED = {
    ("optimizer", "sgd"): ("", ""),
    ("optimizer", "adamw"): ("memory", "sgd"),
    ("optimizer", "sam"): ("passes", ""),
    ("optimizer", "lookahead"): ("slow-weights", ""),
    ("decoder", "greedy"): ("", ""),
    ("decoder", "beam"): ("decoding", "greedy"),
}
NOISE = [0.3, -0.2, 0.1, 0.4, -0.4, 0.2, -0.1, -0.3]
BASE = [30.0, 34.0, 31.0, 50.0, 33.0, 36.0, 29.0, 41.0]

Made = Callable[..., list[Record]]


def results(
    score: float,
    curve: Sequence[float],
    *,
    steps: int,
    decoders: Sequence[Part],
    seconds: float = 4.0,
    losses: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Of a trial of 12 passes that was validated in between, evenly."""
    points = [
        {
            "passes": 12 * share,
            "steps": steps * share,
            "seconds": seconds * share,
            "validation_loss": loss,
        }
        for loss, share in zip(
            curve, [(i + 1) / len(curve) for i in range(len(curve))], strict=True
        )
    ]
    training = {"passes": 12, "steps": steps, "seconds": seconds, "tokens": 100, "curve": points}
    return {
        "task": {"kind": "seq2seq", "metric": "bleu", "lower_is_better": [], "sizes": {"train": 9}},
        "training": training,
        "parameters": 1000,
        "compute": {"flops": 24e6},
        "peak_memory": 5_000_000,
        **({"losses": losses} if losses else {}),
        "decoding": [
            {"decoder": asdict(part), "metrics": {"bleu": score + n}}
            for n, part in enumerate(decoders)
        ],
    }


@pytest.fixture
def made(trials: list[Trial]) -> Made:
    """Eight seeds of AdamW and of SAM over it, by what SAM gains on its scores and curve."""

    def make(
        gain: Sequence[float],
        base_curve: Callable[[int], Sequence[float]] = lambda seed: [3, 2.5, 2, 1.5],
        curve: Callable[[int], Sequence[float]] = lambda seed: [3, 2.5, 2, 1.5],
        **more: Any,
    ) -> list[Record]:
        found = []
        for seed, extra in enumerate(gain):
            for trial in trials[:2]:
                sam = trial.optimizer.name == "sam"
                one = replace(trial, seed=seed)
                given = results(
                    BASE[seed] + sam * extra,
                    curve(seed) if sam else base_curve(seed),
                    steps=6 if sam else 12,
                    decoders=one.decoders,
                    **{k: v(seed, sam) if callable(v) else v for k, v in more.items()},
                )
                found.append(record(one, "ok", results=given, machine={"processor": "one"}))
        return found

    return make


def row(found: Claims, claim: str, unit: str, strategy: str = "sam") -> dict[str, Any]:
    (one,) = [
        r
        for r in found.rows
        if (r["claim"], r["strategy"]) == (claim, strategy) and unit in r["units"]
    ]
    return one


def judged(records: Sequence[Record], **asked: Any) -> Claims:
    return claims(records, DECLARED, **asked)


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        ([5 + x for x in NOISE], "supported"),
        ([-5 + x for x in NOISE], "contradicted"),
        ([10 * x for x in NOISE], "not shown"),
    ],
)
def test_accuracy_at_equal_passes_is_the_paired_test(
    made: Made, gain: list[float], verdict: str
) -> None:
    found = judged(made(gain))
    one = row(found, "accuracy", "passes")
    assert (one["verdict"], one["quantity"], one["amount"]) == (verdict, "test bleu", 12)
    tests = paired_tests(np.array([gain]))
    assert one["effect"] == pytest.approx(tests.difference[0])
    assert (one["low"], one["high"]) == pytest.approx((tests.low[0], tests.high[0]))
    assert one["p"] == pytest.approx(tests.p[0], rel=1e-6)
    assert one["detectable"] == pytest.approx(tests.detectable[0], rel=1e-6)
    assert (one["base"], one["steps"]) == ("adamw", "passes")


def test_all_tests_are_one_family(made: Made) -> None:
    found = judged(made([1 + x for x in NOISE]))
    p = [r["p"] for r in found.rows]
    assert [r["p_adjusted"] for r in found.rows] == pytest.approx(holm(p).tolist(), nan_ok=True)
    assert sum(not math.isnan(x) for x in p) > 5
    assert f"all {sum(not math.isnan(x) for x in p)} tests (Holm)" in "\n".join(claim_legend(found))


def test_at_equal_steps_it_is_the_validation_loss_there(made: Made) -> None:
    """SAM ends after 6 of AdamW's 12 steps: AdamW's curve was at 2.5 then, SAM's at its end."""
    found = judged(made(NOISE, curve=lambda seed: [3, 2.5, 2, 1.5 + NOISE[seed] / 10]))
    one = row(found, "accuracy", "steps")
    assert (one["quantity"], one["amount"], one["better"]) == ("validation loss", 6, "lower")
    assert one["effect"] == pytest.approx(1.5 - 2.5 + np.mean(NOISE) / 10)
    between = judged(made(NOISE, base_curve=lambda seed: [3, 2.4, 1.5]))  # at steps 4, 8, 12
    assert row(between, "accuracy", "steps")["effect"] == pytest.approx(1.5 - 2.7)


def test_at_equal_seconds_the_slower_one_has_got_less_far(made: Made) -> None:
    found = judged(
        made(
            NOISE,
            curve=lambda seed: [3, 2.5 + NOISE[seed] / 10, 2, 1.5],
            seconds=lambda seed, sam: 8.0 if sam else 4.0,
        )
    )
    one = row(found, "accuracy", "seconds")
    assert (one["quantity"], one["amount"]) == ("validation loss", 4)
    assert one["effect"] == pytest.approx(2.5 - 1.5)  # the noise adds up to nothing
    assert one["verdict"] == "contradicted"


def test_equal_budgets_in_two_units_are_one_test(made: Made) -> None:
    found = judged(made([1.0 + x for x in NOISE]))
    assert row(found, "accuracy", "passes")["units"] == ["passes", "seconds"]
    assert (
        len([r for r in found.rows if r["claim"] == "accuracy" and r["kind"] == "optimizer"]) == 2
    )
    units = {r["unit"] for r in found.summary if r["claim"] == "accuracy"}
    assert units == {"passes", "steps", "seconds", "training"}


def test_overfitting_is_the_rise_up_to_the_common_amount(made: Made) -> None:
    found = judged(
        made(
            NOISE,
            base_curve=lambda seed: [2, 1, 1.5, 2 + NOISE[seed]],
            curve=lambda seed: [2, 1.5, 1, 1.1],
        )
    )
    one = row(found, "overfitting", "passes")
    assert one["effect"] == pytest.approx(0.1 - 1 - np.mean(NOISE))
    assert one["verdict"] == "supported"
    assert row(found, "overfitting", "steps")["effect"] == pytest.approx(0.1 - 0)


def test_generalization_needs_both_losses(made: Made) -> None:
    without = judged(made(NOISE))
    assert not [r for r in without.rows if r["claim"] == "generalization"]
    assert any("generalization: no records say" in note for note in without.notes)
    losses = lambda seed, sam: {"train": 1.0, "test": (1.2 if sam else 1.5) + NOISE[seed] * sam / 9}  # noqa: E731
    one = row(judged(made(NOISE, losses=losses)), "generalization", "passes")
    assert (one["effect"], one["verdict"]) == (
        pytest.approx(-0.3 + np.mean(NOISE) / 9),
        "supported",
    )


def test_compute_is_a_ratio_over_seeds_that_reached(made: Made) -> None:
    """The base reaches its median, 1.5, at its end or not at all; SAM at half or three quarters."""
    found = judged(
        made(
            NOISE,
            base_curve=lambda seed: [3, 2.5, 2, 1.5 if seed < 6 else 1.6],
            curve=lambda seed: [3, 1.4 if seed % 2 else 2, 1.3, 1.3],
        )
    )
    one = row(found, "compute", "passes")
    assert (one["reached"], one["base_reached"], one["pairs"]) == (1.0, 0.75, 6)
    tests = paired_tests(np.log([[0.75, 0.5, 0.75, 0.5, 0.75, 0.5]]))
    assert one["effect"] == pytest.approx(math.exp(tests.difference[0]))
    assert one["high"] == pytest.approx(math.exp(tests.high[0]))
    assert one["high"] < 1
    assert one["verdict"] == "supported"
    assert set(one["units"]) == {"passes", "flops", "seconds"}


def test_a_target_that_was_never_reached_is_infinitely_far(made: Made) -> None:
    never = made(NOISE, curve=lambda seed: [3, 2.5, 2, 1.9])
    one = row(judged(never), "compute", "passes")
    assert (one["reached"], one["base_reached"], one["pairs"]) == (0.0, 1.0, 0)
    assert one["p"] == pytest.approx(2 * 0.5**8)
    assert math.isnan(one["effect"])
    assert row(judged(never, strategy="sam"), "compute", "passes")["verdict"] == "contradicted"


def test_a_ratio_that_the_shares_contradict_shows_nothing(made: Made) -> None:
    fast_or_never = made(
        NOISE, curve=lambda seed: [3, 2, 1.4 if seed < 4 else 1.6, 1.3 if seed < 4 else 1.6]
    )
    one = row(judged(fast_or_never), "compute", "passes")
    assert one["effect"] == pytest.approx(0.75)
    assert (one["reached"], one["verdict"]) == (0.5, "not shown")


def test_failed_trials_reach_nothing_and_score_nothing(made: Made) -> None:
    records = made([5 + x for x in NOISE])
    sam = next(i for i, r in enumerate(records) if r.job["optimizer"]["name"] == "sam")
    records[sam] = replace(records[sam], status="diverged", reason="loss nan", results={})
    found = judged(records)
    one = row(found, "accuracy", "passes")
    assert (one["pairs"], one["seeds"]) == (7, 8)
    assert row(found, "compute", "passes")["reached"] == pytest.approx(7 / 8)
    assert any("1 trials did not end ok" in note for note in found.notes)


def test_seconds_of_two_machines_are_never_mixed(made: Made) -> None:
    records = [
        replace(r, machine={"processor": "two"}) if r.job["seed"] > 4 else r
        for r in made(NOISE, seconds=lambda seed, sam: 4.0 + sam)
    ]
    rows = [r for r in judged(records).rows if "seconds" in r["units"] and r["kind"] == "optimizer"]
    assert {(r["claim"], r["machine"], r["pairs"]) for r in rows if r["claim"] == "accuracy"} == {
        ("accuracy", "one", 5),
        ("accuracy", "two", 3),
    }
    crossed = [replace(r, machine={"processor": r.job["optimizer"]["name"]}) for r in made(NOISE)]
    assert not [
        r for r in judged(crossed).rows if "seconds" in r["units"] and r["kind"] == "optimizer"
    ]


def test_decoders_are_compared_within_one_trained_model(made: Made) -> None:
    records = made(NOISE)
    found = judged(records)
    beams = [r for r in found.rows if r["strategy"] == "beam" and r["claim"] == "accuracy"]
    # Each decoder scores one more than the one before it.
    places = [part["name"] for part in records[0].job["decoders"]]
    effect = float(places.index("beam") - places.index("greedy"))
    assert {(r["optimizer"], r["base"], r["effect"]) for r in beams} == {
        ("adamw", "greedy", effect),
        ("sam", "greedy", effect),
    }
    assert {tuple(r["units"]) for r in beams} == {("training",)}


def test_a_wrapper_is_compared_with_the_very_optimizer_it_wraps(made: Made) -> None:
    """Of two AdamW on record the one with equal options, though the other is better."""
    records = made(NOISE)
    for each in made(NOISE):
        if each.job["optimizer"]["name"] == "adamw":
            other = {**each.job["optimizer"], "options": {**each.job["optimizer"]["options"]}}
            other["options"]["lr"] = 0.1
            job = {**each.job, "optimizer": other}
            one = Trial.of(job)
            records.append(record(one, "ok", results=each.results, machine=each.machine))
    bases = {r["base"] for r in judged(records).rows if r["strategy"] == "sam"}
    assert bases == {"adamw (lr=0.003)"}
    alone = judged([r for r in records if "0.1" in json.dumps(r.job) or "sam" in json.dumps(r.job)])
    assert alone.rows


def test_strategies_without_plugin_or_base_are_named_not_dropped(made: Made) -> None:
    records = made([5 + x for x in NOISE])
    found = judged(records)
    assert any("adamw: not judged, since its base sgd was not run" in n for n in found.notes)
    unknown = claims(records, {k: v for k, v in DECLARED.items() if k[1] != "sam"})
    assert any("sam: unknown whether multi-step" in note for note in unknown.notes)
    assert row(unknown, "accuracy", "passes")["steps"] == "unknown"
    bare = claims(records, {})
    assert any("adamw: unknown whether multi-step" in note for note in bare.notes)
    undeclared = claims(records, {**DECLARED, ("optimizer", "adamw"): ("memory", "")})
    assert any("declares no base" in note for note in undeclared.notes)


def test_one_seed_and_no_strategy_are_sentences(made: Made) -> None:
    alone = judged(made([5.0]))
    assert any("one seed each" in note for note in alone.notes)
    assert {r["verdict"] for r in alone.rows} == {"not shown"}
    nothing = claims(
        made([5.0]), {("optimizer", "adamw"): ("", ""), ("optimizer", "sam"): ("", "")}
    )
    assert not nothing.rows
    assert "nothing to judge" in nothing.notes[0]
    for style in FORMATS:
        rendered(nothing, nothing.rows, claim_tables(nothing), claim_legend(nothing), style)
    with pytest.raises(MsbenchError, match="there are no trials"):
        judged([])
    with pytest.raises(MsbenchError, match="no metric 'blue' in these results"):
        judged(made([5.0]), metric="blue")
    with pytest.raises(MsbenchError, match="no multi-step strategy 'samm'"):
        judged(made([5.0]), strategy="samm")
    failed = [replace(r, status="crashed", results={}) for r in made(NOISE)]
    assert {r["verdict"] for r in judged(failed).rows} <= {"not shown"}


def test_hostile_names_are_harmless(made: Made) -> None:
    evil = "\x1b[31m|<b>$x$`"
    records = []
    for each in made([5 + x for x in NOISE]):
        one = Trial.of(each.job)
        label = evil if one.optimizer.name == "sam" else ""
        named = replace(one, optimizer=replace(one.optimizer, label=label))
        records.append(record(named, "ok", results=each.results, machine=each.machine))
    found = judged(records)
    for style in FORMATS:
        text = rendered(found, found.rows, claim_tables(found), claim_legend(found), style)
        assert "\x1b" not in text
        assert style not in ("markdown",) or "<b>" not in text.replace("\\<b\\>", "")


def test_the_committed_records_say_what_compare_says() -> None:
    """Targets and test scores are those of `compare` with the base as the baseline."""
    declared = {
        **DECLARED,
        ("optimizer", "momentum"): ("memory", "sgd"),
        ("decoder", "argmax"): ("", ""),
        ("decoder", "likelihood"): ("", ""),
    }
    found = claims(stream(REFERENCE / "optimizers", []), declared)
    table = compare(stream(REFERENCE / "optimizers", []), "adamw")
    targets = {r["task"]: r for r in table.targets if r["optimizer"] == "lookahead"}
    scores = {r["task"]: r for r in table.accuracy if r["main"] and r["optimizer"] == "lookahead"}
    mine = [r for r in found.rows if r["strategy"] == "lookahead"]
    assert {r["task"] for r in mine} == {"bbc-news", "numbers-fr", "verses-lm"}
    for one in mine:
        if one["claim"] == "compute":
            assert one["reached"] == pytest.approx(targets[one["task"]]["reached"])
            assert f"{targets[one['task']]['target']:.4g}" in one["quantity"]
        if one["claim"] == "accuracy" and "passes" in one["units"]:
            assert one["effect"] == pytest.approx(scores[one["task"]]["difference"])
            assert one["p"] == pytest.approx(scores[one["task"]]["p"])


@pytest.mark.parametrize(
    ("name", "conditions"),
    [
        ("data-scale", {"160 examples", "640 examples", "2,560 examples", "10,184 examples"}),
        ("multitask", {"", "several tasks in one"}),
    ],
)
def test_conditions_are_told_apart(name: str, conditions: set[str]) -> None:
    found = claims(stream(REFERENCE / name, []), DECLARED)
    told = {r["condition"] for r in found.rows}
    if name == "data-scale":
        # The tasks are four, each with a size of its own under one name.
        told = {r["condition"].split(", ")[0] for r in found.rows}
    assert told == conditions
    assert {r["condition"].split(", ")[0] for r in found.conditions} == conditions - {""}
    for name in conditions - {""}:
        assert name in rendered(found, found.rows, claim_tables(found, short=True), [])


def test_sizes_of_models_are_a_condition() -> None:
    found = claims(stream(REFERENCE / "model-scale", []), DECLARED)
    assert len({r["condition"] for r in found.rows}) == 3
    assert all("weights" in r["condition"] for r in found.rows)


def test_rewards_are_a_condition(made: Made) -> None:
    records = []
    for each in made(NOISE):
        one = Trial.of(each.job)
        named = replace(one, loss=replace(one.loss, name="minimum-risk"))
        records.append(record(named, "ok", results=each.results, machine=each.machine))
    assert {r["condition"] for r in judged(records).rows} == {"rewards of drawn outputs"}
