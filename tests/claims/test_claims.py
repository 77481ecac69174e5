"""Claims: records whose truth is known, the statistics behind them, and the committed records."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msbench.claims.assess import claims
from msbench.claims.recommend import recommend
from msbench.claims.results import ClaimRow, Claims
from msbench.compare.comparison import compare
from msbench.compare.judge import FLIPPED
from msbench.compare.stats import detectable, holm, paired_tests
from msbench.errors import MsbenchError
from msbench.records.record import Record
from msbench.records.store import stream
from msbench.report.advice import advice_lines, advice_tables
from msbench.report.claim_tables import claim_legend, claim_tables
from msbench.report.findings import findings
from msbench.report.render import rendered
from msbench.spec import FORMATS, Trial

REFERENCE = Path(__file__).parents[2] / "tests/kept"
DECLARED = {
    ("optimizer", "sgd"): ("", ""),
    ("optimizer", "adamw"): ("memory", "sgd"),
    ("optimizer", "sam"): ("passes", ""),
    ("optimizer", "lookahead"): ("slow-weights", ""),
    ("decoder", "greedy"): ("", ""),
    ("decoder", "beam"): ("decoding", "greedy"),
}
NOISE = [0.3, -0.2, 0.1, 0.4, -0.4, 0.2, -0.1, -0.3]

Made = Callable[..., list[Record]]


def reference(name: str) -> Iterable[Record]:
    return stream(REFERENCE / name, [])


def judged(records: Iterable[Record], **options: str) -> Claims:
    return claims(records, DECLARED, **options)


def of_sam(found: Claims, claim: str, unit: str = "passes") -> ClaimRow:
    rows = [r for r in found.rows if (r["claim"], r["strategy"]) == (claim, "sam")]
    (row,) = [r for r in rows if unit in r["units"]]
    return row


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        ([5 + x for x in NOISE], "supported"),
        ([-5 + x for x in NOISE], "contradicted"),
        ([10 * x for x in NOISE], "undecided"),
        ([0.5 + x / 9 for x in NOISE], "supported within the margin"),
        ([x / 9 for x in NOISE], "equivalent"),
    ],
)
def test_accuracy_at_equal_passes_is_the_paired_test(
    made: Made, gain: list[float], verdict: str
) -> None:
    found = judged(made(gain))
    one = of_sam(found, "accuracy")
    assert (one["verdict"], one["quantity"], one["amount"]) == (verdict, "test bleu", 12)
    tests = paired_tests(np.array([gain]))
    assert one["effect"] == pytest.approx(tests.difference[0])
    assert (one["low"], one["high"]) == pytest.approx((tests.low[0], tests.high[0]))
    assert one["p"] == pytest.approx(tests.p[0], rel=1e-6)
    assert one["detectable"] == pytest.approx(detectable(tests)[0], rel=1e-6)
    assert (one["base"], one["steps"]) == ("adamw", "passes")


def test_a_family_is_a_claim_on_a_task(made: Made) -> None:
    """What compare judges is in its own; what cannot be tested with these seeds is in none."""
    rising = lambda seed: [2, 1, 1.5, 2 + NOISE[seed]]  # noqa: E731
    found = judged(made([1 + x for x in NOISE], rising, lambda seed: [2, 1.5, 1, 1.1 + seed]))
    for claim in ("accuracy", "overfitting", "compute"):
        rows = [r for r in found.rows if (r["claim"], r["kind"]) == (claim, "optimizer")]
        rows = [r for r in rows if not r["quantity"].startswith("test ")]
        adjusted = holm([r["p"] for r in rows])
        assert [r["p_adjusted"] for r in rows] == pytest.approx(adjusted.tolist(), nan_ok=True)
    settled = of_sam(found, "accuracy")
    assert settled["p_adjusted"] == settled["p"]
    untestable = [r for r in found.rows if r["verdict"] == "untestable"]
    assert untestable
    assert all(math.isnan(r["p_adjusted"]) for r in untestable)
    legend = "\n".join(claim_legend(found))
    assert f"Untestable, {len(untestable)} of {len(found.rows)}" in legend


def test_a_sign_test_of_five_seeds_is_untestable(made: Made) -> None:
    never = made(NOISE[:5], sam_curve=lambda seed: [3, 2.5, 2, 1.9])
    one = of_sam(judged(never), "compute")
    assert (one["reached"], one["verdict"]) == (0.0, "untestable")
    assert math.isnan(one["p"])


def test_four_commands_agree_on_every_pair() -> None:
    """compare, recommend, claims and report, on the same records: one pair has one verdict."""
    records = list(reference("quick"))
    declared = {**DECLARED, ("optimizer", "momentum"): ("memory", "sgd")}
    comparison = compare(records)
    verdicts: dict[tuple[str, str], tuple[str, float]] = {
        (r["task"], r["optimizer"]): (r["verdict"], r["p_adjusted"])
        for r in comparison.accuracy
        if r["decides"] and not r["baseline"]
    }
    checked = 0
    for row in recommend(records, "passes", 300).rows:
        best = next(
            r for r in recommend(records, "passes", 300, task=row["task"]).rows if r["rank"] == 1
        )
        pair = {row["optimizer"], best["optimizer"]}
        if row["rank"] == 1 or comparison.baseline not in pair:
            continue
        (other,) = pair - {comparison.baseline}
        verdict, p = verdicts[row["task"], other]
        flipped = row["optimizer"] == comparison.baseline
        assert row["verdict"] == (FLIPPED.get(verdict, verdict) if flipped else verdict)
        assert row["p_adjusted"] == p
        assert row["declared"]
        checked += 1
    words = {"supported": "better", "contradicted": "worse", "undecided": "undecided"}
    for claim in claims(records, declared).rows:
        pair = {claim["strategy"], claim["base"]}
        about = (claim["claim"], claim["kind"], claim["quantity"].startswith("test "))
        if about == ("accuracy", "optimizer", True) and comparison.baseline in pair:
            (other,) = pair - {comparison.baseline}
            verdict, p = verdicts[claim["task"], other]
            word = words[claim["verdict"]]
            assert verdict == (
                FLIPPED[word] if other == claim["base"] and word in FLIPPED else word
            )
            assert claim["p_adjusted"] == p
            checked += 1
    sentences = [each for group in findings(comparison) for each in group.others]
    assert sorted(each.verdict for each in sentences) == sorted(v for v, _ in verdicts.values())
    assert checked > 12


def test_at_equal_steps_it_is_the_validation_loss_there(made: Made) -> None:
    """SAM ends after 6 of AdamW's 12 steps: AdamW's curve was at 2.5 then, SAM's at its end."""
    found = judged(made(NOISE, sam_curve=lambda seed: [3, 2.5, 2, 1.5 + NOISE[seed] / 10]))
    one = of_sam(found, "accuracy", "steps")
    assert (one["quantity"], one["amount"], one["better"]) == ("validation loss", 6, "lower")
    assert one["effect"] == pytest.approx(1.5 - 2.5 + np.mean(NOISE) / 10)
    between = judged(made(NOISE, base_curve=lambda seed: [3, 2.4, 1.5]))  # at steps 4, 8, 12
    assert of_sam(between, "accuracy", "steps")["effect"] == pytest.approx(1.5 - 2.7)


