"""Decoders of labels: against their formulas and slow twins."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import tensors
from torch import Tensor, nn
from torch.nn import functional

from msbench import PAD, Batch, Split, Task, evaluation_batches, label_scores
from msbench.builtin.decoders.labels import (
    argmax,
    candidate_loss,
    mc_dropout,
    prior_corrected,
    switched,
    temperature,
)
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy, focal, mse
from msbench.builtin.models.bag import Bag
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.lstm import LSTM
from msbench.data.batches import training_batches
from msbench.errors import MsbenchError, PluginError, SuiteError
from msbench.plan.suite import load_suite
from msbench.plan.trials import Fingerprint, measurements, plan
from msbench.plugins.registry import Registry
from msbench.run.decode import decode
from msbench.run.job import run_job
from msbench.run.meter import Meter
from msbench.spec import Choice, Part

WORDS, LONG, CLASSES = 20, 6, 3


def make_task(examples: int = 90, noise: float = 0.3) -> Task:
    """The label is in the first token, unless noise has put another one there; two are rare."""
    draw = np.random.default_rng(0)

    def split() -> Split:
        label = draw.choice(CLASSES, examples, p=[0.7, 0.2, 0.1])
        source = draw.integers(7, WORDS, (examples, LONG))
        source[np.arange(LONG) >= draw.integers(2, LONG + 1, examples)[:, None]] = PAD
        shown = np.where(draw.random(examples) < noise, draw.choice(CLASSES, examples), label)
        source[:, 0] = 4 + shown
        return Split(source, label, label.tolist())

    splits = split(), split(), split()
    notes = {"labels": ["a", "b", "c"]}
    return Task("classify", *splits, label_scores, "accuracy", WORDS, CLASSES, notes=notes)


def trained(task: Task, model: Any, passes: int = 40) -> TorchLearner:
    """The learner of a model in double precision after so many passes."""
    learner = TorchLearner(
        task,
        model=model,
        loss=cross_entropy,
        optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=3e-2),
        seed=0,
        dtype="float64",
    )
    batches = training_batches(task.train, 16, np.random.default_rng(0))
    learner.mode(training=True)
    for _ in range(passes):
        learner.train_step(next(batches))
    learner.mode(training=False)
    return learner


TASK = make_task()
TEST = tensors(TASK.test)

MODELS = {
    "bag": partial(Bag, width=8, dropout=0.3),
    "lstm": partial(LSTM, width=8, dropout=0.3),
    "encoder": partial(Encoder, width=8, heads=2, layers=1, dropout=0.3),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return trained(TASK, MODELS[request.param]).model


@pytest.fixture(scope="module")
def bag() -> TorchLearner:
    return trained(TASK, MODELS["bag"])


class Scaled(nn.Module):
    """A model that is so many times as sure."""

    def __init__(self, model: nn.Module, scale: float):
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, batch: Batch) -> Tensor:
        return self.model(batch) * self.scale


# ── priors ──────────────────────────────────────────────────────────────────────────────────


@torch.inference_mode()
def test_the_prior_is_subtracted_from_the_logits(model: nn.Module) -> None:
    """Menon et al., equation 9: argmax of f_y(x) - tau log pi_y."""
    shares = torch.from_numpy(np.bincount(TASK.train.target) / len(TASK.train))
    for strength in (0.5, 1.0, 2.0):
        corrected = prior_corrected(TASK, strength)(model, TEST)
        expected = model(TEST).softmax(-1) / shares**strength
        expected = expected / expected.sum(-1, keepdim=True)
        assert torch.allclose(corrected.exp(), expected, atol=1e-12)
    assert torch.equal(prior_corrected(TASK, 0.0)(model, TEST), argmax()(model, TEST))


@torch.inference_mode()
def test_an_even_prior_changes_nothing_and_a_zero_prior_is_finite(bag: TorchLearner) -> None:
    def corrected(target: Any) -> Tensor:
        task = replace(TASK, train=replace(TASK.train, target=target))
        logs: Tensor = prior_corrected(task)(bag.model, TEST)
        return logs

    plain, rows = argmax()(bag.model, TEST), np.arange(len(TASK.train))
    assert torch.allclose(corrected(rows % CLASSES), plain, atol=1e-12)
    lacking = corrected(rows % 2)
    assert lacking.isfinite().all()
    odds = (lacking - plain)[:, 2] - (lacking - plain)[:, 0]
    how_much_rarer = math.log(len(TASK.train) / 2)  # a label that occurs once
    assert torch.allclose(odds, torch.full_like(odds, how_much_rarer), atol=1e-12)


def test_the_prior_helps_rare_labels(bag: TorchLearner) -> None:
    macro_f1 = [
        decode(bag, decoder, TASK, TASK.test, evaluation_batches(TASK.test, 32)).scores.metrics
        for decoder in (argmax(), prior_corrected(TASK))
    ]
    assert macro_f1[1]["macro_f1"] > macro_f1[0]["macro_f1"]


# ── temperature ─────────────────────────────────────────────────────────────────────────────


@torch.inference_mode()
def validation_loss(model: Any, t: float) -> float:
    batch = tensors(TASK.validation)
    return float(functional.cross_entropy(model(batch) / t, batch.target))


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_the_temperature_is_the_best_on_validation(model: nn.Module, scale: float) -> None:
    """Against a grid, however sure the model is of itself; labels stay."""
    scaled, decoder = Scaled(model, scale).train(), temperature(TASK)
    decoder.calibrate(scaled)
    assert all(module.training for module in scaled.modules())
    scaled.eval()
    best = validation_loss(scaled, decoder.temperature)
    grid = np.exp(np.linspace(-math.log(100), math.log(100), 400))
    assert best <= min(validation_loss(scaled, float(t)) for t in [1.0, *grid])
    for nearby in (0.999, 1.001):
        assert best < validation_loss(scaled, decoder.temperature * nearby)
    with torch.inference_mode():
        logs, plain = decoder(scaled, TEST), argmax()(scaled, TEST)
        expected = (scaled(TEST) / decoder.temperature).log_softmax(-1)
    assert torch.allclose(logs, expected)
    assert torch.equal(logs.argmax(-1), plain.argmax(-1))


def test_the_temperature_scales_with_the_logits(bag: TorchLearner) -> None:
    """Exactly as much: it is calibrated anew for every model."""
    decoder = temperature(TASK)
    decoder.calibrate(bag.model)
    before = decoder.temperature
    decoder.calibrate(Scaled(bag.model, 4.0).eval())
    assert decoder.temperature == pytest.approx(4 * before, rel=1e-5)


def test_a_temperature_must_be_calibrated_and_logits_be_numbers() -> None:
    learner = trained(TASK, MODELS["bag"], 1)
    decoder = temperature(TASK)
    with pytest.raises(MsbenchError, match="'temperature' has none yet: call calibrate"):
        learner.predict(TASK.test.batch(np.arange(3)), decoder)
    with pytest.raises(MsbenchError, match="not numbers"):
        decoder.calibrate(Scaled(learner.model, math.nan).eval())
    decode(learner, decoder, TASK, TASK.test, evaluation_batches(TASK.test, 32))
    assert decoder.temperature > 0


# ── dropout ─────────────────────────────────────────────────────────────────────────────────


@torch.inference_mode()
def test_mc_dropout_is_the_mean_over_masks(model: nn.Module) -> None:
    """The same masks by hand; then the model predicts as before."""
    plain, meter = model(TEST), Meter()
    torch.manual_seed(0)
    mean = mc_dropout(passes=5)(meter.watch(model), TEST)
    assert meter.steps == 5
    torch.manual_seed(0)
    model.train()
    masked = [model(TEST).softmax(-1) for _ in range(5)]
    model.eval()
    assert torch.allclose(mean.exp(), torch.stack(masked).mean(0), atol=1e-12)
    assert not torch.allclose(masked[0], masked[1])
    assert torch.equal(model(TEST), plain)
    torch.manual_seed(0)
    assert torch.allclose(mc_dropout(passes=1)(model, TEST).exp(), masked[0], atol=1e-12)


@torch.inference_mode()
@pytest.mark.parametrize("passes", [1, 3, 8])
@pytest.mark.parametrize("name", MODELS)
def test_mc_dropout_of_a_model_without_dropout_is_argmax(name: str, passes: int) -> None:
    torch.manual_seed(0)
    model = MODELS[name](TASK, dropout=0.0).eval()
    assert torch.equal(mc_dropout(passes)(model, TEST), argmax()(model, TEST))


class Deep(nn.Module):
    """Norms that learn in training, and dropout inside an LSTM or a layer of torch's own."""

    def __init__(self, kind: str):
        super().__init__()
        self.tokens, self.norm = nn.Embedding(WORDS, 8), nn.BatchNorm1d(8)
        self.kind, self.head = kind, nn.Linear(8, CLASSES)
        if kind == "lstm":
            self.body: Any = nn.LSTM(8, 8, 2, batch_first=True, dropout=0.5)
        else:
            layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True)
            self.body = nn.TransformerEncoder(layer, 2)

    def forward(self, batch: Batch) -> Tensor:
        x = self.norm(self.tokens(batch.source).transpose(1, 2)).transpose(1, 2)
        x = self.body(x)[0] if self.kind == "lstm" else self.body(x)
        logits: Tensor = self.head(x.mean(1))
        return logits


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_dropout_inside_other_modules_is_on_and_norms_stay(kind: str) -> None:
    torch.manual_seed(0)
    model: Any = Deep(kind).eval()
    before, plain = model.norm.running_mean.clone(), argmax()(model, TEST)
    assert not torch.allclose(mc_dropout(passes=2)(model, TEST), plain, atol=1e-4)
    assert torch.equal(model.norm.running_mean, before)
    assert not any(module.training for module in model.modules())


