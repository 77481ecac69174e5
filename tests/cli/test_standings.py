"""What progress says of trials."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from msbench.api.standings import Standings
from msbench.cli.interrupts import Stop
from msbench.cli.progress import show_progress
from msbench.records.record import Record, record
from msbench.records.store import read
from msbench.run.events import Finished, Stage, Started
from msbench.spec import Trial

QUICK = Path(__file__).parents[2] / "tests/kept/quick"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Trials on bbc-news."""
    found = read(QUICK).records
    return [r for r in found if r.is_trial and r.job["task"]["name"] == "bbc-news"]


def test_lines_say_who_is_ahead(records: list[Record], capsys: pytest.CaptureFixture[str]) -> None:
    trials = [Trial.of(each.job) for each in records]
    events = [Stage("trials", len(records))]
    for trial, done in zip(trials, records, strict=True):
        events += [Started(trial), Finished(done)]  # type: ignore[list-item]
    show_progress((event for event in events), Stop(), trials=trials)  # type: ignore[arg-type]
    lines = capsys.readouterr().err.splitlines()
    number = len(records)
    assert len(lines) == number
    assert lines[-1].startswith(f"trials: {number} of {number} done, 0 running, about 0 s left (")
    scores: dict[str, list[float]] = {}
    for each in records:
        if each.is_trained:
            part, (decoded, *_) = each.job["optimizer"], each.results["decoding"]
            name = part["label"] or part["name"]
            scores.setdefault(name, []).append(decoded["metrics"]["accuracy"])
    best = max(scores, key=lambda name: fmean(scores[name]))
    trained = [line for line in lines if "; best so far" in line]
    assert len(trained) == sum(map(len, scores.values()))
    assert trained[-1].endswith(f"; best so far {best} {fmean(scores[best]):.3g})")
    assert all("(bbc-news, " in line for line in lines), "no learner or the like stands there"


def test_names_tell_trials_apart(records: list[Record]) -> None:
    """By label and by options; what was not planned at first has its own name."""
    first = records[0]
    trial = Trial.of(first.job)
    hot = replace(trial.optimizer, options={**trial.optimizer.options, "lr": 9.0})
    other = replace(trial.task, label="mine")
    trials = [trial, replace(trial, optimizer=hot), replace(trial, task=other)]
    names = {Standings(trials).name(record(each, "ok")) for each in trials}
    assert len(names) == 3
    assert any("(lr=9.0)" in name for name in names)
    assert any(name.startswith("mine, ") for name in names)
    unplanned = Standings().name(first)
    assert unplanned.startswith("bbc-news, ")