def test_at_equal_seconds_the_slower_one_has_got_less_far(made: Made) -> None:
    records = made(
        NOISE,
        sam_curve=lambda seed: [3, 2.5 + NOISE[seed] / 10, 2, 1.5],
        seconds=lambda seed, sam: 8.0 if sam else 4.0,
    )
    one = of_sam(judged(records), "accuracy", "seconds")
    assert (one["quantity"], one["amount"]) == ("validation loss", 4)
    assert one["effect"] == pytest.approx(2.5 - 1.5)  # the noise adds up to nothing
    assert one["verdict"] == "contradicted"


def test_equal_budgets_in_two_units_are_one_test(made: Made) -> None:
    found = judged(made([1.0 + x for x in NOISE]))
    assert of_sam(found, "accuracy")["units"] == ["passes", "seconds"]
    assert [r["claim"] for r in found.rows if r["kind"] == "optimizer"].count("accuracy") == 2
    units = {r["unit"] for r in found.summary if r["claim"] == "accuracy"}
    assert units == {"passes", "steps", "seconds", "training"}


def test_overfitting_is_the_rise_up_to_the_common_amount(made: Made) -> None:
    rising = lambda seed: [2, 1, 1.5, 2 + NOISE[seed]]  # noqa: E731
    found = judged(made(NOISE, rising, lambda seed: [2, 1.5, 1, 1.1]))
    one = of_sam(found, "overfitting")
    assert one["effect"] == pytest.approx(0.1 - 1 - np.mean(NOISE))
    assert one["verdict"] == "supported"
    assert of_sam(found, "overfitting", "steps")["effect"] == pytest.approx(0.1 - 0)


