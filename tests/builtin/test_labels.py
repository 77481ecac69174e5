"""Decoders of labels and tags: against their formulas, slow twins, and all sequences of tags."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench import END, IGNORE, PAD, Batch, Split, Task, evaluation_batches, label_scores, tagging
from msbench.builtin.decoders.labels import (
    argmax,
    candidate_loss,
    mc_dropout,
    prior_corrected,
    switched,
    temperature,
)
from msbench.builtin.decoders.viterbi import best_path, transitions, viterbi
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


def tensors(batch: Batch) -> Batch:
    return batch.map(torch.from_numpy)


def make_task(examples: int = 90, noise: float = 0.3) -> Task:
    """The label is in the first token, unless noise has put another one there; two are rare."""
    draw = np.random.default_rng(0)

    def made() -> Split:
        label = draw.choice(CLASSES, examples, p=[0.7, 0.2, 0.1])
        source = draw.integers(7, WORDS, (examples, LONG))
        source[np.arange(LONG) >= draw.integers(2, LONG + 1, examples)[:, None]] = PAD
        shown = np.where(draw.random(examples) < noise, draw.choice(CLASSES, examples), label)
        source[:, 0] = 4 + shown
        return Split(source, label, label.tolist())

    return Task(
        "classify", made(), made(), made(), label_scores, "accuracy", WORDS, CLASSES,
        notes={"labels": ["a", "b", "c"]},
    )  # fmt: skip


def trained(task: Task, model: Any, passes: int = 40) -> TorchLearner:
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

MODELS = {
    "bag": partial(Bag, width=8, dropout=0.3),
    "lstm": partial(LSTM, width=8, dropout=0.3),
    "encoder": partial(Encoder, width=8, heads=2, layers=1, dropout=0.3),
}


@pytest.fixture(scope="module", params=MODELS)
def learner(request: pytest.FixtureRequest) -> TorchLearner:
    return trained(TASK, MODELS[request.param])


@pytest.fixture(scope="module")
def bag() -> TorchLearner:
    return trained(TASK, MODELS["bag"])


def everything(split: Split) -> Batch:
    return tensors(split.batch(np.arange(len(split))))


@torch.inference_mode()
def test_a_prior_is_taken_off_the_logits(learner: TorchLearner) -> None:
    """Menon et al., equation 9: argmax of f_y(x) - tau log pi_y."""
    batch = everything(TASK.test)
    shares = torch.from_numpy(np.bincount(TASK.train.target) / len(TASK.train))
    for strength in (0.5, 1.0, 2.0):
        found = prior_corrected(TASK, strength)(learner.model, batch)
        said = learner.model(batch).softmax(-1) / shares**strength
        assert torch.allclose(found.exp(), said / said.sum(-1, keepdim=True), atol=1e-12)
    assert torch.equal(prior_corrected(TASK, 0.0)(learner.model, batch),
                       argmax()(learner.model, batch))  # fmt: skip


@torch.inference_mode()
def test_a_prior_that_is_even_changes_nothing_and_one_that_is_zero_is_finite(
    bag: TorchLearner,
) -> None:
    batch = everything(TASK.test)
    plain = argmax()(bag.model, batch)
    even = replace(TASK.train, target=np.arange(len(TASK.train)) % CLASSES)
    found = prior_corrected(replace(TASK, train=even))(bag.model, batch)
    assert torch.allclose(found, plain, atol=1e-12)
    lacking = replace(TASK.train, target=np.arange(len(TASK.train)) % 2)
    found = prior_corrected(replace(TASK, train=lacking))(bag.model, batch)
    assert found.isfinite().all()
    once = math.log(len(TASK.train) / 2)  # how much rarer once is
    odds = (found - plain)[:, 2] - (found - plain)[:, 0]
    assert torch.allclose(odds, torch.full_like(odds, once), atol=1e-12)


def test_the_prior_helps_rare_labels(bag: TorchLearner) -> None:
    found = {
        name: decode(bag, decoder, TASK, TASK.test, evaluation_batches(TASK.test, 32))
        for name, decoder in {"plain": argmax(), "corrected": prior_corrected(TASK)}.items()
    }
    scores = {name: each.scores.metrics for name, each in found.items()}
    assert scores["corrected"]["macro_f1"] > scores["plain"]["macro_f1"]


def validation_loss(model: Any, t: float) -> float:
    batch = everything(TASK.validation)
    with torch.inference_mode():
        return float(functional.cross_entropy(model(batch) / t, batch.target))


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_the_temperature_is_the_best_on_validation(learner: TorchLearner, scale: float) -> None:
    """Against a grid, however sure the model is of itself; labels stay."""
    model = Scaled(learner.model, scale).train()
    decoder = temperature(TASK)
    decoder.calibrate(model)
    assert all(module.training for module in model.modules())
    model.eval()
    best = validation_loss(model, decoder.temperature)
    assert best <= validation_loss(model, 1.0)
    grid = np.exp(np.linspace(-math.log(100), math.log(100), 400))
    assert best <= min(validation_loss(model, float(t)) for t in grid)
    for nearby in (0.999, 1.001):
        assert best < validation_loss(model, decoder.temperature * nearby)
    batch = everything(TASK.test)
    with torch.inference_mode():
        found, plain = decoder(model, batch), argmax()(model, batch)
        expected = (model(batch) / decoder.temperature).log_softmax(-1)
    assert torch.allclose(found, expected)
    assert torch.equal(found.argmax(-1), plain.argmax(-1))


class Scaled(nn.Module):
    """A model that is so many times as sure."""

    def __init__(self, model: nn.Module, scale: float):
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, batch: Batch) -> Tensor:
        return self.model(batch) * self.scale


def test_a_temperature_of_one_model_is_none_of_another_scale(bag: TorchLearner) -> None:
    """T scales with the logits, exactly as much: calibrated anew for every model."""
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
    decoder = temperature(TASK)
    decode(learner, decoder, TASK, TASK.test, evaluation_batches(TASK.test, 32))
    assert decoder.temperature > 0


@torch.inference_mode()
def test_mc_dropout_is_the_mean_over_masks(learner: TorchLearner) -> None:
    """The same masks by hand; then the model predicts as before."""
    batch = everything(TASK.test)
    plain = learner.model(batch)
    torch.manual_seed(0)
    meter = Meter()
    found = mc_dropout(passes=5)(meter.watch(learner.model), batch)
    assert meter.steps == 5
    torch.manual_seed(0)
    learner.model.train()
    masked = [learner.model(batch).softmax(-1) for _ in range(5)]
    learner.model.eval()
    assert torch.allclose(found.exp(), torch.stack(masked).mean(0), atol=1e-12)
    assert not torch.allclose(masked[0], masked[1])
    assert torch.equal(learner.model(batch), plain)
    torch.manual_seed(0)
    assert torch.allclose(mc_dropout(passes=1)(learner.model, batch).exp(), masked[0], atol=1e-12)


@torch.inference_mode()
@pytest.mark.parametrize("passes", [1, 3, 8])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_without_dropout_is_argmaxs(name: str, passes: int) -> None:
    torch.manual_seed(0)
    model = MODELS[name](TASK, dropout=0.0).eval()
    batch = everything(TASK.test)
    assert torch.equal(mc_dropout(passes)(model, batch), argmax()(model, batch))


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
    model, batch = Deep(kind).eval(), everything(TASK.test)
    before, plain = model.norm.running_mean.clone(), argmax()(model, batch)  # type: ignore[union-attr]
    found = mc_dropout(passes=2)(model, batch)
    assert not torch.allclose(found, plain, atol=1e-4)
    assert torch.equal(model.norm.running_mean, before)  # type: ignore[arg-type]
    assert not any(module.training for module in model.modules())


def test_modes_come_back_after_an_error() -> None:
    model = Bag(TASK).eval()
    bad = replace(everything(TASK.test), source=torch.tensor([[WORDS + 5]]))
    with pytest.raises(IndexError):
        mc_dropout()(model, bad)
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

    found = mc_dropout()(Masked(Bag(TASK), 1.0).eval(), everything(TASK.test))
    assert (found[:, 1] == float("-inf")).all()
    assert torch.allclose(found.exp().sum(-1), torch.ones(len(found)))


@torch.inference_mode()
def test_the_candidate_of_the_lowest_cross_entropy_is_argmax(learner: TorchLearner) -> None:
    meter, batch = Meter(), everything(TASK.test)
    found = candidate_loss(TASK)(meter.watch(learner.model), batch)
    assert meter.steps == 1
    assert torch.allclose(found, argmax()(learner.model, batch), rtol=0, atol=1e-12)


@torch.inference_mode()
@pytest.mark.parametrize(
    "make", [mse, focal, partial(cross_entropy, label_smoothing=0.3)], ids=["mse", "focal", "soft"]
)
def test_the_candidate_of_the_lowest_loss(learner: TorchLearner, make: Callable[..., Any]) -> None:
    """Against the formula by the real model, a batch for every example and candidate."""
    loss, found = make(), candidate_loss(TASK, make)(learner.model, everything(TASK.test))
    for row in range(20):
        one = tensors(TASK.test.batch(np.array([row])))
        losses = torch.stack([
            torch.true_divide(*loss(learner.model, replace(one, target=torch.tensor([label]))))
            for label in range(CLASSES)
        ])  # fmt: skip
        assert found[row].argmax() == losses.argmin()
        assert torch.allclose(found[row], (-losses).log_softmax(-1), atol=1e-12)


def test_a_loss_may_ask_for_the_task() -> None:
    """One by which only the last label is right, whatever the model says."""

    def made(task: Task) -> Any:
        return lambda model, batch: ((task.classes - 1 - batch.target).sum(), torch.tensor(1))

    found = candidate_loss(TASK, made)(Bag(TASK).eval(), everything(TASK.test))
    assert (found.argmax(-1) == CLASSES - 1).all()


def test_equal_labels_are_the_first_one() -> None:
    model, batch = Bag(TASK).eval(), everything(TASK.test)
    for weight in model.head.parameters():
        nn.init.zeros_(weight)
    for decoder in (argmax(), mc_dropout(), candidate_loss(TASK), candidate_loss(TASK, mse)):
        found = decoder(model, batch).detach().numpy()
        assert (found.argmax(axis=1) == 0).all()
        assert np.allclose(found, -math.log(CLASSES))


def test_a_nested_loss_of_a_suite(registry: Registry) -> None:
    def built(**options: Any) -> Any:
        return registry.build(
            "decoder", registry.resolve("decoder", Choice("candidate-loss", options))
        )

    part = registry.resolve("decoder", Choice("candidate-loss"))
    assert part.options == {"loss": None}
    chosen = registry.resolve("decoder", Choice("candidate-loss", {"loss": Choice("focal")}))
    assert isinstance(chosen.options["loss"], Part)
    model, batch = Bag(TASK).double().eval(), everything(TASK.test)
    found = {
        name: built(**options)(TASK)(model, batch)
        for name, options in {
            "plain": {},
            "focal": {"loss": Choice("focal", {"gamma": 3.0})},
        }.items()
    }
    assert torch.allclose(found["plain"], argmax()(model, batch), atol=1e-12)
    assert torch.equal(found["focal"], candidate_loss(TASK, partial(focal, 3.0))(model, batch))
    with pytest.raises(PluginError, match="loss must be a table with a name"):
        built(loss="focal")


@pytest.mark.parametrize(
    ("name", "options"), [("prior-corrected", {"strength": -0.1}), ("mc-dropout", {"passes": 0})]
)
def test_options_out_of_bounds(registry: Registry, name: str, options: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match=f"option '{next(iter(options))}'"):
        registry.resolve("decoder", Choice(name, options))


SUITE = """
seeds = 1
[training]
passes = 30
batch_size = 8
[throughput]
rounds = 1
steps = 1
[[task]]
name = "files"
kind = "classify"
train = "{train}"
[[model]]
name = "bag"
[[optimizer]]
name = "adamw"
[[decoder]]
name = "argmax"
[[decoder]]
name = "prior-corrected"
[[decoder]]
name = "temperature"
[[decoder]]
name = "mc-dropout"
passes = 3
[[decoder]]
name = "candidate-loss"
[[decoder]]
name = "candidate-loss"
label = "candidate-mse"
loss = {{ name = "mse" }}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    rows = [f"it was {word} , number {n}\t{word}" for n in range(60) for word in ("good", "bad")]
    rows += [f"it was neither , number {n}\tneither" for n in range(20)]
    (tmp_path / "reviews.txt").write_text("\n".join(rows))
    path = tmp_path / "labels.toml"
    path.write_text(SUITE.format(train=tmp_path / "reviews.txt"))
    return path


