"""Tables: the numbers, the pairing, the verdicts, and what is done with bad rows."""

import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from handmade import results
from scipy import stats as scipy_stats

from msbench.compare.comparison import compare
from msbench.compare.rows import Comparison
from msbench.compare.stats import holm, mean_interval
from msbench.errors import MsbenchError
from msbench.records.record import Record, record
from msbench.records.store import read
from msbench.report.findings import findings, summary
from msbench.report.render import render
from msbench.report.tables import tables
from msbench.spec import AXES, FORMATS, Measurement, Part, Question, Throughput, Trial


def result(value: float, decoders: Sequence[Part]) -> dict[str, Any]:
    return results(decoders, [{"bleu": value + n, "chrf": 2 * value} for n in range(len(decoders))])


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
    expected = scipy_stats.t.interval(0.95, 4, loc=mean, scale=scipy_stats.sem(values))
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    assert mean_interval([3.0])[0] == 3.0
    assert math.isnan(mean_interval([3.0])[1])
    assert all(math.isnan(x) for x in mean_interval([]))


def test_differences_are_paired_by_seed(records: list[Record]) -> None:
    sam = row(compare(records, "adamw"), "sam")
    assert sam["n"] == sam["n_ok"] == 4
    assert sam["difference"] == pytest.approx(1.0)
    assert sam["high"] - sam["low"] > 10
    # All differences are the same: there is no spread to judge by, and nothing is made up.
    assert all(math.isnan(sam[k]) for k in ("difference_low", "difference_high", "p"))
    assert sam["verdict"] == "undecided"
    assert "the same in all 4 seeds" in render(compare(records, "adamw"))
    adamw = row(compare(records, "adamw"), "adamw")
    assert adamw["difference"] == 0.0


def test_every_row_has_what_readers_rely_on(records: list[Record]) -> None:
    wanted = """task model loss optimizer decoder metric n n_ok mean low high passes train_seconds
        tokens_per_second peak_memory"""
    rows = json.loads(render(compare(records), "json"))["accuracy"]
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
    assert sam["verdict"]
    assert "of those ok" in render(comparison)
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
    assert "0 of 4" in render(compare(only))


def test_one_seed_has_no_interval(records: list[Record]) -> None:
    (adamw,) = (r for r in compare(records[:1]).accuracy[:1])
    assert adamw["mean"] > 0
    assert math.isnan(adamw["low"])
    assert json.loads(render(compare(records[:1]), "json"))["accuracy"][0]["low"] is None


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


REFERENCE = Path("tests/kept")


def reference(name: str) -> tuple[Record, ...]:
    return read(REFERENCE / name).records


def scored(records: Sequence[Record], values: Sequence[float], optimizer: str) -> list[Record]:
    """The records with one optimizer's score of each seed put to `values`."""
    made = []
    for each in records:
        if each.job["optimizer"]["name"] == optimizer:
            decoders = Trial.of(each.job).decoders
            each = replace(each, results=result(values[each.job["seed"]], decoders))
        made.append(each)
    return made


@pytest.mark.parametrize(
    ("values", "margin", "verdict"),
    [
        ([12.0, 16.1, 13.0, 32.0], None, "better"),
        ([8.0, 12.1, 9.0, 28.0], None, "worse"),
        ([10.5, 14.6, 11.5, 30.5], None, "better within the margin"),
        ([9.5, 13.6, 10.5, 29.5], None, "worse within the margin"),
        ([10.0, 14.1, 11.0, 30.0], None, "equivalent"),
        ([10.0, 14.1, 11.0, 30.0], 0.01, "undecided"),
        ([10.0, 20.0, 7.0, 31.0], None, "undecided"),
        ([10.0, 14.0, 11.0, 30.0], None, "undecided"),
    ],
)
def test_verdicts_in_a_word(
    records: list[Record], values: list[float], margin: float | None, verdict: str
) -> None:
    comparison = compare(scored(records, values, "sam"), "adamw", margin=margin)
    sam = row(comparison, "sam")
    assert sam["verdict"] == verdict
    assert sam["margin"] == (1.0 if margin is None else margin)
    assert row(comparison, "adamw")["verdict"] == ""
    expected = reference_test(values, [10.0, 14.0, 11.0, 30.0])
    if not math.isnan(expected):
        assert sam["p"] == pytest.approx(expected, rel=1e-9)
        # Beam and greedy are two families of one test each.
        assert sam["p_adjusted"] == sam["p"]
    if verdict == "undecided" and not math.isnan(expected):
        assert sam["detectable"] > abs(sam["difference"])
        assert sam["seeds_needed"] > 4
        assert f"  {sam['seeds_needed']:,.0f} seeds" in render(comparison)