def test_generalization_needs_both_losses(made: Made) -> None:
    without = judged(made(NOISE))
    assert not [r for r in without.rows if r["claim"] == "generalization"]
    assert any("generalization: no records say" in note for note in without.notes)
    test_loss = lambda seed, sam: 1.2 + NOISE[seed] / 9 if sam else 1.5  # noqa: E731
    losses = lambda *trial: {"train": 1.0, "test": test_loss(*trial)}  # noqa: E731
    one = of_sam(judged(made(NOISE, losses=losses)), "generalization")
    assert one["effect"] == pytest.approx(-0.3 + np.mean(NOISE) / 9)
    assert one["verdict"] == "supported"


def test_compute_is_a_ratio_over_seeds_that_reached(made: Made) -> None:
    """The base reaches its median, 1.5, at its end or not at all; SAM at half or three quarters."""
    records = made(
        NOISE,
        base_curve=lambda seed: [3, 2.5, 2, 1.5 if seed < 6 else 1.6],
        sam_curve=lambda seed: [3, 1.4 if seed % 2 else 2, 1.3, 1.3],
    )
    one = of_sam(judged(records), "compute")
    assert (one["reached"], one["base_reached"], one["pairs"]) == (1.0, 0.75, 6)
    tests = paired_tests(np.log([[0.75, 0.5, 0.75, 0.5, 0.75, 0.5]]))
    assert one["effect"] == pytest.approx(math.exp(tests.difference[0]))
    assert one["high"] == pytest.approx(math.exp(tests.high[0]))
    assert one["high"] < 1
    assert one["verdict"] == "supported"
    assert set(one["units"]) == {"passes", "flops", "seconds"}


def test_a_target_that_was_never_reached_is_infinitely_far(made: Made) -> None:
    never = made(NOISE, sam_curve=lambda seed: [3, 2.5, 2, 1.9])
    one = of_sam(judged(never), "compute")
    assert (one["reached"], one["base_reached"], one["pairs"]) == (0.0, 1.0, 0)
    assert one["p"] == pytest.approx(2 * 0.5**8)
    assert math.isnan(one["effect"])
    assert of_sam(judged(never, strategy="sam"), "compute")["verdict"] == "contradicted"


def test_a_ratio_that_the_shares_contradict_shows_nothing(made: Made) -> None:
    fast_or_never = lambda seed: [3, 2, 1.4, 1.3] if seed < 4 else [3, 2, 1.6, 1.6]  # noqa: E731
    one = of_sam(judged(made(NOISE, sam_curve=fast_or_never)), "compute")
    assert one["effect"] == pytest.approx(0.75)
    assert (one["reached"], one["verdict"]) == (0.5, "untestable")


