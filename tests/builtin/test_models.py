"""Padding changes nothing, the cache changes nothing, and the decoders find what they claim."""

import math
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from msbench import BEGIN, END, IGNORE, PAD, Batch, Split, Task
from msbench.builtin.decoders.beam import beam
from msbench.builtin.decoders.labels import argmax
from msbench.builtin.decoders.likelihood import likelihood
from msbench.builtin.generation import greedy
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.bag import Bag
from msbench.builtin.models.causal import CausalLM
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder, Pointer, copying_clues
from msbench.builtin.models.layers import repeated, rotated
from msbench.builtin.models.lstm import LSTM
from msbench.errors import MsbenchError


def make_task(vocabulary: int = 11, longest: int = 6, classes: int = 3) -> Task:
    """Random pairs of every length up to the longest."""
    draw = np.random.default_rng(0)
    source, target = np.full((2, 24, longest), PAD)
    for row in range(24):
        for side in (source, target):
            size = 1 + draw.integers(longest - 1)
            side[row, :size] = draw.integers(4, vocabulary, size)
    begin = np.full((24, 1), BEGIN)
    output = np.where(target == PAD, IGNORE, target)
    split = Split(source, output, ["x"] * 24, np.hstack([begin, target[:, :-1]]))
    return Task("seq2seq", split, split, split, None, "bleu", vocabulary, classes)  # type: ignore[arg-type]


def tensors(batch: Batch) -> Batch:
    return batch.map(torch.from_numpy)


@pytest.fixture(
    params=[
        {},
        {"copy": True},
        {"norm": "post"},
        {"repeats": True, "copy": True},
        {"copy": True, "follow": True},
    ],
    ids=["plain", "copy", "post-norm", "repeats", "follow"],
)
def model(request: pytest.FixtureRequest) -> EncoderDecoder:
    torch.manual_seed(1)
    made = EncoderDecoder(make_task(), width=16, heads=2, **request.param).double().eval()
    with torch.no_grad():  # away from near-uniform predictions, so that wrong ones show
        for weight in made.parameters():
            weight.mul_(1.7)
    return made


def padded(batch: Batch, columns: int = 3) -> Batch:
    def more(array: Any, value: int) -> Any:
        return torch.nn.functional.pad(array, (0, columns), value=value)

    return replace(
        batch,
        source=more(batch.source, PAD),
        input=more(batch.input, PAD),
        target=more(batch.target, IGNORE) if batch.target.ndim == 2 else batch.target,
    )


def test_padding_changes_no_logits_and_no_loss(model: EncoderDecoder) -> None:
    task = make_task()
    model.source.positions = torch.nn.Embedding(20, 16).double()
    model.target.positions = torch.nn.Embedding(20, 16).double()
    batch = tensors(task.train.batch(np.arange(8)))
    wide = padded(batch)
    width = batch.input.shape[1]
    assert torch.allclose(model(batch), model(wide)[:, :width], atol=1e-12)
    loss = cross_entropy()
    (a, n), (b, m) = loss(model, batch), loss(model, wide)
    assert torch.isclose(a, b)
    assert n == m == (batch.target != IGNORE).sum()


@pytest.mark.parametrize(
    "make",
    [
        partial(Encoder, width=16, heads=2),
        partial(Encoder, width=16, heads=2, norm="post"),
        partial(Encoder, width=16, heads=2, repeats=True),
        partial(Bag, width=16),
        partial(LSTM, width=16, layers=2),
    ],
    ids=["encoder", "encoder-post", "encoder-repeats", "bag", "lstm"],
)
def test_padding_changes_no_label_logits(make: Any) -> None:
    task = make_task()
    encoder = wide(make(task))
    batch = tensors(task.train.batch(np.arange(8)))
    assert torch.allclose(encoder(batch), encoder(padded(batch)), atol=1e-12)
    alone = torch.cat([encoder(tensors(task.train.batch(np.array([i])))) for i in range(8)])
    assert torch.allclose(encoder(batch), alone, atol=1e-12)
    found = argmax()(encoder, batch)
    assert torch.allclose(found.exp().sum(-1), torch.ones(8).double())