def test_a_trial_with_every_decoder_of_labels(
    suite: Path, registry: Registry, fingerprint: Fingerprint
) -> None:
    """Planned, sent as JSON, run; what each asks of the model, and that all agree where sure."""
    trials = plan(load_suite(str(suite)), registry, (), fingerprint)
    result = run_job(trials[0])
    assert result.status == "ok", result.reason
    found = {
        each["decoder"]["label"] or each["decoder"]["name"]: each
        for each in result.results["decoding"]
    }
    assert len(found) == 6
    assert {name: each["steps"] for name, each in found.items() if each["steps"] > 1} == {
        "mc-dropout": 3
    }
    plain = found["argmax"]["metrics"]
    for same in ("temperature", "candidate-loss"):
        assert found[same]["metrics"]["accuracy"] == plain["accuracy"]
    assert found["candidate-loss"]["metrics"]["nll"] == pytest.approx(plain["nll"], abs=1e-5)
    assert found["temperature"]["metrics"]["nll"] != pytest.approx(plain["nll"], abs=1e-5)
    (measured,) = measurements(load_suite(str(suite)), trials)
    timed = run_job(measured)
    assert timed.status == "ok", timed.reason
    assert len(timed.results["decoding"]) == 6


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("prior-corrected", "classify"),
        ("temperature", "classify"),
        ("mc-dropout", "classify"),
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