def test_failed_trials_reach_nothing_and_score_nothing(made: Made) -> None:
    records = made([5 + x for x in NOISE])
    sam = next(i for i, r in enumerate(records) if r.job["optimizer"]["name"] == "sam")
    records[sam] = replace(records[sam], status="diverged", reason="loss nan", results={})
    found = judged(records)
    one = of_sam(found, "accuracy")
    assert (one["pairs"], one["seeds"]) == (7, 8)
    assert of_sam(found, "compute")["reached"] == pytest.approx(7 / 8)
    assert any("1 trials did not end ok" in note for note in found.notes)


def test_seconds_of_two_machines_are_never_mixed(made: Made) -> None:
    def in_seconds(machine: Callable[[Record], str]) -> list[ClaimRow]:
        records = made(NOISE, seconds=lambda seed, sam: 4.0 + sam)
        found = judged([replace(r, machine={"processor": machine(r)}) for r in records])
        return [r for r in found.rows if "seconds" in r["units"] and r["kind"] == "optimizer"]

    rows = in_seconds(lambda r: "two" if r.job["seed"] > 4 else "one")
    pairs = {(r["machine"], r["pairs"]) for r in rows if r["claim"] == "accuracy"}
    assert pairs == {("one", 5), ("two", 3)}
    assert not in_seconds(lambda r: r.job["optimizer"]["name"])


def test_decoders_are_compared_within_one_trained_model(made: Made) -> None:
    records = made(NOISE)
    found = judged(records)
    beams = [r for r in found.rows if r["strategy"] == "beam" and r["claim"] == "accuracy"]
    # Each decoder scores one more than the one before it.
    places = [part["name"] for part in records[0].job["decoders"]]
    effect = float(places.index("beam") - places.index("greedy"))
    assert {(r["base"], r["effect"]) for r in beams} == {("greedy", effect)}
    assert {r["optimizer"] for r in beams} == {"adamw", "sam"}
    assert {tuple(r["units"]) for r in beams} == {("training",)}


def test_a_wrapper_is_compared_with_the_very_optimizer_it_wraps(made: Made) -> None:
    """Of two AdamW on record the one with equal options, though the other is better."""

    def faster(trial: Trial) -> Trial:
        adamw = trial.optimizer
        other = replace(adamw, options={**adamw.options, "lr": 0.1})
        return trial if adamw.name == "sam" else replace(trial, optimizer=other)

    records = [*made(NOISE), *made(NOISE, change=faster)]
    assert of_sam(judged(records), "accuracy")["base"] == "adamw (lr=0.003)"
    assert of_sam(judged(made(NOISE, change=faster)), "accuracy")["base"] == "adamw"


@pytest.mark.parametrize(
    ("declared", "note"),
    [
        ({}, "adamw: not judged, since its base sgd was not run beside it (numbers-fr)"),
        ({("optimizer", "adamw"): ("memory", "")}, "adamw: not judged, since its plugin declares"),
        ({("optimizer", "adamw"): None}, "adamw: unknown whether multi-step, since its plugin is"),
        ({("optimizer", "sam"): None}, "sam: unknown whether multi-step, since its plugin is not"),
    ],
)
def test_strategies_without_plugin_or_base_are_named_not_dropped(
    made: Made, declared: dict[tuple[str, str], tuple[str, str] | None], note: str
) -> None:
    known = {key: value for key, value in {**DECLARED, **declared}.items() if value}
    found = claims(made([5 + x for x in NOISE]), known)
    assert note in "\n".join(found.notes)
    steps = "passes" if ("optimizer", "sam") in known else "unknown"
    assert of_sam(found, "accuracy")["steps"] == steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "blue"}, "no metric 'blue' in these results; did you mean 'bleu'"),
        ({"strategy": "samm"}, "no multi-step strategy 'samm' .* did you mean 'sam'"),
        ({"strategy": "nadam"}, "no multi-step strategy 'nadam' .*; there is: beam, sam$"),
    ],
)
def test_what_is_asked_for_must_exist(made: Made, options: dict[str, str], message: str) -> None:
    with pytest.raises(MsbenchError, match=message):
        judged(made([5.0]), **options)
    with pytest.raises(MsbenchError, match="there are no trials"):
        judged([], **options)