def wide(model: Any) -> Any:
    """In double precision, with room for more padding than its task has."""
    if isinstance(model, Encoder | CausalLM):
        model.embedding.positions = torch.nn.Embedding(20, 16)
    return model.double().eval()


def test_what_is_repeated() -> None:
    """Alone, with a neighbour, not at all; padding repeats nothing."""
    tokens = torch.tensor([[5, 6, 7, 5, 8, 5, 6, END, PAD, PAD]])
    assert repeated(tokens)[0, :8].tolist() == [2, 2, 0, 1, 0, 2, 2, 0]


def test_rotation_tells_only_how_far_apart() -> None:
    """Products of rotated vectors depend on the distance; lengths stay."""
    torch.manual_seed(0)
    x, y = torch.randn(2, 1, 1, 1, 8).double().expand(-1, 1, 1, 500, 8)
    mine, other = rotated(x)[0, 0], rotated(y)[0, 0]
    near = [float((mine[at] * other[at + 3]).sum()) for at in (0, 5, 400)]
    assert near == pytest.approx([near[0]] * 3)
    assert float((mine[0] * other[4]).sum()) != pytest.approx(near[0])
    assert torch.isclose(mine[9].norm(), x[0, 0, 0].norm())


@pytest.mark.parametrize("make", [Encoder, LSTM])
def test_padding_changes_no_tags(make: Any) -> None:
    task = replace(make_task(), kind="tag")
    tagger = wide(make(task, width=16))
    batch = tensors(task.train.batch(np.arange(8)))
    long = batch.source.shape[1]
    used = batch.source != PAD
    assert tagger(batch).shape == (8, long, 3)
    assert torch.allclose(tagger(batch)[used], tagger(padded(batch))[:, :long][used], atol=1e-12)
    assert argmax()(tagger, batch).shape == (8, long)


@pytest.mark.parametrize("make", [Encoder, LSTM, Bag])
def test_pairs_of_texts(make: Any) -> None:
    """Padding changes nothing; which text comes first, and where it ends, does."""
    task = replace(make_task(), segments=2)
    matcher = wide(make(task, width=16))
    rows = [[4, 5, END, 6, END, PAD], [7, END, 8, 9, END, PAD], [4, 5, 6, END, END, PAD]]
    batch = replace(tensors(task.train.batch(np.arange(3))), source=torch.tensor(rows))
    assert torch.allclose(matcher(batch), matcher(padded(batch)), atol=1e-12)
    turned = replace(batch, source=torch.tensor([[6, END, 4, 5, END], *[r[:5] for r in rows[1:]]]))
    assert not torch.allclose(matcher(batch)[0], matcher(turned)[0])
    assert not torch.allclose(matcher(batch)[0], matcher(batch)[2])
    assert matcher(batch).isfinite().all(), "a text that was left empty"


def test_the_pointer_adds_what_the_source_offers() -> None:
    """Against a slow twin: a sum over every place of the source, token by token."""
    torch.manual_seed(0)
    pointer = Pointer(8).double()
    x, memory = torch.randn(2, 3, 8).double(), torch.randn(2, 5, 8).double()
    logits = torch.randn(2, 3, 9).double()
    source = torch.tensor([[4, 5, 4, 4, 6], [7, 8, 7, PAD, PAD]])
    found = pointer(x, logits, pointer.read(memory, source))
    for row, place in product(range(2), range(3)):
        weights = logits[row, place].exp()
        for at in range(5):
            if source[row, at] != PAD:
                before = memory[row, at - 1] if at else torch.zeros(8).double()
                key = pointer.here(memory[row, at]) + pointer.before(before)
                score = pointer.query(x[row, place]) @ key / 8**0.5 + pointer.bias(x[row, place])
                weights = weights.index_add(0, source[row, at : at + 1], score.exp())
        assert torch.allclose(found[row, place], weights.log(), atol=1e-12)