def test_modes_come_back_after_an_error() -> None:
    model = Bag(TASK).eval()
    with pytest.raises(IndexError):
        mc_dropout()(model, replace(TEST, source=torch.tensor([[WORDS + 5]])))
    assert not any(module.training for module in model.modules())
    model.dropout.train()
    with switched(model.modules(), training=False):
        assert not model.dropout.training
    assert [model.training, model.dropout.training] == [False, True]


@torch.inference_mode()
def test_mc_dropout_of_a_class_that_is_never_predicted() -> None:
    class Masked(Scaled):
        def forward(self, batch: Batch) -> Tensor:
            return super().forward(batch).index_fill(-1, torch.tensor([1]), float("-inf"))

    logs = mc_dropout()(Masked(Bag(TASK), 1.0).eval(), TEST)
    assert (logs[:, 1] == float("-inf")).all()
    assert torch.allclose(logs.exp().sum(-1), torch.ones(len(logs)))


# ── candidates ──────────────────────────────────────────────────────────────────────────────


@torch.inference_mode()
def test_the_candidate_of_the_lowest_cross_entropy_is_argmax(model: nn.Module) -> None:
    meter = Meter()
    logs = candidate_loss(TASK)(meter.watch(model), TEST)
    assert meter.steps == 1
    assert torch.allclose(logs, argmax()(model, TEST), rtol=0, atol=1e-12)