# Tags

NAMES = ["B-x", "B-y", "I-x", "I-y", "O"]
OUT = 4


def keeps_bio(tags: list[str]) -> bool:
    return all(
        tag[:2] != "I-" or before in ("B-" + tag[2:], "I-" + tag[2:])
        for before, tag in zip(["O", *tags], tags, strict=False)
    )


@pytest.mark.parametrize("names", [NAMES, ["O", "B-x", "I-x"], ["I-z", "O", "B-a", "I-a", "B-b"]])
def test_the_best_path_is_the_best_of_all(names: list[str]) -> None:
    """Every sequence of every length up to five, scored one by one."""
    torch.manual_seed(0)
    rules, out = transitions(names), names.index("O")
    for length in range(1, 6):
        every = [s for s in product(range(len(names)), repeat=length)
                 if keeps_bio([names[t] for t in s])]  # fmt: skip
        scores = (3 * torch.randn(20, length, len(names)).double()).log_softmax(-1)
        sums = scores[:, torch.arange(length), torch.tensor(every)].sum(-1)
        expected = torch.tensor(every)[sums.argmax(-1)]
        assert torch.equal(best_path(scores, rules, out), expected)


def test_of_equal_paths_the_first_label_wins() -> None:
    found = best_path(torch.zeros(2, 4, 5).double(), transitions(NAMES), OUT)
    assert found.tolist() == [[0, 0, 0, 0]] * 2
    # I-y, as likely as O, is above the rest, and only B-y can be before it.
    scores = torch.full((1, 2, 5), -9.0).double()
    scores[0, 0, [1, 4]] = 0.0
    scores[0, 1, [3, 4]] = 0.0
    assert best_path(scores, transitions(NAMES), OUT).tolist() == [[1, 3]]