def test_margins_are_the_metrics_and_never_taken_from_values(records: list[Record]) -> None:
    """BLEU below 1 still has a margin of 1; of a metric that nobody declared there is none."""
    small = [
        replace(each, results=result(0.1 + each.trial["seed"] / 100, Trial.of(each.job).decoders))
        for each in records
    ]
    shifted = scored(small, [0.15, 0.17, 0.16, 0.171], "sam")
    assert row(compare(shifted, "adamw"), "sam")["margin"] == 1.0
    unknown = []
    for each in shifted:
        task = each.results["task"]
        metrics = {name: {**facts, "margin": None} for name, facts in task["metrics"].items()}
        results = {**each.results, "task": {**task, "metrics": metrics}}
        unknown.append(replace(each, results=results))
    sam = row(compare(unknown, "adamw"), "sam")
    assert math.isnan(sam["margin"])
    assert sam["verdict"] in ("better", "worse", "undecided")


def test_one_decoder_and_metric_decide_and_all_else_is_secondary(records: list[Record]) -> None:
    values = [12.0, 16.1, 13.0, 32.0]
    comparison = compare(scored(records, values, "sam"), "adamw")
    decides = [r for r in comparison.accuracy if r["decides"]]
    assert {(r["decoder"], r["metric"]) for r in decides} == {("greedy", "bleu")}
    titles = [table.title for table in tables(comparison)]
    assert titles[:3] == ["Accuracy, untuned", "Seed by seed", "Accuracy, secondary, untuned"]
    assert "1 better" in summary(comparison)[1]
    asked = Question("optimizer", "sam", {"numbers-fr": "chrf"}, {"numbers-fr": "beam"})
    other = compare(scored(records, values, "sam"), question=asked)
    assert (other.by, other.baseline) == ("optimizer", "sam")
    decides = [r for r in other.accuracy if r["decides"]]
    assert {(r["decoder"], r["metric"]) for r in decides} == {("beam", "chrf")}


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"metric": "chrf"}, "chrf is not the declared metric: verdicts here are secondary"),
        ({"by": "decoder"}, "the declared question compares another axis: verdicts here are sec"),
        ({"question": Question("optimizer", "lion")}, "the declared baseline lion is not in these"),
        ({"baseline": "sam"}, "the declared baseline is adamw: verdicts here are secondary"),
        ({"metric": "bleu"}, ""),
    ],
)
def test_another_question_than_the_declared_one_is_told(
    records: list[Record], options: dict[str, Any], note: str
) -> None:
    declared = Question("optimizer", "adamw", tuned_by="a test")
    comparison = compare(records, **{"question": declared, **options})
    assert any(note in each for each in comparison.notes) == bool(note)
    assert any(r["decides"] for r in comparison.accuracy) != bool(note)
    assert ("(secondary)" in findings(comparison)[0].title) == bool(note)


def test_what_was_declared_and_is_not_there_is_told(records: list[Record]) -> None:
    question = Question("optimizer", "adamw", {"numbers-fr": "bleuu"}, {"numbers-fr": "beem"})
    comparison = compare(records, question=question, margin=3.0)
    assert not any(row["decides"] for row in comparison.accuracy)
    for note in ("the declared metric bleuu", "the declared decoder beem", "the margin 3 is not"):
        assert any(note in each for each in comparison.notes)


def test_a_family_is_the_strategies_of_one_task() -> None:
    comparison = compare(reference("quick"), "adamw")
    rows = [r for r in comparison.accuracy if r["decides"] and not r["baseline"]]
    assert {r["family"] for r in rows} == {4}
    for task in {r["task"] for r in rows}:
        mine = [r for r in rows if r["task"] == task]
        expected = holm([r["p"] for r in mine])
        assert [r["p_adjusted"] for r in mine] == pytest.approx(expected.tolist())
    assert "Any difference of the 3 together is false in up to 14% of suites" in render(comparison)