@torch.inference_mode()
@pytest.mark.parametrize(
    "make", [mse, focal, partial(cross_entropy, label_smoothing=0.3)], ids=["mse", "focal", "soft"]
)
def test_the_candidate_of_the_lowest_loss(model: nn.Module, make: Callable[..., Any]) -> None:
    """Against the formula by the real model, a batch for every example and candidate."""
    loss, logs = make(), candidate_loss(TASK, make)(model, TEST)
    for row in range(20):
        example = tensors(TASK.test, row)
        candidates = [replace(example, target=torch.tensor([y])) for y in range(CLASSES)]
        losses = torch.stack([torch.true_divide(*loss(model, each)) for each in candidates])
        assert logs[row].argmax() == losses.argmin()
        assert torch.allclose(logs[row], (-losses).log_softmax(-1), atol=1e-12)


def test_a_loss_may_ask_for_the_task() -> None:
    """One by which only the last label is right, whatever the model says."""

    def make(task: Task) -> Any:
        return lambda model, batch: ((task.classes - 1 - batch.target).sum(), torch.tensor(1))

    logs = candidate_loss(TASK, make)(Bag(TASK).eval(), TEST)
    assert (logs.argmax(-1) == CLASSES - 1).all()


def test_of_equal_labels_the_first_wins() -> None:
    model = Bag(TASK).eval()
    for weight in model.head.parameters():
        nn.init.zeros_(weight)
    for decoder in (argmax(), mc_dropout(), candidate_loss(TASK), candidate_loss(TASK, mse)):
        logs = decoder(model, TEST).detach().numpy()
        assert (logs.argmax(axis=1) == 0).all()
        assert np.allclose(logs, -math.log(CLASSES))