def make_tags(examples: int = 40) -> Task:
    """Words of one to three letters, of which two name things that go on; texts of many lengths."""
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(examples):
        words, tags = [], []
        for _ in range(draw.integers(1, 6)):
            kind = draw.choice(["x", "y", ""])
            size = draw.integers(1, 4) if kind else 1
            words += [
                "".join(draw.choice(list("abcdef"), draw.integers(1, 4))) for _ in range(size)
            ]
            tags += [f"{'I' if i else 'B'}-{kind}" if kind else "O" for i in range(size)]
        rows.append((words, tags))
    splits = {"train": rows, "validation": rows, "test": rows}
    return tagging(splits, max_length=9, vocabulary=12)


class Random(nn.Module):
    """Logits that depend on nothing but the token, its place and its left neighbour."""

    def __init__(self, task: Task, scale: float = 2.0):
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        shape = task.vocabulary, 40, task.classes
        self.table = scale * torch.randn(shape, generator=draw, dtype=torch.float64)

    def forward(self, batch: Batch) -> Tensor:
        return self.table[batch.source, torch.arange(batch.source.shape[1])]


def told(tags: Tensor | list[list[int]], task: Task) -> list[list[str]]:
    """The sequences of tags that are scored."""
    labels = task.notes["labels"]
    return [
        [labels[ids[place]] if place >= 0 else "O" for place in places]
        for ids, (places, _) in zip(tags, task.test.references, strict=True)  # type: ignore[arg-type]
    ]


def test_words_are_where_the_references_have_them() -> None:
    task = make_tags()
    assert task.test.words is not None
    assert any(-1 in places for places, _ in task.test.references), "some are cut"
    for size in (1, 7, 40):
        for batch in evaluation_batches(task.test, size):
            longest = max(len([p for p in places if p >= 0]) for places, _ in batch.references)
            assert batch.words.shape == (len(batch.rows), longest)
            for row, (places, _) in zip(batch.words.tolist(), batch.references, strict=True):
                assert [p for p in row if p >= 0] == [p for p in places if p >= 0]
            part = batch.shard(0, 2) if size > 1 else batch
            assert len(part.words) == len(part.rows)
    batch = tensors(task.test.batch(np.arange(3)))
    assert isinstance(batch.words, Tensor)
    starts = batch.target.gather(1, batch.words.clamp(min=0))
    assert ((starts != IGNORE) | (batch.words < 0)).all()
    assert (batch.target != IGNORE).sum() == (batch.words >= 0).sum(), "tags only where words begin"
    assert TASK.test.batch(np.arange(3)).words is None