def test_copying_clues() -> None:
    """Source a b c a, read BEGIN, then b, then a."""
    a, b, c = 4, 5, 6
    clues = copying_clues(torch.tensor([[a, b, c, a, PAD]]), torch.tensor([[BEGIN, b, a]]))[0]
    expected = {
        "behind": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]],
        "ahead": [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 1, 1]],
        "written": [[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 1]],
    }
    for number, each in enumerate(expected.values()):
        assert clues[:, number, :4].int().tolist() == each


def make_lm() -> tuple[Task, CausalLM]:
    """Prompts of none to three tokens, which the texts begin with."""
    task = make_task()
    split = task.train
    assert split.input is not None
    prompt = split.input[:, 1:4].copy()
    prompt[np.arange(3) >= (np.arange(24) % 4)[:, None]] = PAD
    split = replace(split, source=prompt, prompted=True)
    torch.manual_seed(1)
    task = replace(task, kind="lm", train=split, validation=split, test=split)
    model = CausalLM(task, width=16, heads=2).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.7)
    return task, model


@torch.no_grad()
def test_a_causal_model_sees_nothing_to_come() -> None:
    task, model = make_lm()
    batch = tensors(task.train.batch(np.arange(8)))
    changed = replace(batch, input=batch.input.clone())
    changed.input[:, 3] = 5
    assert torch.allclose(model(batch)[:, :3], model(changed)[:, :3], atol=1e-12)
    assert not torch.allclose(model(batch)[:, 3], model(changed)[:, 3])


@torch.no_grad()
def test_going_on_from_a_prompt_is_the_whole_forward_pass() -> None:
    """Prompts of unequal length in one batch, through the cache and reordered, alone and not."""
    task, model = make_lm()
    batch = tensors(task.train.batch(np.arange(24)))
    sizes = (batch.source != PAD).sum(1)
    state = model.start(batch)
    tokens = torch.full((24,), BEGIN)
    expected = model(batch)
    order = torch.arange(23, -1, -1)
    rows = torch.arange(24)
    for ahead in range(model.max_length):
        logits, state = model.step(state, tokens)
        place = (sizes[rows] + ahead).clamp(max=batch.input.shape[1] - 1)
        real = (sizes[rows] + ahead < batch.input.shape[1]) & (batch.input[rows, place] != PAD)
        assert torch.allclose(logits[real], expected[rows, place][real], atol=1e-12)
        following = (sizes[rows] + ahead + 1).clamp(max=batch.input.shape[1] - 1)
        tokens = batch.input[rows, following]
        if ahead == 0:
            state, tokens, rows = state.select(order), tokens[order], rows[order]
    for decoder in (greedy(), beam(width=2)):
        alone = [decoder(model, tensors(task.train.batch(np.array([i]))))[0] for i in range(24)]
        assert decoder(model, batch) == alone


@torch.no_grad()
def test_likelihood_is_the_sum_over_the_text() -> None:
    task, model = make_lm()
    batch = tensors(task.train.batch(np.arange(8)))
    found = likelihood()(model, batch)
    total, _ = cross_entropy()(model, batch)
    assert torch.isclose(found.sum(), -total)
    assert torch.allclose(likelihood()(model, padded_lm(batch)), found, atol=1e-12)


def padded_lm(batch: Batch) -> Batch:
    """Up to the model's limit."""
    room = 6 - batch.input.shape[1]
    wider = torch.nn.functional.pad(batch.input, (0, room), value=PAD)
    return replace(
        batch, input=wider, target=torch.nn.functional.pad(batch.target, (0, room), value=IGNORE)
    )


