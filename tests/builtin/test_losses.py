"""Every loss against a slow twin, an exact identity, or the exact gradient of what it estimates."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.nn import functional

from msbench import (
    BEGIN,
    END,
    IGNORE,
    PAD,
    Batch,
    MsbenchError,
    Scores,
    Split,
    Task,
    classification,
    language_modelling,
    tagging,
)
from msbench.builtin.generation import draw, greedy
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses import sequence as sequence_losses
from msbench.builtin.losses.pointwise import cross_entropy, focal, mse, r_drop
from msbench.builtin.losses.sequence import (
    candidates,
    expected_risk,
    judge_by,
    minimum_risk,
    reinforced,
    self_critical,
)
from msbench.builtin.models.causal import CausalLM
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.scoring import answered, log_probabilities, right_outputs
from msbench.builtin.tasks.mixture import mixture
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.builtin.tasks.stories import stories_qa
from msbench.plugins.registry import Registry

UNIT_LOSSES: dict[str, Any] = {
    "cross-entropy": cross_entropy,
    "smoothed": partial(cross_entropy, label_smoothing=0.1),
    "mse": mse,
    "focal": focal,
    "r-drop": r_drop,
}
SEQUENCE_LOSSES: dict[str, Any] = {
    "self-critical": partial(self_critical, samples=3, mix=0.3),
    "minimum-risk": partial(minimum_risk, samples=3, mix=0.3, reference=True),
}
MODELS: dict[str, Any] = {
    "classify": Encoder,
    "tag": Encoder,
    "seq2seq": EncoderDecoder,
    "lm": CausalLM,
}


@cache
def make_task(kind: str) -> Task:
    """Something small of that kind that can be learned."""
    splits = ("train", "validation", "test")
    words = [f"{a} {b} {c}" for a, b, c in product("abcd", "efgh", "ijk")]
    if kind == "classify":
        return classification(
            {name: [(text, text[0]) for text in words] for name in splits},
            max_length=8,
            vocabulary=40,
        )
    if kind == "tag":
        tagged = [(text.split(), ["O", "B-x" if "f" in text else "B-y", "O"]) for text in words]
        return tagging(dict.fromkeys(splits, tagged), max_length=8, vocabulary=40)
    if kind == "lm":
        texts = [f"{word} {word} {word}"[: 9 + n % 8] for n, word in enumerate(words)]
        return language_modelling(dict.fromkeys(splits, texts), block=24, prompt=6, vocabulary=280)
    return numbers_fr(below=200, examples=200)


def made(kind: str, dropout: float = 0.0) -> tuple[Any, Batch]:
    """A model in double precision that trains, away from uniform predictions, and a batch."""
    task = make_task(kind)
    torch.manual_seed(0)
    model = MODELS[kind](task, width=16, layers=1, heads=2, dropout=dropout).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.3)
    return model, task.train.batch(np.arange(7)).map(torch.from_numpy)


def build(loss: Any, kind: str) -> Any:
    """As the learner does."""
    bare = loss.func if isinstance(loss, partial) else loss
    return loss(make_task(kind)) if bare in (self_critical, minimum_risk) else loss()


def gradients(model: nn.Module, total: Tensor) -> list[Tensor]:
    model.zero_grad()
    total.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


# ── one unit at a time ──────────────────────────────────────────────────────────────────────


def units(model: Any, batch: Batch) -> Iterator[tuple[Tensor, int]]:
    """(logits, right class) of every unit that counts, one by one."""
    for logits, target in zip(
        model(batch).flatten(0, -2), batch.target.flatten().tolist(), strict=True
    ):
        if target != IGNORE:
            yield logits, target


def smoothed_twin(logits: Tensor, right: int) -> Tensor:
    logs = logits.log_softmax(-1)
    return -0.9 * logs[right] - 0.1 * logs.mean()


def mse_twin(logits: Tensor, right: int) -> Tensor:
    one_hot = functional.one_hot(torch.tensor(right), len(logits))
    return ((logits.softmax(-1) - one_hot) ** 2).sum()


def focal_twin(logits: Tensor, right: int) -> Tensor:
    p = logits.softmax(-1)[right]
    return -((1 - p) ** 2) * p.log()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("name", "twin"), [("smoothed", smoothed_twin), ("mse", mse_twin), ("focal", focal_twin)]
)
def test_a_loss_is_the_sum_over_units_of_its_slow_twin(kind: str, name: str, twin: Any) -> None:
    model, batch = made(kind)
    total, count = build(UNIT_LOSSES[name], kind)(model, batch)
    slow = torch.stack([twin(*unit) for unit in units(model, batch)])
    assert count == len(slow)
    assert torch.isclose(total, slow.sum(), rtol=1e-12)


@pytest.mark.parametrize("kind", MODELS)
def test_identities(kind: str) -> None:
    """Focal loss without focus, labels not smoothed, and R-Drop without dropout."""
    model, batch = made(kind)
    expected, count = cross_entropy()(model, batch)
    for loss in (focal(gamma=0.0), cross_entropy(label_smoothing=0.0), r_drop(alpha=3.0)):
        total, number = loss(model, batch)
        assert torch.isclose(total, expected, rtol=1e-14)
        assert number == count
        pairs = zip(gradients(model, total), gradients(model, expected), strict=True)
        assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in pairs)
        expected, _ = cross_entropy()(model, batch)


def test_focal_has_a_slope_where_the_model_is_sure() -> None:
    """The power of zero below 1 would be a slope without end, and 0 times that no number."""
    logits = torch.tensor([[0.0, 200.0], [0.0, 20.0]], requires_grad=True)
    batch = Batch(None, None, torch.tensor([1, 1]), np.arange(2), 0)
    total, _ = focal(gamma=0.5)(lambda batch: logits, batch)
    total.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_r_drop_is_two_cross_entropies_and_how_far_they_are_apart() -> None:
    model, batch = made("seq2seq", dropout=0.4)
    torch.manual_seed(3)
    total, count = r_drop(alpha=0.7)(model, batch)
    torch.manual_seed(3)
    first, second = (
        torch.stack([logits.log_softmax(-1) for logits, _ in units(model, batch)]) for _ in range(2)
    )
    target = torch.tensor([right for _, right in units(model, batch)])
    lost = [functional.nll_loss(each, target, reduction="sum") for each in (first, second)]
    apart = [
        functional.kl_div(a, b, reduction="sum", log_target=True)
        for a, b in ((first, second), (second, first))
    ]
    assert torch.isclose(total, sum(lost) / 2 + 0.7 * sum(apart) / 2)
    assert count == len(target)
    model.eval()
    assert r_drop()(model, batch) == cross_entropy()(model, batch)


# ── sums over examples ──────────────────────────────────────────────────────────────────────


def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example has its own draws, whatever batch it is in."""
    seen: dict[int, int] = {}

    def draw(model: Any, batch: Batch, temperature: float) -> list[list[int]]:
        seen.clear()
        return [some(int(row)) for row in batch.rows]

    def some(row: int) -> list[int]:
        seen[row] = seen.get(row, 0) + 1
        random = np.random.default_rng([row, seen[row]])
        return [int(t) for t in random.integers(4, 40, random.integers(4))]

    monkeypatch.setattr(sequence_losses, "draw", draw)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "kind"),
    [*product(UNIT_LOSSES, MODELS), *product(SEQUENCE_LOSSES, ("seq2seq", "lm"))],
)
def test_shards_add_up(
    name: str, kind: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss, count and gradient of a batch are the sums over its parts."""
    scripted(monkeypatch)
    model, batch = made(kind)
    model.train(training)
    loss = build({**UNIT_LOSSES, **SEQUENCE_LOSSES}[name], kind)
    total, count = loss(model, batch)
    parts = [loss(model, batch.shard(index, 3)) for index in range(3)]
    assert torch.isclose(total, sum(part for part, _ in parts), rtol=1e-12)
    assert count == sum(number for _, number in parts)
    if total.requires_grad:
        whole = gradients(model, total)
        added = gradients(model, sum(part for part, _ in parts))
        for a, b in zip(whole, added, strict=True):
            assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)


# ── a model small enough to list all that it can say ────────────────────────────────────────

SIZE, LIMIT = 6, 2
OUTPUTS = [(), *((t,) for t in (3, 4, 5)), *product((3, 4, 5), repeat=2)]
"""END at once, one token and END, or two tokens, which is all there is room for."""


class Speaker(nn.Module):
    """Logits by place and token before; it reads no source."""

    max_length = LIMIT

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.table = nn.Parameter(torch.randn(LIMIT, SIZE, SIZE).double())

    def forward(self, batch: Batch) -> Tensor:
        return self.table[torch.arange(batch.input.shape[1]), batch.input]

    def start(self, batch: Batch) -> "Spoken":
        return Spoken(0)

    def step(self, state: "Spoken", tokens: Tensor) -> tuple[Tensor, "Spoken"]:
        return self.table[state.place, tokens], Spoken(state.place + 1)


@dataclass(frozen=True)
class Spoken:
    place: int

    def select(self, rows: Tensor) -> "Spoken":
        return self


def worth(output: Sequence[int]) -> float:
    """A reward without any pattern."""
    return math.sin(sum((5 + place) * token for place, token in enumerate(output))) ** 2


def speaker_task(examples: int) -> Task:
    def score(predictions: Sequence[Any], references: Sequence[Any]) -> Scores:
        return Scores({}, {"worth": [worth(p) for p in predictions]})

    source = np.full((examples, 1), END)
    target = np.tile([4, END], (examples, 1))
    split = Split(source, target, [0] * examples, np.tile([BEGIN, 4], (examples, 1)))
    return Task("seq2seq", split, split, split, score, "worth", SIZE)


def exact_log(model: Speaker, output: Sequence[int], temperature: float = 1.0) -> Tensor:
    """The log-probability of an output, token by token."""
    total, before = torch.zeros(()).double(), BEGIN
    for place, token in enumerate([*output, END][:LIMIT]):
        logits = model.table[place, before] / temperature
        allowed = [END, 3, 4, 5]
        total = total + logits[allowed].log_softmax(0)[allowed.index(token)]
        before = token
    return total


def whole(task: Task) -> Batch:
    return task.train.batch(np.arange(len(task.train))).map(torch.from_numpy)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_are_as_likely_as_the_model_says(temperature: float) -> None:
    model, batch = Speaker(), whole(speaker_task(5000))
    torch.manual_seed(0)
    found = [tuple(each) for each in draw(model, batch, temperature)]
    shares = torch.stack([exact_log(model, each, temperature) for each in OUTPUTS]).exp().detach()
    assert shares.sum() == pytest.approx(1.0)
    seen = np.array([found.count(each) for each in OUTPUTS])
    assert seen.sum() == 5000, "an output that cannot be"
    assert chisquare(seen, 5000 * shares.numpy() / float(shares.sum())).pvalue > 0.01


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_log_probabilities_are_those_of_what_is_drawn(temperature: float) -> None:
    model, batch = Speaker(), whole(speaker_task(len(OUTPUTS)))
    found = log_probabilities(model, batch, OUTPUTS, temperature)
    exact = torch.stack([exact_log(model, each, temperature) for each in OUTPUTS])
    assert torch.allclose(found, exact, atol=1e-12)


@pytest.mark.parametrize("kind", ["seq2seq", "lm"])
def test_log_probabilities_agree_with_the_cache(kind: str) -> None:
    """Prompts of unequal length, outputs cut at the limit, and empty ones."""
    model, batch = made(kind)
    torch.manual_seed(0)
    with sequence_losses.predicting(model):
        outputs = draw(model, batch)
        outputs[0], outputs[1] = [], [5] * model.max_length
        found = log_probabilities(model, batch, outputs)
        state, tokens = model.start(batch), torch.full((len(outputs),), BEGIN)
        slow = torch.zeros(len(outputs)).double()
        for place in range(model.max_length):
            logits, state = model.step(state, tokens)
            logits[:, [PAD, BEGIN]] = -math.inf
            tokens = torch.tensor([[*o, END, *[3] * place][place] for o in outputs])
            counts = torch.tensor([place <= len(o) for o in outputs])
            slow += logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0] * counts
    assert torch.allclose(found, slow, atol=1e-10)


@pytest.mark.parametrize("kind", ["seq2seq", "lm"])
def test_the_right_outputs_in_place_of_the_right_outputs(kind: str) -> None:
    """For `lm`, the prompt is no longer a target, and the end of a block that is no end is END."""
    model, batch = made(kind)
    again = answered(batch, right_outputs(batch, model.max_length), model.max_length)
    width = again.input.shape[1]
    assert torch.equal(again.input, batch.input[:, :width])
    counted = (again.target != IGNORE) & (batch.target[:, :width] != IGNORE)
    assert torch.equal(again.target[counted], batch.target[:, :width][counted])
    assert (counted.sum(1) >= 1).all()
    if kind == "seq2seq":
        assert torch.equal(again.target, batch.target)


def test_self_critical_estimates_the_policy_gradient() -> None:
    """Its mean over many draws is the gradient of the expected reward, to their standard error."""
    for temperature in (1.0, 0.5):
        model, task = Speaker(), speaker_task(500)
        loss = self_critical(task, reward="worth", samples=2, temperature=temperature)
        torch.manual_seed(1)
        drawn = []
        for _ in range(40):
            total, count = loss(model, whole(task))
            drawn.append(gradients(model, total / count)[0])
        expected = -sum(exact_log(model, o, temperature).exp() * worth(o) for o in OUTPUTS)
        (exact,) = gradients(model, expected)
        error = torch.stack(drawn).std(0) / 40**0.5
        off = (torch.stack(drawn).mean(0) - exact).abs()
        assert (off <= 4.5 * error + 1e-15).all()
        assert (off < exact.abs() / 4)[exact.abs() > exact.abs().max() / 2].all()


def fixed(monkeypatch: pytest.MonkeyPatch, drawn: list[tuple[int, ...]]) -> None:
    monkeypatch.setattr(sequence_losses, "draw", lambda *_: [list(each) for each in drawn])


DRAWN = [(4,), (), (4,), (3, 5), (3, 3), (3, 3), (3, 3), (3, 3)]
"""Four outputs for each of two examples, some of them twice, some empty."""


def test_self_critical_agrees_with_its_slow_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed(monkeypatch, DRAWN)
    model, task = Speaker(), speaker_task(2)
    total, count = self_critical(task, reward="worth", samples=4)(model, whole(task))
    found = gradients(model, total)
    best = worth(greedy()(model, whole(task))[0])
    slow = sum(-(worth(each) - best) * exact_log(model, each) for each in DRAWN) / 4
    assert count == 2
    assert torch.isclose(total, slow, rtol=1e-12)
    assert torch.allclose(found[0], gradients(model, slow)[0], atol=1e-12)


@pytest.mark.parametrize("reference", [False, True])
def test_minimum_risk_agrees_with_its_slow_twin(
    reference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed(monkeypatch, DRAWN)
    model, task = Speaker(), speaker_task(2)
    loss = minimum_risk(task, reward="worth", samples=4, alpha=0.3, reference=reference)
    total, count = loss(model, whole(task))
    found = gradients(model, total)
    slow = torch.zeros(()).double()
    for group in (DRAWN[:4], DRAWN[4:]):
        distinct = sorted({*group, *([(4,)] if reference else [])})
        weights = [exact_log(model, each).exp() ** 0.3 for each in distinct]
        risks = [weight * (1 - worth(e)) for weight, e in zip(weights, distinct, strict=True)]
        slow = slow + sum(risks) / sum(weights)
    assert count == 2
    assert torch.isclose(total, slow, rtol=1e-12)
    assert torch.allclose(found[0], gradients(model, slow)[0], atol=1e-12)


def test_the_pure_parts() -> None:
    logs = torch.tensor([[-1.0, -2.0], [-3.0, -math.inf]]).double().requires_grad_()
    rewards = torch.tensor([[0.2, 0.9], [0.4, 0.0]]).double()
    p = 1 / (1 + math.exp(-0.5))
    risks = expected_risk(logs, rewards, alpha=0.5)
    assert risks.tolist() == pytest.approx([p * 0.8 + (1 - p) * 0.1, 0.6])
    risks.sum().backward()
    assert logs.grad is not None
    assert logs.grad.isfinite().all()
    moved = reinforced(
        torch.tensor([[-1.0, -2.0]]), torch.tensor([[0.2, 0.9]]), torch.tensor([0.5])
    )
    assert moved.tolist() == pytest.approx([-(-0.3 * -1.0 + 0.4 * -2.0) / 2])
    assert candidates([[4], [], [4], [5]], 2, None) == [[(4,), ()], [(4,), (5,)]]
    assert candidates([[4], [4]], 1, [[4], [6, 7]]) == [[(4,)], [(4,), (6, 7)]]


@pytest.mark.parametrize("make", [self_critical, partial(minimum_risk, samples=4)])
@pytest.mark.parametrize("kind", ["seq2seq", "lm"])
def test_nothing_is_learned_from_a_constant_reward(make: Any, kind: str) -> None:
    model, batch = made(kind)
    torch.manual_seed(0)
    total, _ = make(make_task(kind), reward="constant")(model, batch)
    assert all(not gradient.any() for gradient in gradients(model, total))
    total, _ = make(make_task(kind), reward="chrf")(model, batch)
    assert any(gradient.any() for gradient in gradients(model, total))


# ── rewards, modes, and whole steps ─────────────────────────────────────────────────────────


def test_rewards_are_what_the_test_is_scored_by() -> None:
    task = make_task("seq2seq")
    batch = whole(task)
    outputs = right_outputs(batch, 99)
    outputs[0], outputs[1] = [], outputs[2]
    for reward in ("chrf", "bleu", "exact"):
        scores = task.score(outputs, task.train.references).examples[reward]
        found = judge_by(task, reward)(batch, outputs)
        scale = 1 if reward == "exact" else 100
        assert found == pytest.approx([score / scale for score in scores])
        assert max(found) == pytest.approx(1.0)
    assert judge_by(task, "constant")(batch, outputs) == [1.0] * len(outputs)


def test_less_of_what_is_bad_is_a_reward() -> None:
    task = make_task("lm")
    batch = task.train.batch(np.arange(2)).map(torch.from_numpy)
    words = [t for t in task.train.target[0].tolist() if t > 3]
    judge = judge_by(task, "repetition")
    once, often = judge(batch, [words[:1], words * 4])
    assert once == 1.0
    assert often < 1.0


def test_an_unknown_reward_names_the_known_ones() -> None:
    with pytest.raises(MsbenchError, match=r"by 'rougeL'; rewards are: bleu, chrf, exact, const"):
        self_critical(make_task("seq2seq"), reward="rougeL")
    with pytest.raises(MsbenchError, match="by 'chrf'; rewards are: exact, f1, constant"):
        minimum_risk(stories_qa(examples=300))


def test_a_mixture_rewards_batches_of_one_of_its_tasks() -> None:
    numbers = partial(numbers_fr, below=200, examples=200)
    task = mixture({"numbers": numbers, "stories": partial(stories_qa, examples=300)}, limit=50)
    batch = task.train.batch(np.arange(5)).map(torch.from_numpy)
    assert {name for name, _ in batch.references} == {"numbers"}
    assert judge_by(task, "mean")(batch, [[]] * 5) == [0.0] * 5


@pytest.mark.parametrize("name", SEQUENCE_LOSSES)
def test_validation_is_the_risk_of_greedy_output(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a draw, so twice the same; and the mode stays as it was, whatever happens."""
    model, batch = made("seq2seq", dropout=0.5)
    loss = build(SEQUENCE_LOSSES[name], "seq2seq")
    loss(model, batch)
    assert model.training
    with monkeypatch.context() as patch:
        patch.setattr(sequence_losses, "draw", lambda model, *_: 1 / model.training)
        with pytest.raises(ZeroDivisionError):
            loss(model, batch)
    assert model.training
    model.eval()
    state = torch.random.get_rng_state()
    total, count = loss(model, batch)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not model.training
    rewards = make_task("seq2seq").score(greedy()(model, batch), batch.references).examples["chrf"]
    assert float(total) == pytest.approx(sum(1 - reward / 100 for reward in rewards))
    assert count == 7


@pytest.mark.parametrize("name", SEQUENCE_LOSSES)
@pytest.mark.parametrize("kind", ["seq2seq", "lm"])
def test_empty_outputs_are_no_trouble(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = made(kind)
    monkeypatch.setattr(sequence_losses, "draw", lambda model, batch, *_: [[] for _ in batch.rows])
    total, _ = build(SEQUENCE_LOSSES[name], kind)(model, batch)
    assert total.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients(model, total))


def learner_of(kind: str, loss: Any, accumulate: int = 1) -> TorchLearner:
    return TorchLearner(
        make_task(kind),
        model=partial(MODELS[kind], width=16, layers=1, heads=2, dropout=0.0),
        loss=loss,
        optimizer=partial(adamw, lr=0.01),
        seed=0,
        accumulate=accumulate,
    )


def steps(learner: TorchLearner, number: int) -> tuple[float, float]:
    """Validation loss before and after so many steps on one batch."""
    batch = learner.task.train.batch(np.arange(16))
    held = []
    for size in (0, number):
        learner.mode(training=True)
        for _ in range(size):
            assert math.isfinite(float(learner.train_step(batch).loss))
        learner.mode(training=False)
        held.append(learner.validate([batch]))
    return held[0], held[1]


@pytest.mark.parametrize(("name", "kind"), [*product(UNIT_LOSSES, MODELS)])
def test_a_loss_falls(name: str, kind: str) -> None:
    before, after = steps(learner_of(kind, UNIT_LOSSES[name]), 20)
    assert after < 0.95 * before


@pytest.mark.parametrize(("name", "kind"), [*product(SEQUENCE_LOSSES, ("seq2seq", "lm"))])
def test_risk_falls_after_cross_entropy(name: str, kind: str) -> None:
    learner = learner_of(kind, cross_entropy, accumulate=2)
    first, then = {"seq2seq": (15, 100), "lm": (60, 20)}[kind]
    steps(learner, first)  # until what it says is worth comparing
    learner.begin(partial(SEQUENCE_LOSSES[name], samples=16, mix=0.0), partial(adamw, lr=1e-3))
    before, after = steps(learner, then)
    assert 0 <= after < before <= 1


def test_all_losses_are_here(registry: Registry) -> None:
    """And each is tried above on all the kinds it says it fits."""
    entries = [entry for entry in registry.of("loss") if entry.plugin == "msbench"]
    tried = {**UNIT_LOSSES, **SEQUENCE_LOSSES}
    assert {entry.name for entry in entries} == {*tried} - {"smoothed"}
    for entry in entries:
        loss = tried[entry.name]
        assert entry.load() is (loss.func if isinstance(loss, partial) else loss)
        assert list(entry.fits) == (["seq2seq", "lm"] if entry.name in SEQUENCE_LOSSES else [])
        assert "task" not in entry.options()