def test_seeds_far_below_the_others_and_scores_at_a_bound_are_told(records: list[Record]) -> None:
    lost = scored(records, [90.0, 91.0, 92.0, 2.0], "sam")
    assert (
        row(compare(lost, "adamw"), "sam")["remark"] == "1 of 4 seeds of sam far below the others"
    )
    best = scored(records, [99.5, 99.6, 99.7, 99.4], "sam")
    remark = row(compare(best, "adamw"), "sam")["remark"]
    assert remark == "sam within the margin of the best bleu possible"
    assert row(compare(records, "adamw"), "sam")["remark"] == ""


def reference_test(mine: Sequence[float], base: Sequence[float]) -> float:
    return float(scipy_stats.ttest_rel(mine, base).pvalue) if mine != base else math.nan


def test_where_lower_is_better_less_is_better(records: list[Record]) -> None:
    low = []
    for each in scored(records, [8.0, 12.1, 9.0, 28.0], "sam"):
        metrics = each.results["task"]["metrics"]
        low_bleu = {**metrics["bleu"], "lower_is_better": True}
        task = {**each.results["task"], "metrics": {**metrics, "bleu": low_bleu}}
        low.append(replace(each, results={**each.results, "task": task}))
    comparison = compare(low, "adamw")
    sam = row(comparison, "sam")
    assert sam["verdict"] == "better"
    same = [r for r in comparison.accuracy if r["decoder"] == sam["decoder"]]
    base = next(r for r in same if (r["optimizer"], r["metric"]) == ("adamw", "bleu"))
    assert sam["margin"] == 1.0
    relative = []
    for each in low:
        task = each.results["task"]
        bleu = {**task["metrics"]["bleu"], "margin": 0.01, "relative": True}
        task = {**task, "metrics": {**task["metrics"], "bleu": bleu}}
        relative.append(replace(each, results={**each.results, "task": task}))
    sam = row(compare(relative, "adamw"), "sam")
    assert sam["margin"] == pytest.approx(0.01 * base["mean"])


def test_one_pair_could_have_shown_nothing(records: list[Record]) -> None:
    one = [r for r in records if r.job["seed"] == 0]
    comparison = compare(one, "adamw")
    sam = row(comparison, "sam")
    assert sam["verdict"] == "undecided"
    assert math.isnan(sam["detectable"])
    assert "1 seed, too few" in render(comparison)
    assert any("one seed each" in note for note in comparison.notes)


def test_nan_metrics_and_all_failed_are_told(records: list[Record]) -> None:
    lost = scored(records, [math.nan] * 4, "sam")
    comparison = compare(lost, "adamw")
    sam = row(comparison, "sam")
    assert (sam["n"], sam["n_ok"], sam["verdict"]) == (4, 0, "undecided")
    assert any("no trial that ended ok gave a number for bleu" in n for n in comparison.notes)
    lost_one = scored(records, [90, 91, math.nan, 92], "sam")
    first, *_ = (each for each in compare(lost_one, "adamw").accuracy if each["main"])
    assert first["optimizer"] == "adamw"  # who lacks a number is never ranked best
    failed = [replace(r, status="failed", reason="why", results={}) for r in records]
    notes = compare(failed).notes
    assert "no trial ended ok: there is nothing to compare" in notes
    assert any("sam seed 0: failed: why" in note for note in notes)


def test_what_is_asked_for_must_exist(records: list[Record]) -> None:
    with pytest.raises(MsbenchError, match="cannot compare by 'optimiser'; did you mean 'optim"):
        compare(records, by="optimiser")
    with pytest.raises(MsbenchError, match="no metric 'blue' in these results; did you mean 'bleu"):
        compare(records, metric="blue")
    with pytest.raises(MsbenchError, match="no decoder 'beem' in these results; did you mean"):
        compare(records, "beem", by="decoder")
    with pytest.raises(MsbenchError, match="a margin of equivalence must be positive, not -1"):
        compare(records, margin=-1.0)
    silent = replace(records[0], job={**records[0].job, "decoders": []}, results={})
    with pytest.raises(MsbenchError, match="there are no scores to compare"):
        compare([silent])
    broken = replace(records[0], results={**records[0].results, "training": {"passes": "many"}})
    with pytest.raises(MsbenchError, match="its results are not whole"):
        compare([broken])