def test_the_loss_is_a_sum_and_a_count(model: EncoderDecoder) -> None:
    """Ragged parts add up to the whole; the mean of means does not."""
    split, loss = make_task().train, cross_entropy()
    whole, count = loss(model, tensors(split.batch(np.arange(9))))
    parts = [loss(model, tensors(split.batch(rows))) for rows in (np.arange(2), np.arange(2, 9))]
    assert torch.isclose(whole, parts[0][0] + parts[1][0])
    assert count == parts[0][1] + parts[1][1]
    means = [total / number for total, number in parts]
    assert not torch.isclose(whole / count, (means[0] + means[1]) / 2)


@torch.no_grad()
def test_the_cache_changes_nothing(model: EncoderDecoder) -> None:
    """Steps through the state, rows reordered on the way, against the whole forward pass."""
    batch = tensors(make_task().train.batch(np.arange(6)))
    order = torch.tensor([4, 1, 1, 5])
    state, found = model.start(batch), []
    for place in range(batch.input.shape[1]):
        rows = torch.arange(6) if place < 2 else order
        if place == 2:
            state = state.select(order)
        logits, state = model.step(state, batch.input[rows, place])
        found.append(logits.clone())
    expected = model(batch)
    for place, logits in enumerate(found):
        rows = torch.arange(6) if place < 2 else order
        assert torch.allclose(logits, expected[rows, place], atol=1e-12)


@torch.no_grad()
def sequence_score(model: EncoderDecoder, batch: Batch, tokens: tuple[int, ...]) -> float:
    """Log-probability of one whole output, by the uncached forward pass."""
    read = torch.tensor([[BEGIN, *tokens]])[:, : model.max_length]
    one = replace(batch, input=read)
    logits: Tensor = model(one)[0].clone()
    logits[:, [PAD, BEGIN]] = -math.inf
    logs = logits.log_softmax(-1)
    return sum(float(logs[place, token]) for place, token in enumerate(tokens))


@torch.no_grad()
def test_a_wide_beam_is_exhaustive_search() -> None:
    """On a space small enough to enumerate: 3 tokens and END, 3 places."""
    task = make_task(vocabulary=6, longest=3)
    for seed in range(20):
        torch.manual_seed(seed)
        model = EncoderDecoder(task, width=8, layers=1, heads=2).double().eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(2)
        batch = tensors(task.train.batch(np.array([seed % 24])))
        words = (3, 4, 5)
        ended = [(*w, END) for n in range(3) for w in product(words, repeat=n)]
        cut = list(product(words, repeat=3))
        for penalty in (0.0, 1.0):
            scores = {
                c: sequence_score(model, batch, c) / len(c) ** penalty for c in [*ended, *cut]
            }
            best = max(scores, key=lambda c: scores[c])
            expected = [token for token in best if token != END]
            assert beam(width=60, length_penalty=penalty)(model, batch) == [expected]


@torch.no_grad()
def test_beam_of_one_is_greedy_and_batches_change_nothing(model: EncoderDecoder) -> None:
    split = make_task().train
    every = tensors(split.batch(np.arange(24)))
    outputs = {}
    for name, decoder in {"greedy": greedy(), "one": beam(width=1), "four": beam()}.items():
        alone = [decoder(model, tensors(split.batch(np.array([i]))))[0] for i in range(24)]
        assert decoder(model, every) == alone
        assert decoder(model, padded_source(every)) == alone
        outputs[name] = alone
    assert outputs["greedy"] == outputs["one"]
    assert all(len(tokens) <= model.max_length for tokens in outputs["four"])
    assert not {BEGIN, PAD, END} & {t for tokens in outputs["four"] for t in tokens}


def padded_source(batch: Batch) -> Batch:
    """Up to the model's limit."""
    room = 6 - batch.source.shape[1]
    return replace(batch, source=torch.nn.functional.pad(batch.source, (0, room), value=PAD))


def test_bad_sizes() -> None:
    with pytest.raises(MsbenchError, match="width of 1 or more, not 0"):
        beam(width=0)
    with pytest.raises(MsbenchError, match="width 10 is not a multiple of twice the heads, 8"):
        EncoderDecoder(make_task(), width=10)
