"""What counts where something was done twice: the newest result of every seed and decoder."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from handmade import results

from msbench.claims.assess import claims
from msbench.claims.evidence import gather
from msbench.claims.pairs import Declared
from msbench.compare.comparison import compare
from msbench.compare.rows import Comparison
from msbench.plugins.registry import Registry
from msbench.records.record import Record, part_data, record
from msbench.report.plots.decoders import PLOT
from msbench.run.redecode import completed
from msbench.spec import STRATEGY, Choice, Measurement, Part, Throughput, Trial

BEAM: Declared = {("decoder", "beam"): ("decoding", "greedy")}


def decoded(trial: Trial, score: float, machine: str = "one") -> Record:
    """The record of a trial: decoder n scores n more than `score`, with a log-probability of
    -score."""
    found = results(trial.decoders, [{"bleu": score + n} for n in range(len(trial.decoders))])
    for each in found["decoding"]:
        each |= {"tokens": 90, "steps": 10, "positions": 100, "log_probability": -score}
    return record(trial, "ok", results=found, machine={"processor": machine})


def again(original: Record, decoders: Sequence[Part], score: float, machine: str = "one") -> Record:
    """What `msbench decode` adds for a trial."""
    trial = replace(Trial.of(original.job), decoders=tuple(decoders))
    new = decoded(trial, score, machine)
    return completed(replace(new, results={"decoding": new.results["decoding"]}), original)


@pytest.fixture
def originals(trials: list[Trial]) -> list[Record]:
    """AdamW with greedy and beam decoding, three seeds."""
    (adamw,) = (t for t in trials if (t.optimizer.name, t.seed) == ("adamw", 0))
    return [decoded(replace(adamw, seed=seed), 10.0 + seed) for seed in range(3)]


@pytest.fixture
def parts(originals: Sequence[Record], registry: Registry) -> dict[str, Part]:
    """Decoders by name: those of the suite, and `sample`."""
    own = {part.name: part for part in Trial.of(originals[0].job).decoders}
    return {**own, "sample": registry.resolve("decoder", Choice("sample"))}


def decoding(comparison: Comparison) -> dict[str, tuple[int, float, float]]:
    """By decoder and machine, (n, mean score, mean log-probability)."""
    several = len(comparison.machines) > 1
    return {
        f"{row['decoder']} {row['machine']}" if several else row["decoder"]: (
            row["n"],
            row["mean"],
            row["log_probability"],
        )
        for row in comparison.decoding
    }


def test_a_new_decoder_takes_no_others_place(
    originals: list[Record], parts: dict[str, Part]
) -> None:
    first, second = (part["name"] for part in originals[0].trial["decoders"])
    before = decoding(compare(originals))
    assert before == {first: (3, 11.0, -11.0), second: (3, 12.0, -11.0)}
    records = [*originals, *(again(each, [parts["sample"]], 20.0) for each in originals)]
    comparison = compare(records)
    assert decoding(comparison) == {**before, "sample": (3, 20.0, -20.0)}
    assert {row["decoder"] for row in PLOT.rows(comparison)} == {"beam", "greedy", "sample"}
    (training,) = comparison.training
    assert (training["n"], training["n_ok"]) == (3, 3)


def test_times_of_one_picture_are_measured_in_one_way(
    originals: list[Record], parts: dict[str, Part]
) -> None:
    """Alone on the machine greedy and beam take a tenth of what they take side by side."""
    trial = Trial.of(originals[0].job)
    timed: Any = [
        {"decoder": part_data(part), "per_second": 90.0, "rates": [90.0], "ratios": [1.0]}
        for part in trial.decoders
    ]
    speed = record(
        Measurement((trial,), Throughput()), "ok", results={"training": [], "decoding": timed}
    )
    speed = replace(speed, machine=originals[0].machine)

    def milliseconds(records: list[Record]) -> set[float]:
        return {round(row["milliseconds"]) for row in PLOT.rows(compare([*records, speed]))}

    assert milliseconds(originals) == {11}  # 1 s / 90
    new = [again(each, [parts["sample"]], 20.0) for each in originals]
    assert milliseconds([*originals, *new]) == {111}  # 1 s / 9, of all three


def test_a_measurement_of_some_leaves_that_of_all_in_the_table(originals: list[Record]) -> None:
    trial = Trial.of(originals[0].job)
    others = [replace(trial, optimizer=replace(trial.optimizer, label=name)) for name in "ab"]

    def timed(names: str, speed: float) -> Record:
        chosen = tuple(t for t in others if t.optimizer.label in names)
        rates = {"per_second": speed, "rates": [speed] * 2, "ratios": [1.0] * 2}
        strategies: Any = [
            {"strategy": {axis: part_data(getattr(t, axis)) for axis in STRATEGY}, **rates}
            for t in chosen
        ]
        results: Any = {"training": strategies, "decoding": []}
        made = record(Measurement(chosen, Throughput(steps=int(speed))), "ok", results=results)
        return replace(made, machine=originals[0].machine)

    def speeds(*measured: Record) -> list[float]:
        return [row["per_second"] for row in compare([*originals, *measured]).throughput]

    assert speeds(timed("ab", 5.0), timed("a", 7.0)) == [5.0, 5.0]
    assert speeds(timed("a", 7.0), timed("ab", 5.0)) == [5.0, 5.0]
    assert speeds(timed("ab", 5.0), timed("ab", 6.0)) == [6.0, 6.0]


def test_a_seed_that_was_decoded_again_counts_once_and_with_the_others(
    originals: list[Record], parts: dict[str, Part]
) -> None:
    records = [*originals, again(originals[1], [parts["greedy"]], 41.0)]
    comparison = compare(records)
    base = {row["decoder"]: row["mean"] for row in compare(originals).accuracy}
    change = (41.0 - base_score(originals[1], "greedy")) / 3
    found = decoding(comparison)
    assert found["greedy"] == (3, pytest.approx(base["greedy"] + change), -(10 + 41 + 12) / 3)
    assert found["beam"] == (3, base["beam"], -11.0)
    scores = {row["decoder"]: row["mean"] for row in comparison.accuracy}
    assert scores["greedy"] == pytest.approx(found["greedy"][1])


def base_score(one: Record, decoder: str) -> float:
    found = {each["decoder"]["name"]: each["metrics"]["bleu"] for each in one.results["decoding"]}
    return float(found[decoder])


def test_training_is_of_the_machine_that_trained(
    originals: list[Record], parts: dict[str, Part]
) -> None:
    """Decoding elsewhere says nothing of how fast that machine trains."""
    elsewhere = [again(each, [parts["sample"]], 20.0, "two") for each in originals[:2]]
    comparison = compare([*originals, *elsewhere])
    assert [(row["machine"], row["n"]) for row in comparison.training] == [("one", 3)]
    assert decoding(comparison)["sample two"] == (2, 20.0, -20.0)
    alone = compare(elsewhere)
    assert [(row["machine"], row["n"]) for row in alone.training] == [("two", 2)]
    evidence = gather([*originals, *elsewhere], "")
    assert {len(trials) for trials in evidence.trials.values()} == {3}
    machines = evidence.columns.trials["machine"]
    assert all((machines[trials] == 0).all() for trials in evidence.trials.values())


def test_scores_of_two_machines_are_of_the_same_seeds_as_what_is_beside_them(
    originals: list[Record], parts: dict[str, Part]
) -> None:
    records = [*originals, again(originals[0], [parts["greedy"]], 40.0, "two")]
    found = decoding(compare(records))
    offset = base_score(originals[0], "greedy") - 10.0
    assert found["greedy two"] == (1, 40.0, -40.0)
    assert found["greedy one"] == (2, 11.5 + offset, -11.5)


def test_claims_judge_the_newest_of_every_decoder(
    originals: list[Record], parts: dict[str, Part]
) -> None:
    records = [*originals, *(again(each, [parts["greedy"]], 20.0) for each in originals)]
    (effect,) = (row for row in claims(records, BEAM).rows if row["claim"] == "accuracy")
    beam = sum(base_score(each, "beam") for each in originals) / 3
    assert (effect["pairs"], effect["effect"]) == (3, pytest.approx(beam - 20.0))


def test_a_trial_that_was_replaced_is_not_counted_as_failed(originals: list[Record]) -> None:
    trial = Trial.of(originals[0].job)
    failed = record(replace(trial, decoders=trial.decoders[:1]), "crashed", "killed")
    assert not any("did not end ok" in note for note in claims([failed, *originals], BEAM).notes)
    notes = claims([*originals, failed], BEAM).notes
    assert "1 trials did not end ok: they count as not reaching a target, else not" in notes
