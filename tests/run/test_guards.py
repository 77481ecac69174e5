"""What is found on the side in every trial: wrong plugins are named in the record and the notes."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from msbench import load_plugins, load_suite, run_job
from msbench.builtin.learner import TorchLearner
from msbench.builtin.optimizers.inspection import check_optimizer
from msbench.compare import compare
from msbench.data.overlap import also_in_train
from msbench.data.withheld import blind, without_test
from msbench.errors import MsbenchError
from msbench.plan.trials import plan
from msbench.records.record import Record

PLUGIN = """
import msbench, torch
from torch.optim import SGD
from msbench.builtin.losses.pointwise import cross_entropy

@msbench.hookimpl
def register_optimizers(register):
    register("half", half)
    register("rateless", Rateless)

@msbench.hookimpl
def register_losses(register):
    register("one", lambda: one)
    register("nothing", lambda: nothing)
    register("vandal", lambda: vandal)

@msbench.hookimpl
def register_decoders(register):
    for each in (cheat, reads_input, reads_task, vandal_decoder):
        register(each.__name__.replace("_", "-"), each)

def half(model):
    optimizer = SGD(model.parameters(), lr=0.1)
    optimizer.register_step_pre_hook(skip)
    return optimizer

def skip(optimizer, args, kwargs):
    closure = args[1]
    def skipping():
        loss = closure()
        for p in optimizer.param_groups[0]["params"][::2]:
            p.grad = None
        return loss
    return (optimizer, skipping), {}

class Rateless(torch.optim.Optimizer):
    def __init__(self, model, step_size=0.01):
        super().__init__(model.parameters(), {"step_size": step_size})

    def step(self, closure):
        loss = closure()
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                if p.grad is not None:
                    p -= self.param_groups[0]["step_size"] * p.grad
        return loss

plain = cross_entropy()

def one(model, batch):
    total, count = plain(model, batch)
    return total / count, torch.ones(())

def nothing(model, batch):
    total, count = plain(model, batch)
    return total * float(model.training), count

def vandal(model, batch):
    found = plain(model, batch)
    batch.source.data.fill_(9)
    return found

def cheat():
    return lambda model, batch: list(batch.references)

def reads_input():
    return lambda model, batch: batch.input.tolist()

def reads_task(task):
    return lambda model, batch: [task.test.references[row] for row in batch.rows]

def vandal_decoder():
    def decode(model, batch):
        batch.source.fill_(9)
        return [[5]] * len(batch.rows)
    return decode
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Record]:
    """Trains a very small model with parts of the plugin."""
    folder = tmp_path_factory.mktemp("guards")
    file = folder / "wrong.py"
    file.write_text(PLUGIN)
    registry = load_plugins([str(file)])

    def done(loss: str = "cross-entropy", optimizer: str = "adamw", *decoders: str) -> Record:
        text = f"""
            seeds = 1
            [training]
            passes = 3
            batch_size = 8
            validations = 1
            [[task]]
            name = "numbers-fr"
            below = 120
            examples = 100
            [[model]]
            name = "encoder-decoder"
            width = 8
            layers = 1
            heads = 2
            [[loss]]
            name = "{loss}"
            [[optimizer]]
            name = "{optimizer}"
            """
        text += "".join(f'[[decoder]]\nname = "{d}"\n' for d in (*decoders, "greedy"))
        path = folder / "suite.toml"
        path.write_text(text)
        suite = load_suite(str(path))
        task = registry.build("task", registry.resolve("task", suite.tasks[0]))()
        (trial,) = plan(suite, registry, (), lambda part: str(task.fingerprint()))
        return run_job(trial, files=[str(file)])

    return done


def found(record: Record) -> list[str]:
    assert record.status == "ok", record.reason
    return record.trial_results["guards"]["found"]