def test_a_metric_can_be_chosen(records: list[Record]) -> None:
    comparison = compare(records, metric="chrf")
    assert {r["metric"] for r in comparison.accuracy if r["primary"]} == {"chrf"}
    assert "chrf" in render(comparison)
    assert "bleu" not in render(comparison)
    notes = compare(reference("quick"), metric="macro_f1").notes
    assert "not shown, since macro_f1 is no metric of theirs: headlines, numbers-fr" in notes


def test_decoders_are_paired_within_their_trial() -> None:
    comparison = compare(reference("quick"), by="decoder")
    assert comparison.baseline == "greedy"
    rows = [r for r in comparison.accuracy if r["primary"] and r["decoder"] == "beam"]
    assert {r["pairs"] for r in rows} == {4}
    adamw = next(r for r in rows if (r["task"], r["optimizer"]) == ("numbers-fr", "adamw"))
    scores = {
        (r.job["seed"], d["decoder"]["name"]): d["metrics"]["bleu"]
        for r in reference("quick")
        if r.is_trial
        and (r.job["task"]["name"], r.job["optimizer"]["name"]) == ("numbers-fr", "adamw")
        for d in r.results["decoding"]
    }
    expected = sum(scores[s, "beam"] - scores[s, "greedy"] for s in range(4)) / 4
    assert adamw["difference"] == pytest.approx(expected)
    # A classifier's argmax has no counterpart: shown, without a verdict.
    argmax = [r for r in comparison.accuracy if r["decoder"] == "argmax" and r["primary"]]
    assert argmax
    assert all(r["verdict"] == "" and math.isnan(r["p"]) for r in argmax)
    assert not comparison.targets


@pytest.mark.parametrize(
    ("name", "by", "baseline"),
    [
        ("reinforcement", "loss", "cross-entropy"),
        ("model-scale", "model", ""),
    ],
)
def test_any_axis_can_be_compared(name: str, by: str, baseline: str) -> None:
    comparison = compare(reference(name), baseline, by=by)
    rows = [r for r in comparison.accuracy if r["primary"]]
    assert any(r["verdict"] for r in rows)
    for r in rows:
        alike = [
            other
            for other in rows
            if all(other[key] == r[key] for key in (*AXES, "decoder", "metric") if key != by)
        ]
        assert sum(other["baseline"] for other in alike) <= 1
    assert f"vs {comparison.baseline}" in render(comparison)


def test_examples_are_paired_where_both_have_them() -> None:
    rows = compare(reference("quick"), "adamw").accuracy
    sgd = next(r for r in rows if (r["task"], r["optimizer"]) == ("bbc-news", "sgd"))
    # The mean accuracy over examples is the accuracy.
    assert sgd["example_difference"] == pytest.approx(sgd["difference"], abs=1e-4)
    assert sgd["example_p_adjusted"] < 0.05
    assert sgd["examples"] > 200
    assert sgd["example_high"] - sgd["example_low"] > sgd["difference_high"] - sgd["difference_low"]


def test_auto_targets_do_not_depend_on_competitors() -> None:
    every = reference("quick")
    alone = [r for r in every if r.is_trial and r.job["optimizer"]["name"] == "adamw"]
    both, one = compare(every, "adamw"), compare(alone, "adamw")
    assert both.freezing == one.freezing
    best = sorted(
        min(point["validation_loss"] for point in r.results["training"]["curve"])
        for r in alone
        if r.job["task"]["name"] == "bbc-news"
    )
    assert f'"bbc-news" = {best[2]!r}' in both.freezing
    frozen = tomllib.loads("\n".join(both.freezing))["target"]
    again = compare(every, "adamw", target=frozen)
    assert again.targets == both.targets
    assert again.freezing == []