def test_words_are_no_part_of_the_fingerprint() -> None:
    task = make_tags()
    without = {name: replace(split, words=None) for name, split in task.splits.items()}
    assert replace(task, **without).fingerprint() == task.fingerprint()


def test_viterbi_is_the_best_of_all_sequences() -> None:
    """From logits and text to tags, example by example, in one batch, padded, and alone."""
    task, batch = make_tags(), everything(make_tags().test)
    model, labels = Random(task), task.notes["labels"]
    decoder = viterbi(task)
    found = decoder(model, batch)
    assert found.shape == batch.source.shape
    logs = model(batch).log_softmax(-1)
    for row, places in enumerate(batch.words.tolist()):
        used = [place for place in places if place >= 0][:6]
        if len(used) < len([place for place in places if place >= 0]):
            continue  # too many to try
        every = [s for s in product(range(len(labels)), repeat=len(used))
                 if keeps_bio([labels[t] for t in s])]  # fmt: skip
        sums = logs[row, used][torch.arange(len(used)), torch.tensor(every)].sum(-1)
        assert found[row, used].tolist() == list(every[int(sums.argmax())])
    wide = replace(
        batch,
        source=functional.pad(batch.source, (0, 4), value=PAD),
        words=functional.pad(batch.words, (0, 3), value=-1),
    )
    assert torch.equal(decoder(model, wide)[:, : found.shape[1]], found)
    for row in range(len(task.test)):
        one = tensors(task.test.batch(np.array([row])))
        assert torch.equal(decoder(model, one)[0], found[row, : one.source.shape[1]])
    assert all(keeps_bio(tags) for tags in told(found, task))
    plain = told(argmax()(model, batch), task)
    assert not all(keeps_bio(tags) for tags in plain), "or nothing was tested"


def test_viterbi_leaves_what_keeps_bio_alone() -> None:
    task = make_tags(200)
    batch = everything(task.test)
    for scale in (2.0, 0.1):
        model = Random(task, scale)
        plain = told(argmax()(model, batch), task)
        kept = [keeps_bio(tags) for tags in plain]
        assert 5 < sum(kept) < len(kept)
        found = told(viterbi(task)(model, batch), task)
        assert [f for f, k in zip(found, kept, strict=True) if k] == [
            p for p, k in zip(plain, kept, strict=True) if k
        ]


def test_a_word_that_has_no_token_is_outside() -> None:
    """In the middle of a text, too: nothing goes on behind it."""
    task = make_tags()
    labels = task.notes["labels"]
    batch = tensors(task.test.batch(np.array([0])))
    source = torch.tensor([[4, 5, END]])
    batch = replace(batch, source=source, words=torch.tensor([[0, -1, 1]]))

    def model(batch: Batch) -> Tensor:
        logits = torch.zeros(1, 3, len(labels))
        logits[0, 0, labels.index("B-x")] = 9.0
        logits[0, 1, labels.index("I-x")] = 9.0
        return logits

    assert viterbi(task)(model, batch)[0, 1] != labels.index("I-x")
    batch = replace(batch, words=torch.tensor([[0, 1]]))
    assert viterbi(task)(model, batch)[0, 1] == labels.index("I-x")


def test_viterbi_needs_names_and_words() -> None:
    task = make_tags()
    for notes in ({}, {"labels": ["B-x", "I-x"]}, {"labels": ["x"] * task.classes}):
        with pytest.raises(MsbenchError, match="needs the names of all tags, O among them"):
            viterbi(replace(task, notes=notes))
    bare = replace(tensors(task.test.batch(np.arange(2))), words=None)
    with pytest.raises(MsbenchError, match="needs to know where words begin"):
        viterbi(task)(Random(task), bare)


@pytest.mark.parametrize("name", ["lstm", "encoder"])
def test_viterbi_on_real_requests(registry: Registry, name: str) -> None:
    task = registry.build("task", registry.resolve("task", Choice("request-roles")))()
    learner = trained(task, MODELS[name], 5)
    batches = evaluation_batches(task.test, 64)
    found = decode(learner, viterbi(task), task, task.test, batches).scores.metrics
    assert 0 <= found["span_f1"] <= 1
    tags: dict[int, list[int]] = {}
    for batch in batches:
        said = learner.predict(batch, viterbi(task))
        tags |= dict(zip(batch.rows.tolist(), said, strict=True))
    sequences = told([tags[row] for row in range(len(task.test))], task)
    assert all(keeps_bio(each) for each in sequences)
