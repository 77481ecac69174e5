"""What has one key is one trial, in every process; what is one trial gives the same bits."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.records.store import append, read
from msbench.run.job import run_job
from msbench.run.processes import processes
from msbench.spec import Part, Phase, Suite, Trial, Tuned, job_to_json

pytestmark = pytest.mark.usefixtures("server")

KEYS = """
import sys
from msbench.spec import job_from_json
for line in sys.stdin:
    print(job_from_json(line).key)
"""

FIELDS = ("task", "model", "loss", "optimizer", "schedule", "learner")


def changed_part(part: Part, dice: random.Random) -> Part:
    """The part with something else in one place."""
    return dice.choice(
        [
            replace(part, version=f"{part.version}{dice.randrange(9)}"),
            replace(part, plugin=f"{part.plugin}-{dice.randrange(9)}"),
            replace(part, label=f"label {dice.randrange(9)}"),
            replace(part, options={**part.options, "x": dice.choice([0, 1, 0.5, "1", [1], None])}),
            replace(part, options={**part.options, "base": replace(part, version="other")}),
        ]
    )


def changed(trial: Trial, dice: random.Random) -> Trial:
    """The trial with something else in one place."""
    field = dice.choice(FIELDS)
    training = dice.choice(["passes", "batch_size", "steps", "accumulate", "clip"])
    return dice.choice(
        [
            replace(trial, **{field: changed_part(getattr(trial, field), dice)}),
            replace(trial, decoders=trial.decoders[1:]),
            replace(trial, training=replace(trial.training, **{training: dice.randrange(2, 9)})),
            replace(trial, seed=dice.randrange(100)),
            replace(trial, data=f"data {dice.randrange(100)}"),
            replace(trial, dtype="float64"),
            replace(trial, threads=dice.randrange(2, 9)),
            replace(trial, device="cuda"),
            replace(trial, phases=(Phase(dice.randrange(2, 9), optimizer=trial.optimizer),)),
            replace(trial, tuned=Tuned(dice.choice(["search", "final"]), 0, 2, {})),
        ]
    )


def same(trial: Trial, dice: random.Random) -> Trial:
    """The same trial, put together in another way."""
    plain = json.loads(json.dumps(asdict(trial)))
    shuffled = [*plain.items()]
    dice.shuffle(shuffled)
    for name in FIELDS:
        options = [*plain[name]["options"].items()]
        dice.shuffle(options)
        plain[name]["options"] = dict(options)
    return Trial.of(dict(shuffled) | {name: plain[name] for name in FIELDS})


def what(trial: Trial) -> Any:
    """Identity by its definition: all that is not at its default, by value and type."""
    plain = json.loads(job_to_json(trial))
    plain["tuned"] = plain["tuned"] and plain["tuned"]["stage"]
    return json.dumps(plain, sort_keys=True)


@pytest.mark.attack("R15", "pairs of trials, alike or different in one place, in other processes")
def test_keys_are_equal_exactly_where_trials_are(attack: Any, trials: list[Trial]) -> None:
    dice = attack.generator()
    pairs = []
    for _ in range(attack.times(100, 500)):
        one = dice.choice(trials)
        for _ in range(dice.randrange(3)):
            one = changed(one, dice)
        if not one.decoders:
            one = replace(one, decoders=trials[0].decoders)
        pairs.append((one, same(one, dice) if dice.random() < 0.5 else changed(one, dice)))
    lines = "".join(job_to_json(trial) + "\n" for pair in pairs for trial in pair)
    here = [trial.key for pair in pairs for trial in pair]
    for seed in ("0", "1", "random"):
        done = subprocess.run(
            [sys.executable, "-c", KEYS],
            input=lines,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        with attack.case(f"PYTHONHASHSEED={seed}"):
            assert done.stdout.split() == here
    for number, (one, other) in enumerate(pairs):
        with attack.case(f"pair {number}"):
            assert (one.key == other.key) == (what(one) == what(other)), (one, other)
    equal = sum(one.key == other.key for one, other in pairs)
    attack.notes = f"{equal} pairs alike, {len(pairs) - equal} different"
    assert 0 < equal < len(pairs)


def bits(made: Record) -> str:
    """All that a trial learned and scored, without clocks; JSON keeps every bit of a float."""
    assert made.status == "ok", made.reason
    made = Record.from_json(made.to_json())  # numbers that were written are floats
    training = dict(made.results["training"])
    training["seconds"] = None
    training["curve"] = [{**point, "seconds": None} for point in training["curve"]]
    decoding = [
        {name: value for name, value in each.items() if "seconds" not in name}
        for each in made.results["decoding"]
    ]
    found = [training, decoding, made.results["compute"], made.results["losses"]]
    return json.dumps(found, sort_keys=True)


@pytest.mark.attack("R16", "the same seeds serial, parallel, resumed, in a process with a past")
def test_trials_give_the_same_bits_wherever_they_run(
    attack: Any, tiny: Suite, registry: Registry, fingerprint: Callable[[Part], str], tmp_path: Path
) -> None:
    suite = replace(tiny, seeds=tuple(range(attack.times(1, 6))))
    trials = plan(suite, registry, (), fingerprint)
    serial = {trial.key: bits(run_job(trial)) for trial in trials}
    past = {trial.key: bits(run_job(trial)) for trial in reversed(trials)}

    def launched(some: list[Trial], workers: int) -> Iterator[Record]:
        each = processes(workers=workers)(some, run_job)
        return (made for made in each if isinstance(made, Record))

    parallel = {made.key: bits(made) for made in launched(trials, 2)}
    (tmp_path / "results").mkdir()
    for made in launched(trials[::2], 1):
        append(tmp_path / "results", made)
    left = plan(suite, registry, read(tmp_path / "results").records, fingerprint)
    for made in launched(left, 2):
        append(tmp_path / "results", made)
    resumed = {made.key: bits(made) for made in read(tmp_path / "results").records}
    for name, found in (("again", past), ("parallel", parallel), ("resumed", resumed)):
        assert found.keys() == serial.keys()
        for key, expected in serial.items():
            with attack.case(f"{name}: {key}"):
                assert found[key] == expected
