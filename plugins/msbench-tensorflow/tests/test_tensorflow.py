"""The plugin as its users have it: found by its entry point, its twins in torch beside it."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="msbench-tensorflow needs TensorFlow: not installed")

from msbench_tensorflow import decoders, losses, optimizers, weights
from msbench_tensorflow.encoder import Encoder as KerasEncoder
from msbench_tensorflow.encoder_decoder import EncoderDecoder as KerasEncoderDecoder
from msbench_tensorflow.learner import TensorFlowLearner

from msbench import (
    Batch,
    Choice,
    Meter,
    MsbenchError,
    Part,
    Registry,
    Task,
    classification,
    load_plugins,
    load_suite,
    run_job,
)
from msbench.builtin.decoders.beam import beam
from msbench.builtin.generation import greedy
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.optimizers.torch_optim import adamw, sgd
from msbench.plan.trials import plan

SMALL = {"width": 16, "layers": 2, "heads": 2, "dropout": 0.0}
NETWORKS = {"classify": (Encoder, KerasEncoder), "seq2seq": (EncoderDecoder, KerasEncoderDecoder)}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def task_of(registry: Registry) -> Any:
    options = {"below": 200, "examples": 150}
    pairs = registry.build("task", registry.resolve("task", Choice("numbers-fr", options)))()
    rng = np.random.default_rng(0)
    texts = [(" ".join(rng.choice([*"abcdefgh"], 6)), "xyz"[n % 3]) for n in range(90)]
    splits = {"train": texts[:60], "validation": texts[60:75], "test": texts[75:]}
    labels = classification(splits, max_length=8, vocabulary=50)
    return {"seq2seq": pairs, "classify": labels}.get


Twins = tuple[TorchLearner, TensorFlowLearner]


def twins(
    task: Task, folder: Path, *, torch_optimizer: Any, keras_optimizer: Any, **options: Any
) -> Twins:
    """The same network with the same weights in both frameworks."""
    ours, theirs = NETWORKS[task.kind]
    one = TorchLearner(
        task,
        model=partial(ours, **SMALL),
        loss=cross_entropy,
        optimizer=torch_optimizer,
        seed=0,
        **options,
    )
    other = TensorFlowLearner(
        task,
        model=partial(theirs, **SMALL),
        loss=losses.cross_entropy,
        optimizer=keras_optimizer,
        seed=0,
        **options,
    )
    one.save(folder / "weights.safetensors", {})
    other.load(folder / "weights.safetensors")
    return one, other


def difference(one: TorchLearner, other: TensorFlowLearner) -> float:
    """The largest between two weights."""
    state = one.model.state_dict()
    found = weights.named(other.model)
    assert {*found} <= {*state}
    return max(
        float(np.abs(weights._turned(n, v, v.numpy()) - state[n].numpy()).max())
        for n, v in found.items()
    )


def logits(one: TorchLearner, other: TensorFlowLearner, batch: Batch) -> tuple[Any, Any]:
    """Of both, by a decoder that returns them."""
    return np.array(one.predict(batch, lambda model, b: model(b))), np.array(
        other.predict(batch, lambda model, b: model(b).numpy())
    )


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_same_weights_give_the_same_logits_and_steps(
    kind: str, task_of: Any, tmp_path: Path
) -> None:
    task = task_of(kind)
    one, other = twins(
        task,
        tmp_path,
        torch_optimizer=partial(adamw, lr=1e-3),
        keras_optimizer=partial(optimizers.adamw, lr=1e-3),
        accumulate=2,
        clip=1.0,
    )
    assert difference(one, other) == 0
    assert one.parameters() == other.parameters()
    batch = task.train.batch(np.arange(16))
    for learner in (one, other):
        learner.mode(training=False)
    ours, theirs = logits(one, other, batch)
    np.testing.assert_allclose(theirs, ours, atol=1e-4)
    assert other.validate([batch]) == pytest.approx(one.validate([batch]), abs=1e-5)
    for number in range(10):
        batch = task.train.batch(np.arange(16) + number)
        for learner in (one, other):
            learner.mode(training=True)
            learner.set_rate(1 - number / 20, number / 10)
        steps = [learner.train_step(batch) for learner in (one, other)]
        assert [step.passes for step in steps] == [1, 1]
        assert float(steps[1].loss) == pytest.approx(float(steps[0].loss), abs=1e-3)
    for learner in (one, other):
        learner.mode(training=False)
    ours, theirs = logits(one, other, batch)
    np.testing.assert_allclose(theirs, ours, atol=1e-3)
    assert difference(one, other) > 0
    other.save(tmp_path / "back.safetensors", {"by": "TensorFlow"})
    one.load(tmp_path / "back.safetensors")
    assert difference(one, other) == 0


def test_plain_steps_are_those_of_torch(task_of: Any, tmp_path: Path) -> None:
    task = task_of("classify")
    one, other = twins(
        task,
        tmp_path,
        torch_optimizer=partial(sgd, lr=0.1),
        keras_optimizer=partial(optimizers.sgd, lr=0.1),
    )
    for learner in (one, other):
        learner.mode(training=True)
        for number in range(3):
            learner.train_step(task.train.batch(np.arange(8) + 8 * number))
    assert difference(one, other) < 1e-6


def test_outputs_are_those_of_torch(task_of: Any, tmp_path: Path) -> None:
    task = task_of("seq2seq")
    one, other = twins(
        task,
        tmp_path,
        torch_optimizer=partial(adamw, lr=1e-2),
        keras_optimizer=partial(optimizers.adamw, lr=1e-2),
    )
    one.mode(training=True)
    for number in range(30):
        one.train_step(task.train.batch(np.arange(16) + number))
    one.save(tmp_path / "trained.safetensors", {})
    other.load(tmp_path / "trained.safetensors")
    for learner in (one, other):
        learner.mode(training=False)
    batch = task.test.batch(np.arange(len(task.test)))
    for ours, theirs in [
        (greedy(), decoders.greedy()),
        (beam(width=3), decoders.beam(width=3)),
        (greedy(max_length=2), decoders.greedy(max_length=2)),
    ]:
        meters = Meter(), Meter()
        written = one.predict(batch, ours, meters[0])
        assert other.predict(batch, theirs, meters[1]) == written
        assert (meters[1].steps, meters[1].positions) == (meters[0].steps, meters[0].positions)
        np.testing.assert_allclose(
            other.log_probabilities(batch, written),
            one.log_probabilities(batch, written),
            atol=1e-4,
        )


def test_dropout_follows_the_seed(task_of: Any) -> None:
    task = task_of("classify")
    batch = task.train.batch(np.arange(16))

    def first_losses(seed: int) -> list[float]:
        learner = TensorFlowLearner(
            task,
            model=partial(KerasEncoder, **SMALL | {"dropout": 0.5}),
            loss=losses.cross_entropy,
            optimizer=partial(optimizers.sgd, lr=0.0),
            seed=seed,
        )
        learner.mode(training=True)
        return [float(learner.train_step(batch).loss) for _ in range(2)]

    once = first_losses(1)
    assert once == first_losses(1)
    assert once != first_losses(2)
    assert once[0] != once[1], "a mask for every step"


def test_weights_of_another_model_are_refused(task_of: Any, tmp_path: Path) -> None:
    task = task_of("classify")
    make = partial(
        TensorFlowLearner,
        task,
        loss=losses.cross_entropy,
        optimizer=optimizers.adam,
        seed=0,
    )
    make(model=partial(KerasEncoder, **SMALL)).save(tmp_path / "w.safetensors", {})
    with pytest.raises(MsbenchError, match="weights of another model"):
        make(model=partial(KerasEncoder, **SMALL | {"width": 32})).load(tmp_path / "w.safetensors")


SUITE = """
seeds = 1
training = { passes = 20, batch_size = 16, validations = 2 }
task = [{ name = "numbers-fr", below = 200, examples = 150 }]
model = [{ name = "keras-encoder-decoder", width = 16, layers = 1, heads = 2 }]
loss = [{ name = "keras-cross-entropy", label_smoothing = 0.1 }]
decoder = [{ name = "keras-greedy" }, { name = "keras-beam", width = 2 }]
optimizer = [{ name = "keras-adamw", lr = 3e-3 }]
"""


def test_a_trial_learns(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(SUITE)

    def fingerprint(part: Part) -> str:
        return str(registry.build("task", part)().fingerprint())

    (trial,) = plan(load_suite(str(path)), registry, (), fingerprint)
    record = run_job(trial)
    assert record.status == "ok", record.reason
    first, last = (point["validation_loss"] for point in record.results["training"]["curve"])
    assert last < first
    assert [len(each["metrics"]) > 0 for each in record.results["decoding"]] == [True, True]


@pytest.mark.parametrize(
    ("make", "lr"),
    [
        (optimizers.momentum, 0.1),
        (optimizers.adam, 1e-2),
        (optimizers.lion, 1e-3),
        (optimizers.adafactor, 1e-2),
        (optimizers.muon, 1e-2),
    ],
)
def test_optimizers_of_keras_learn(make: Any, lr: float, task_of: Any) -> None:
    task = task_of("classify")
    learner = TensorFlowLearner(
        task,
        model=partial(KerasEncoder, **SMALL | {"layers": 1}),
        loss=losses.cross_entropy,
        optimizer=partial(make, lr=lr),
        seed=0,
    )
    batch = task.train.batch(np.arange(32))
    before = learner.validate([batch])
    learner.mode(training=True)
    for _ in range(8):
        learner.train_step(batch)
    assert learner.validate([batch]) < before
    assert learner.optimizer_bytes() > 0


def test_found_by_its_entry_point(registry: Registry) -> None:
    assert registry.find("learner", "tensorflow").plugin == "msbench-tensorflow"
