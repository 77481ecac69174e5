"""Precision, compile and graph: part of a trial, checked, and told where they do nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msbench import Choice
from msbench.plan.modes import mode_notes, mode_problems
from msbench.plan.resolve import resolve_suite
from msbench.plan.suite import load_suite
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.spec import Trial, job_from_json, job_to_json, plain

MODES = 'precision = "bfloat16", compile = true, graph = true'
Plan = Callable[..., list[Trial]]


def with_modes(planned: Plan, modes: str = MODES) -> list[Trial]:
    return planned(**{"below = 200": f"below = 200\ntraining = {{ {modes} }}"})


def test_modes_are_part_of_what_a_trial_is(planned: Plan) -> None:
    default, other = planned()[0], with_modes(planned)[0]
    assert other.training.modes == {"precision": "bfloat16", "compile": True, "graph": True}
    assert other.key != default.key
    assert job_from_json(job_to_json(other)) == other
    assert default.training.modes == {}
    written = with_modes(planned, 'precision = "float32", compile = false')[0]
    assert written.key == default.key
    assert plain(default)["training"].keys().isdisjoint(other.training.modes)


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ('precision = "bfloat"', "not 'bfloat'; did you mean 'bfloat16'?"),
        ("precison = 3", "unknown key; did you mean 'precision'?"),
        ("graph = 1", "graph: Input should be a valid boolean, not 1"),
    ],
)
def test_wrong_modes_are_named(problems: Any, modes: str, expected: str) -> None:
    (problem,) = problems(**{"below = 200": f"below = 200\ntraining = {{ {modes} }}"})
    assert expected in problem


def test_a_precision_needs_weights_of_float32(problems: Any) -> None:
    changed = {"below = 200": 'below = 200\ntraining = { precision = "tf32" }'}
    (problem,) = problems(top='dtype = "float64"', **changed)
    assert problem.startswith("task[1].training.precision: 'tf32' is a way to compute with weights")


PLUGIN = """
import msbench
from msbench.builtin.learner import TorchLearner

@msbench.hookimpl
def register_learners(register):
    register("plain", Plain)

@msbench.hookimpl
def register_models(register):
    register("encoder-decoder-plain", "msbench.builtin.models.encoder_decoder:EncoderDecoder",
             learner="plain", fits=["seq2seq"])

class Plain:
    def __init__(self, task, *, model, loss, optimizer, seed, device, threads, dtype):
        pass
"""


def test_a_learner_that_does_not_know_a_mode_is_refused(
    write_suite: Callable[..., Path], write_plugin: Callable[..., str]
) -> None:
    registry = load_plugins([write_plugin(PLUGIN)])
    own = "encoder-decoder-plain"
    changes = {
        "below = 200": f"below = 200\ntraining = {{ {MODES} }}",
        '"encoder-decoder"': f'"{own}"',
    }
    suite = load_suite(str(write_suite(**changes)))
    parts, _ = resolve_suite(suite, registry)
    assert mode_problems(suite, registry, parts) == [
        f"{suite.path}: training.{name}: learner 'plain' cannot be told a {name}"
        for name in ("precision", "compile", "graph")
    ]


def test_what_runs_eagerly_is_named(planned: Plan, registry: Registry) -> None:
    trials = with_modes(planned, "graph = true")
    assert mode_notes(trials, registry) == [
        "graph = true: steps run eagerly on a CPU, which has no graphs to replay"
    ]
    part = registry.resolve("optimizer", Choice("adafactor"))
    (trial,) = trials[:1]
    on_card = replace(trial, device="cuda", optimizer=part)
    (note,) = mode_notes([on_card, on_card], registry)
    assert note == (
        "optimizer adafactor trains eagerly in spite of graph = true: the host waits for a result "
        "(aten::_local_scalar_dense)"
    )