def test_parts_that_do_as_they_should_leave_nothing_to_say(done: Callable[..., Record]) -> None:
    record = done()
    assert found(record) == []
    assert record.trial_results["guards"]["moved"] > 0.99
    assert record.trial_results["guards"]["still"] == []
    assert record.trial_results["task"]["notes"]["also_in_train"] == {"validation": 0, "test": 0}
    assert not any("look into" in note for note in compare([record]).notes)


@pytest.mark.parametrize(
    ("loss", "optimizer", "sentence"),
    [
        (
            "cross-entropy",
            "half",
            r"training left \d+ of \d+ weights exactly as they were",
        ),
        ("one", "adamw", "the loss counts one unit in any batch"),
        ("nothing", "adamw", "the validation loss is 0 and the training loss is not"),
        ("vandal", "sgd", "the loss or the optimizer changes the batch"),
    ],
)
def test_wrong_parts_are_named(
    loss: str, optimizer: str, sentence: str, done: Callable[..., Record]
) -> None:
    record = done(loss, optimizer)
    assert any(re.match(sentence, each) for each in found(record))
    if loss == "vandal":
        assert "the loss changes the batches of the validation split" in found(record)
    notes = compare([record]).notes
    start = f"look into numbers-fr, encoder-decoder, {loss}, {optimizer}: "
    (note,) = [each for each in notes if re.match(re.escape(start) + sentence, each)]
    assert note.endswith("(1 of 1 trials)")


@pytest.mark.parametrize("decoder", ["cheat", "reads-input", "reads-task"])
def test_a_decoder_cannot_return_what_it_is_scored_against(
    decoder: str, done: Callable[..., Record]
) -> None:
    record = done("cross-entropy", "adamw", decoder)
    assert record.status == "failed"
    assert "withheld" in record.reason or "NoneType" in record.reason


def test_what_a_decoder_does_to_its_batch_harms_no_other(done: Callable[..., Record]) -> None:
    alone = done().trial_results["decoding"]
    record = done("cross-entropy", "adamw", "vandal-decoder")
    assert found(record) == ["decoder vandal-decoder changes the sources that it is given"]
    scores = {d["decoder"]["name"]: d["metrics"] for d in record.trial_results["decoding"]}
    assert scores["greedy"] == alone[0]["metrics"]


def test_an_optimizer_without_a_rate_trains_and_its_schedule_is_said_to_do_nothing(
    done: Callable[..., Record],
) -> None:
    with pytest.warns(UserWarning, match="'rateless': its groups have no learning rate"):
        assert found(done("cross-entropy", "rateless")) == []


def test_a_key_that_groups_lack_is_said_before_any_compute() -> None:
    def needs_a_rate(model: Any) -> Any:
        group = {"params": list(model.parameters())}
        return group["lr"]

    with pytest.raises(MsbenchError, match="its groups, or those of its base, have no 'lr'"):
        check_optimizer(needs_a_rate)


def test_the_test_split_has_no_answers_for_those_who_learn(trials: Any, registry: Any) -> None:
    task = registry.build("task", trials[0].task)()
    shown = without_test(task)
    assert (shown.longest_source, shown.longest_target) == (
        task.longest_source,
        task.longest_target,
    )
    assert len(shown.test) == len(task.test)
    with pytest.raises(MsbenchError, match="withheld"):
        list(shown.test.references)
    assert {target for _, target in shown.texts.splits["test"]} == {""}
    batch = blind(task.test.batch(task.test.lengths[0].argsort()[:3]))
    assert batch.input is None
    assert batch.target is None
    assert batch.spelling == [None] * 3
    assert also_in_train(task) == {"validation": 0, "test": 0}
    assert also_in_train(replace(task, test=task.train))["test"] == len(task.train)


def test_a_learner_may_not_know(
    done: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchLearner, "flops", lambda self: None)
    monkeypatch.setattr(TorchLearner, "log_probabilities", lambda *_: None)
    record = Record.from_json(done().to_json())
    assert record.trial_results["compute"]["flops"] is None
    assert record.trial_results["decoding"][0]["log_probability"] is None
    assert math.isnan(compare([record]).training[0]["flops"])