def test_an_unreached_target_is_infinite() -> None:
    rows = compare(reference("quick"), "adamw").targets
    found = {(r["task"], r["optimizer"]): r for r in rows}
    sgd, adamw = found["numbers-fr", "sgd"], found["numbers-fr", "adamw"]
    assert (sgd["reached"], sgd["passes"], sgd["flops"], sgd["seconds"]) == (0, *[math.inf] * 3)
    assert adamw["reached"] == 0.75
    assert adamw["passes"] == 300
    never = compare(reference("quick"), "adamw", target=-1.0)
    assert {r["passes"] for r in never.targets} == {math.inf}
    assert {r["share"] for r in never.profiles} == {0.0}


def test_targets_are_of_the_last_phase_and_of_one_loss() -> None:
    comparison = compare(reference("reinforcement"), "cross-entropy", by="loss")
    assert comparison.targets
    assert {r["loss"] for r in comparison.targets} == {"cross-entropy"}


def test_a_given_target_is_of_the_baselines_loss_alone() -> None:
    """Nats and rewards share no target, no profile and no column."""
    comparison = compare(reference("reinforcement"), "cross-entropy", by="loss", target=0.07)
    assert {r["loss"] for r in comparison.targets} == {"cross-entropy"}
    assert {r["strategy"] for r in comparison.profiles} == {"cross-entropy"}
    note = "numbers-fr: the target is a loss of cross-entropy, and minimum-risk is measured in"
    assert any(each.startswith(note) for each in comparison.notes)
    (training,) = tables(comparison, ["training"])
    for row in training.cells:
        filled = [name for name in row if name.startswith("validation loss, ") and row[name]]
        assert filled == [f"validation loss, {row['loss']}"]


def test_machines_stand_side_by_side() -> None:
    records = []
    for each in reference("quick"):
        if each.is_trial and each.job["seed"] == 3:
            each = replace(each, machine={**each.machine, "cores": 64})
        records.append(each)
    comparison = compare(records, "adamw")
    adamw = [r for r in comparison.training if r["optimizer"] == "adamw"]
    names = {r["machine"] for r in adamw}
    assert {r["n"] for r in adamw} == {1, 3}
    assert len(names) == 2
    assert all(name.startswith("AMD EPYC #") for name in names)
    assert any("cores=64" in note for note in comparison.notes)
    row = next(r for r in comparison.accuracy if r["optimizer"] == "adamw")
    assert row["n"] == 4
    assert math.isnan(row["train_seconds"])
    assert row["passes"] == 200
    whole = compare(reference("quick"), "adamw")
    same = next(r for r in whole.accuracy if r["optimizer"] == "adamw")
    assert row["mean"] == same["mean"]
    assert "machine" in render(comparison)
    assert "machine" not in render(whole)


CHOSEN = Question(tuned_by="a test")


def test_nothing_is_ranked_unless_somebody_chose_the_options() -> None:
    untuned = compare(reference("quick"), "adamw")
    assert untuned.untuned == ["adamw", "lookahead", "momentum", "sam", "sgd"]
    assert not untuned.ranks
    assert "untuned and so not ranked" in summary(untuned)[0]
    assert any(note.startswith("untuned: no search chose") for note in untuned.notes)
    for tuned in (
        compare(reference("quick"), "adamw", question=CHOSEN),
        compare(reference("optimizers"), "adamw"),
    ):
        assert not tuned.untuned
        assert tuned.ranks
        assert "untuned" not in render(tuned).lower()


def test_ranks_and_profiles_over_tasks() -> None:
    comparison = compare(reference("quick"), "adamw", question=CHOSEN)
    ranks = {r["strategy"]: r for r in comparison.ranks}
    assert ranks["lookahead"]["average_rank"] == 1
    assert {r["tasks"] for r in comparison.ranks} == {3}
    assert ranks["lookahead"]["critical_difference"] == pytest.approx(3.522, abs=1e-3)
    shares = {(r["strategy"], r["tau"]): r for r in comparison.profiles}
    assert shares["adamw", 1.0]["share"] == 0.75
    assert shares["adamw", 0.75]["share"] == 0
    assert shares["adamw", 1.0]["low"] < 0.75 < shares["adamw", 1.0]["high"]
    assert shares["adamw", 1.0]["problems"] == 12