# ── in suites ───────────────────────────────────────────────────────────────────────────────


def test_a_nested_loss_of_a_suite(registry: Registry) -> None:
    def resolved(**options: Any) -> Part:
        return registry.resolve("decoder", Choice("candidate-loss", options))

    def decoded(**options: Any) -> Tensor:
        logs: Tensor = registry.build("decoder", resolved(**options))(TASK)(model, TEST)
        return logs

    model, nested = Bag(TASK).double().eval(), Choice("focal", {"gamma": 3.0})
    assert resolved().options == {"loss": None}
    assert isinstance(resolved(loss=nested).options["loss"], Part)
    assert torch.allclose(decoded(), argmax()(model, TEST), atol=1e-12)
    expected = candidate_loss(TASK, partial(focal, 3.0))(model, TEST)
    assert torch.equal(decoded(loss=nested), expected)
    with pytest.raises(PluginError, match="loss must be a table with a name"):
        resolved(loss="focal")


@pytest.mark.parametrize(
    ("name", "options"), [("prior-corrected", {"strength": -0.1}), ("mc-dropout", {"passes": 0})]
)
def test_options_out_of_bounds(registry: Registry, name: str, options: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match=f"option '{next(iter(options))}'"):
        registry.resolve("decoder", Choice(name, options))


SUITE = """
seeds = 1
training = {{ passes = 30, batch_size = 8 }}
throughput = {{ rounds = 1, steps = 1 }}
task = [{{ name = "files", kind = "classify", train = "{train}" }}]
model = [{{ name = "bag" }}]
optimizer = [{{ name = "adamw" }}]
decoder = [
  {{ name = "argmax" }},
  {{ name = "prior-corrected" }},
  {{ name = "temperature" }},
  {{ name = "mc-dropout", passes = 3 }},
  {{ name = "candidate-loss" }},
  {{ name = "candidate-loss", label = "candidate-mse", loss = {{ name = "mse" }} }},
]
"""


def test_a_trial_with_every_decoder_of_labels(
    tmp_path: Path, registry: Registry, fingerprint: Fingerprint
) -> None:
    """Planned, sent as JSON, run; what each asks of the model, and that all agree where sure."""
    rows = [f"it was {word} , number {n}\t{word}" for n in range(60) for word in ("good", "bad")]
    rows += [f"it was neither , number {n}\tneither" for n in range(20)]
    (tmp_path / "reviews.txt").write_text("\n".join(rows))
    (tmp_path / "labels.toml").write_text(SUITE.format(train=tmp_path / "reviews.txt"))
    suite = load_suite(str(tmp_path / "labels.toml"))
    trials = plan(suite, registry, (), fingerprint)
    record = run_job(trials[0])
    assert record.status == "ok", record.reason
    decoded = {
        each["decoder"]["label"] or each["decoder"]["name"]: each
        for each in record.results["decoding"]
    }
    assert len(decoded) == 6
    assert {name: each["steps"] for name, each in decoded.items() if each["steps"] > 1} == {
        "mc-dropout": 3
    }
    plain, candidate, calibrated = (
        decoded[name]["metrics"] for name in ("argmax", "candidate-loss", "temperature")
    )
    assert plain["accuracy"] == candidate["accuracy"] == calibrated["accuracy"]
    assert candidate["nll"] == pytest.approx(plain["nll"], abs=1e-5)
    assert calibrated["nll"] != pytest.approx(plain["nll"], abs=1e-5)
    (measurement,) = measurements(suite, trials)
    timed = run_job(measurement)
    assert timed.status == "ok", timed.reason
    assert len(timed.results["decoding"]) == 6


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((n, "classify") for n in ("prior-corrected", "temperature", "mc-dropout")),
        ("candidate-loss", "classify"),
        ("viterbi", "tag"),
    ],
)
def test_decoders_of_labels_are_refused_where_texts_are_written(
    name: str, kind: str, write_suite: Callable[..., Path], registry: Registry
) -> None:
    suite = load_suite(str(write_suite(bottom=f'\n[[decoder]]\nname = "{name}"\n')))
    with pytest.raises(SuiteError, match=f"decoder '{name}' works on {kind} tasks"):
        plan(suite, registry, (), lambda part: "data")
