"""Seeds added until there is a verdict: what is planned depends on records alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import results
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msbench.claims import claims
from msbench.compare.comparison import compare
from msbench.errors import SuiteError
from msbench.plan.question import question_of
from msbench.plan.suite import load_suite
from msbench.plan.trials import expected, plan, with_overrides
from msbench.plugins.registry import Registry
from msbench.records.question import read_question, seeds_looked_for, write_question
from msbench.records.record import Record, record
from msbench.report.render import render
from msbench.spec import Question, Suite, Trial

MOST = 6
MORE = '\n[[optimizer]]\nname = "sgd"\nlr = 0.1\n\n[[optimizer]]\nname = "momentum"\nlr = 0.1\n'
ADDED = {"seeds = 2\n": "", "[throughput]": f"[question]\nmax_seeds = {MOST}\n\n[throughput]"}

Write = Callable[..., Path]


def no_data(part: Any) -> str:
    return "data"


@pytest.fixture
def suite(write_suite: Write) -> Suite:
    return load_suite(str(write_suite(bottom=MORE, **ADDED)))


def finished(trial: Trial, world: int) -> Record:
    """What a trial scores in one of many worlds: a true mean of each optimizer, and noise that is
    of the trial alone, whenever it runs."""
    name = trial.optimizer.name
    of_name = np.random.default_rng([world, *name.encode()])
    mean = 50 + of_name.choice([0.0, 1.0, 3.0, 20.0])
    noise = np.random.default_rng([world, trial.seed, *name.encode()]).normal(0, 1.5)
    return recorded(trial, float(np.clip(mean + noise, 0, 100)))


def recorded(trial: Trial, score: float) -> Record:
    scores = [{"bleu": score, "chrf": score}] * len(trial.decoders)
    curve = [{"passes": 12, "steps": 12, "seconds": 1.0, "validation_loss": 1 / score}]
    return record(trial, "ok", results=results(trial.decoders, scores, curve=curve))


def run(
    suite: Suite, registry: Registry, world: int, some: Callable[[Sequence[Trial]], Sequence[Trial]]
) -> list[Record]:
    """Run it to the end; some: of the trials that are planned, those that end before a break."""
    records: list[Record] = []
    while planned := plan(suite, registry, records, no_data):
        records += [finished(trial, world) for trial in some(planned)]
    return records


def stops(suite: Suite, registry: Registry, records: Sequence[Record]) -> dict[str, Any]:
    question = question_of(suite, expected(suite, registry, records, no_data))
    rows = compare(records, question=question).accuracy
    return {
        row["optimizer"]: (row["looked"], row["stopped"], row["verdict"], row["n"])
        for row in rows
        if row["decides"]
    }


@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(world=st.integers(0, 10_000), breaks=st.randoms(use_true_random=False))
def test_an_interrupted_run_decides_the_same(
    suite: Suite, registry: Registry, world: int, breaks: Any
) -> None:
    def interrupted(planned: Sequence[Trial]) -> Sequence[Trial]:
        return breaks.sample(list(planned), breaks.randint(1, len(planned)))

    whole = run(suite, registry, world, lambda planned: planned)
    broken = run(suite, registry, world, interrupted)
    assert {each.key for each in broken} == {each.key for each in whole}
    assert stops(suite, registry, broken) == stops(suite, registry, whole)


def test_what_is_decided_stops_and_the_baseline_goes_on(suite: Suite, registry: Registry) -> None:
    worlds = [run(suite, registry, world, lambda planned: planned) for world in range(3)]
    for records in worlds:
        found = stops(suite, registry, records)
        seeds = {name: n for name, (*_, n) in found.items()}
        others = {name: n for name, n in seeds.items() if name != "adamw"}
        assert seeds["adamw"] == max(others.values())
        for name, (looked, why, verdict, n) in found.items():
            if name != "adamw":
                assert looked == n
                assert (why == "decided") == (verdict != "undecided")
                assert why == "limit" or n < MOST or verdict != "undecided"
    reasons = {why for records in worlds for _, why, *_ in stops(suite, registry, records).values()}
    assert {"decided", "futile"} <= reasons


def test_tables_say_where_each_stopped(suite: Suite, registry: Registry) -> None:
    records = run(suite, registry, 1, lambda planned: planned)
    question = question_of(suite, expected(suite, registry, records, no_data))
    text = render(compare(records, question=question))
    assert "seeds: decided" in text
    assert "biased outward" in text
    fixed = render(compare(records, question=replace(question, max_seeds=0)))
    assert "biased outward" not in fixed
    assert "stopped at" not in fixed


def test_added_seeds_have_their_own_thresholds_everywhere(suite: Suite, registry: Registry) -> None:
    """Three seeds that show a difference at 5 % do not show it when seeds are added."""
    trials = [t for t in expected(suite, registry, (), no_data) if t.optimizer.name != "sgd"]
    gains = {"adamw": [0, 0, 0], "momentum": [4, 5, 6], "sam": [4, 5, 6]}

    def scored(trial: Trial) -> Record:
        score = 50.0 + gains[trial.optimizer.name][trial.seed]
        return recorded(trial, score)

    records = [scored(trial) for trial in trials]
    question = question_of(suite, trials)
    declared = {
        ("optimizer", "momentum"): ("memory", "adamw"),
        ("optimizer", "sam"): ("passes", ""),
    }
    for asked, verdict in ((replace(question, max_seeds=0), "better"), (question, "undecided")):
        rows = compare(records, question=asked).accuracy
        assert {row["verdict"] for row in rows if not row["baseline"]} == {verdict}
        told = claims(records, declared, question=asked).rows
        (row,) = [r for r in told if r["claim"] == "accuracy" and r["strategy"] == "momentum"]
        assert row["verdict"] == {"better": "supported"}.get(verdict, verdict)


def test_the_command_line_asks_for_it_as_a_suite_does(tiny: Suite, suite: Suite) -> None:
    asked = with_overrides(tiny, seeds=None, device=None, workers=None, max_seeds=MOST)
    assert asked.seeds == suite.seeds == tuple(range(MOST))
    assert asked.question.max_seeds == suite.question.max_seeds == MOST
    fixed = with_overrides(suite, seeds=2, device=None, workers=None)
    assert (fixed.seeds, fixed.question.max_seeds) == ((0, 1), 0)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"[throughput]": "[question]\nmax_seeds = 6\n\n[throughput]"}, "leave it out"),
        ({**ADDED, "max_seeds = 6": "max_seeds = 3"}, "greater than or equal to 4"),
    ],
)
def test_a_suite_that_cannot_add_seeds_is_refused(
    changes: dict[str, str], wrong: str, write_suite: Write
) -> None:
    with pytest.raises(SuiteError, match=wrong):
        load_suite(str(write_suite(**changes)))


def test_records_keep_that_they_were_looked_at(tmp_path: Path) -> None:
    assert seeds_looked_for(tmp_path) == 0
    write_question(tmp_path, Question(max_seeds=9))
    assert seeds_looked_for(tmp_path) == 9
    assert read_question(tmp_path) == Question(max_seeds=9)