def test_one_seed_and_failed_trials_show_nothing(made: Made) -> None:
    alone = judged(made([5.0]))
    assert any("one seed each" in note for note in alone.notes)
    assert {r["verdict"] for r in alone.rows} == {"untestable"}
    failed = judged([replace(r, status="crashed", results={}) for r in made(NOISE)])
    assert {r["verdict"] for r in failed.rows} <= {"untestable"}


def test_without_a_strategy_there_is_nothing_to_judge(made: Made) -> None:
    found = claims(made([5.0]), dict.fromkeys(DECLARED, ("", "")))
    assert not found.rows
    assert "nothing to judge" in found.notes[0]
    for style in FORMATS:
        rendered(found, found.rows, claim_tables(found), claim_legend(found), style)


@pytest.mark.parametrize("style", FORMATS)
def test_hostile_names_are_harmless(made: Made, style: str) -> None:
    def hostile(trial: Trial) -> Trial:
        label = "\x1b[31m|<b>$x$`" if trial.optimizer.name == "sam" else ""
        return replace(trial, optimizer=replace(trial.optimizer, label=label))

    records = made([5 + x for x in NOISE], change=hostile)
    found, advice = judged(records), recommend(records, "passes", 12)
    text = rendered(found, found.rows, claim_tables(found), claim_legend(found), style)
    text += rendered(advice, advice.rows, advice_tables(advice), advice_lines(advice), style)
    assert "\x1b" not in text
    assert style != "markdown" or "<b>" not in text.replace("\\<b\\>", "")


def test_the_committed_records_say_what_compare_says() -> None:
    """Targets and test scores are those of `compare` with the base as the baseline."""
    declared = {
        **DECLARED,
        ("optimizer", "momentum"): ("memory", "sgd"),
        ("decoder", "argmax"): ("", ""),
        ("decoder", "likelihood"): ("", ""),
    }
    found = claims(reference("optimizers"), declared)
    table = compare(reference("optimizers"), "adamw")
    targets = {r["task"]: r for r in table.targets if r["optimizer"] == "lookahead"}
    scores = {r["task"]: r for r in table.accuracy if r["main"] and r["optimizer"] == "lookahead"}
    rows = [r for r in found.rows if r["strategy"] == "lookahead"]
    assert {r["task"] for r in rows} == {"bbc-news", "numbers-fr", "verses-lm"}
    for row in rows:
        target, score = targets[row["task"]], scores[row["task"]]
        if row["claim"] == "compute":
            assert row["reached"] == pytest.approx(target["reached"])
            assert f"{target['target']:.4g}" in row["quantity"]
        if row["claim"] == "accuracy" and "passes" in row["units"]:
            assert row["effect"] == pytest.approx(score["difference"])
            assert row["p"] == pytest.approx(score["p"])


@pytest.mark.parametrize(
    ("name", "place", "conditions"),
    [
        # The tasks are four, each with a size of its own under one name.
        ("data-scale", 0, {"160 examples", "640 examples", "2,560 examples", "10,184 examples"}),
        ("multitask", 0, {"", "several tasks in one"}),
        ("model-scale", -1, {"206,146 weights", "486,850 weights", "1,566,850 weights"}),
    ],
)
def test_conditions_are_told_apart(name: str, place: int, conditions: set[str]) -> None:
    found = judged(reference(name))
    for rows, expected in ((found.rows, conditions), (found.conditions, conditions - {""})):
        assert {r["condition"].split(", ")[place] for r in rows} == expected
    text = rendered(found, found.rows, claim_tables(found, short=True), [])
    assert all(condition in text for condition in conditions)


def test_rewards_are_a_condition(made: Made) -> None:
    def rewarded(trial: Trial) -> Trial:
        return replace(trial, loss=replace(trial.loss, name="minimum-risk"))

    found = judged(made(NOISE, change=rewarded))
    assert {r["condition"] for r in found.rows} == {"rewards of drawn outputs"}
