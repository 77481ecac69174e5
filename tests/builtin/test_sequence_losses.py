"""Losses of whole outputs: slow twins, exact gradients of what they estimate, and their rewards."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from small_models import tensors
from test_losses import (
    SEQUENCE_LOSSES,
    assert_close,
    build,
    gradients,
    make_task,
    model_and_batch,
)
from torch import Tensor, nn

from msbench import BEGIN, END, IGNORE, PAD, Batch, MsbenchError, Scores, Split, Task
from msbench.builtin.generation import Sample, greedy
from msbench.builtin.losses import sequence
from msbench.builtin.losses.sequence import (
    candidates,
    expected_risk,
    judge_by,
    minimum_risk,
    predicting,
    reinforced,
    self_critical,
)
from msbench.builtin.scoring import answered, log_probabilities, reference_outputs
from msbench.builtin.tasks.mixture import mixture
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.builtin.tasks.stories import stories_qa

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


def exact_logs(model: Speaker, temperature: float) -> Tensor:
    """The log-probabilities of all OUTPUTS."""
    return torch.stack([exact_log(model, output, temperature) for output in OUTPUTS])


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_are_as_likely_as_the_model_says(temperature: float) -> None:
    model, batch = Speaker(), tensors(speaker_task(5000).train)
    torch.manual_seed(0)
    drawn = [tuple(output) for output in Sample(temperature)(model, batch)]
    shares = exact_logs(model, temperature).exp().detach()
    assert shares.sum() == pytest.approx(1.0)
    seen = np.array([drawn.count(output) for output in OUTPUTS])
    assert seen.sum() == 5000, "an output that cannot be"
    assert chisquare(seen, 5000 * shares.numpy() / float(shares.sum())).pvalue > 0.01


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_log_probabilities_are_those_of_what_is_drawn(temperature: float) -> None:
    model, batch = Speaker(), tensors(speaker_task(len(OUTPUTS)).train)
    logs = log_probabilities(model, batch, OUTPUTS, temperature)
    assert torch.allclose(logs, exact_logs(model, temperature), atol=1e-12)


@pytest.mark.parametrize("kind", ["seq2seq", "lm"])
def test_log_probabilities_agree_with_the_cache(kind: str) -> None:
    """Prompts of unequal length, outputs cut at the limit, and empty ones."""
    model, batch = model_and_batch(kind)
    torch.manual_seed(0)
    with predicting(model):
        outputs = Sample()(model, batch)
        outputs[0], outputs[1] = [], [5] * model.max_length
        logs = log_probabilities(model, batch, outputs)
        state, tokens = model.start(batch), torch.full((len(outputs),), BEGIN)
        slow = torch.zeros(len(outputs)).double()
        for place in range(model.max_length):
            logits, state = model.step(state, tokens)
            logits[:, [PAD, BEGIN]] = -math.inf
            tokens = torch.tensor([[*o, END, *[3] * place][place] for o in outputs])
            counts = torch.tensor([place <= len(o) for o in outputs])
            slow += logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0] * counts
    assert torch.allclose(logs, slow, atol=1e-10)


@pytest.mark.parametrize("kind", ["seq2seq", "lm"])
def test_references_as_outputs_change_no_target(kind: str) -> None:
    """But for `lm` the prompt is no longer a target, and the end of a block becomes END."""
    model, batch = model_and_batch(kind)
    again = answered(batch, reference_outputs(batch, model.max_length), model.max_length)
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
            total, count = loss(model, tensors(task.train))
            drawn.append(gradients(model, total / count)[0])
        rewards = torch.tensor([worth(output) for output in OUTPUTS]).double()
        (exact,) = gradients(model, -(exact_logs(model, temperature).exp() * rewards).sum())
        error = torch.stack(drawn).std(0) / 40**0.5
        off = (torch.stack(drawn).mean(0) - exact).abs()
        assert (off <= 4.5 * error + 1e-15).all()
        assert (off < exact.abs() / 4)[exact.abs() > exact.abs().max() / 2].all()


def scripted(monkeypatch: pytest.MonkeyPatch, draw: Any) -> None:
    """Let sequence losses draw `draw(model, batch)`."""
    monkeypatch.setattr(sequence, "Sample", lambda temperature: draw)


DRAWN = [(4,), (), (4,), (3, 5), (3, 3), (3, 3), (3, 3), (3, 3)]
"""Four outputs for each of two examples, some of them twice, some empty."""


def test_self_critical_agrees_with_its_slow_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, lambda model, batch: [list(each) for each in DRAWN])
    model, task = Speaker(), speaker_task(2)
    total, count = self_critical(task, reward="worth", samples=4)(model, tensors(task.train))
    best = worth(greedy()(model, tensors(task.train))[0])
    slow = sum(-(worth(output) - best) * exact_log(model, output) for output in DRAWN) / 4
    assert count == 2
    assert torch.isclose(total, slow, rtol=1e-12)
    assert_close(gradients(model, total), gradients(model, slow), atol=1e-12)


@pytest.mark.parametrize("reference", [False, True])
def test_minimum_risk_agrees_with_its_slow_twin(
    reference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, lambda model, batch: [list(each) for each in DRAWN])
    model, task = Speaker(), speaker_task(2)
    loss = minimum_risk(task, reward="worth", samples=4, alpha=0.3, reference=reference)
    total, count = loss(model, tensors(task.train))
    slow = torch.zeros(()).double()
    for group in (DRAWN[:4], DRAWN[4:]):
        distinct = sorted({*group, *([(4,)] if reference else [])})
        weights = [exact_log(model, each).exp() ** 0.3 for each in distinct]
        risks = [weight * (1 - worth(e)) for weight, e in zip(weights, distinct, strict=True)]
        slow = slow + sum(risks) / sum(weights)
    assert count == 2
    assert torch.isclose(total, slow, rtol=1e-12)
    assert_close(gradients(model, total), gradients(model, slow), atol=1e-12)


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
    model, batch = model_and_batch(kind)
    torch.manual_seed(0)
    total, _ = make(make_task(kind), reward="constant")(model, batch)
    assert all(not gradient.any() for gradient in gradients(model, total))
    total, _ = make(make_task(kind), reward="chrf")(model, batch)
    assert any(gradient.any() for gradient in gradients(model, total))


# ── rewards, modes, and whole steps ─────────────────────────────────────────────────────────


def test_rewards_are_what_the_test_is_scored_by() -> None:
    task = make_task("seq2seq")
    batch = tensors(task.train)
    outputs = reference_outputs(batch, 99)
    outputs[0], outputs[1] = [], outputs[2]
    for reward in ("chrf", "bleu", "exact"):
        scores = task.score(outputs, task.train.references).examples[reward]
        rewards = judge_by(task, reward)(batch, outputs)
        scale = 1 if reward == "exact" else 100
        assert rewards == pytest.approx([score / scale for score in scores])
        assert max(rewards) == pytest.approx(1.0)
    assert judge_by(task, "constant")(batch, outputs) == [1.0] * len(outputs)


def test_less_of_what_is_bad_is_a_reward() -> None:
    task = make_task("lm")
    batch = tensors(task.train, 0, 1)
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
    batch = tensors(task.train, *range(5))
    assert {name for name, _ in batch.references} == {"numbers"}
    assert judge_by(task, "mean")(batch, [[]] * 5) == [0.0] * 5


@pytest.mark.parametrize("name", SEQUENCE_LOSSES)
def test_validation_is_the_risk_of_greedy_output(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a draw, so twice the same; and the mode stays as it was, whatever happens."""
    model, batch = model_and_batch("seq2seq", dropout=0.5)
    loss = build(name, "seq2seq")
    loss(model, batch)
    assert model.training
    with monkeypatch.context() as patch:
        scripted(patch, lambda model, batch: 1 / model.training)
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
    model, batch = model_and_batch(kind)
    scripted(monkeypatch, lambda model, batch: [[] for _ in batch.rows])
    total, _ = build(name, kind)(model, batch)
    assert total.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients(model, total))