def test_ranks_are_by_what_all_ran_with() -> None:
    """A decoder that one strategy alone was measured with does not count for it."""

    def without_beam(each: Record) -> Record:
        decoders = [part for part in each.job["decoders"] if part["name"] != "beam"]
        return replace(each, job={**each.job, "decoders": decoders}, group=f"{each.group}, less")

    def with_excellent_beam(each: Record) -> Record:
        decoding = [
            {**d, "metrics": dict.fromkeys(d["metrics"], 1000000.0)}
            if d["decoder"]["name"] == "beam"
            else d
            for d in each.results["decoding"]
        ]
        return replace(each, results={**each.results, "decoding": decoding})

    every = [each for each in reference("quick") if each.is_trial]
    less = [without_beam(each) for each in every]
    sgd = [each.job["optimizer"]["name"] == "sgd" for each in every]
    more = [
        with_excellent_beam(each) if alone else fewer
        for each, fewer, alone in zip(every, less, sgd, strict=True)
    ]
    ranks = compare(less, "adamw", question=CHOSEN).ranks
    assert ranks[-1]["strategy"] == "sgd"
    assert compare(more, "adamw", question=CHOSEN).ranks == ranks


def test_a_strategy_that_failed_ranks_last_and_one_that_is_missing_is_told() -> None:
    failed, absent = [], []
    for each in reference("quick"):
        name = each.job["optimizer"]["name"] if each.is_trial else ""
        best = name == "lookahead" and each.job["task"]["name"] == "bbc-news"
        failed.append(replace(each, status="failed", results={}) if best else each)
        absent += [] if best else [each]
    ranks = {
        r["strategy"]: r["average_rank"] for r in compare(failed, "adamw", question=CHOSEN).ranks
    }
    assert ranks["lookahead"] == pytest.approx((5 + 1 + 1) / 3)
    comparison = compare(absent, "adamw", question=CHOSEN)
    assert "lookahead" not in {r["strategy"] for r in comparison.ranks}
    assert "not ranked, since not run on every task: lookahead" in comparison.notes


def test_overfitting_gap_and_decoding_facts() -> None:
    facts = {"steps": 12, "positions": 99, "first_token_seconds": None, "length_ratio": 0.9}
    records, before = [], []
    for each in reference("quick"):
        if each.is_trial:
            without = [
                {k: v for k, v in d.items() if k not in (*facts, "log_probability", "empty")}
                for d in each.results["decoding"]
            ]
            kept = {k: v for k, v in each.results.items() if k != "losses"}
            before.append(replace(each, results={**kept, "decoding": without}))
            decoding = [{**d, **facts, "empty": 0.25} for d in each.results["decoding"]]
            losses = {"train": 1.0, "test": 1.5}
            results = {**each.results, "decoding": decoding, "losses": losses}
            each = replace(each, results=results)
        records.append(each)
    comparison, old = compare(records, "adamw"), compare(before, "adamw")
    assert {r["generalization_gap"] for r in comparison.training} == {0.5}
    assert all(math.isnan(r["generalization_gap"]) for r in old.training)
    curves = [
        [point["validation_loss"] for point in r.results["training"]["curve"]]
        for r in reference("quick")
        if r.is_trial
        and (r.job["task"]["name"], r.job["optimizer"]["name"]) == ("bbc-news", "lookahead")
    ]
    row = next(r for r in comparison.training if r["optimizer"] == "lookahead")
    assert row["overfitting"] == pytest.approx(sum(c[-1] - min(c) for c in curves) / 4)
    assert not old.decoding
    assert len(comparison.decoding) == 25
    beam = next(r for r in comparison.decoding if r["decoder"] == "beam")
    assert (beam["steps"], beam["empty"], beam["metric"]) == (12, 0.25, "rougeL")
    assert math.isnan(beam["first_token_seconds"])
    assert "DECODING" in render(comparison)


def test_a_stream_is_enough_and_of_equal_keys_the_last_counts() -> None:
    every = reference("quick")
    whole = render(compare(every), "json")
    assert render(compare(iter(every)), "json") == whole
    crashed = replace(every[0], status="crashed", results={})
    assert render(compare([crashed, *every]), "json") == whole
