"""Padding changes nothing, the cache changes nothing, and every model sees what it should."""

from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from small_models import VARIANTS, make_lm, make_model, random_pairs, tensors
from torch import Tensor, nn
from torch.nn import functional

from msbench import BEGIN, END, IGNORE, PAD, Batch, MsbenchError, Task
from msbench.builtin.decoders.beam import beam
from msbench.builtin.decoders.by_frequency import GROUPS, groups, likelihood_by_frequency
from msbench.builtin.decoders.labels import argmax
from msbench.builtin.decoders.likelihood import likelihood
from msbench.builtin.generation import greedy
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.bag import Bag
from msbench.builtin.models.causal import CausalLM
from msbench.builtin.models.dropout import Dropout
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.models.layers import Attention, repeated, rotated, rotation_angles
from msbench.builtin.models.lstm import LSTM
from msbench.builtin.models.pointer import Pointer, copying_clues


@pytest.fixture(params=[*VARIANTS, {"repeats": True, "copy": True}], ids=str)
def model(request: pytest.FixtureRequest) -> EncoderDecoder:
    return make_model(longest=6, layers=2, **request.param)[1]


def padded(batch: Batch, source: int = 3, target: int = 3) -> Batch:
    """The batch with this many more columns."""
    return replace(
        batch,
        source=functional.pad(batch.source, (0, source), value=PAD),
        input=functional.pad(batch.input, (0, target), value=PAD),
        target=functional.pad(batch.target, (0, target), value=IGNORE),
    )


def with_room(model: Any) -> Any:
    """In double precision, with room for more padding than the task has."""
    if isinstance(model, Encoder | CausalLM):
        model.embedding.positions = torch.nn.Embedding(20, 16)
    return model.double().eval()


def test_padding_changes_no_logits_and_no_loss(model: EncoderDecoder) -> None:
    model.source.positions = torch.nn.Embedding(20, 16).double()
    model.target.positions = torch.nn.Embedding(20, 16).double()
    batch = tensors(random_pairs().train, *range(8))
    wide, loss = padded(batch), cross_entropy()
    assert torch.allclose(model(batch), model(wide)[:, : batch.input.shape[1]], atol=1e-12)
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
        partial(Bag, width=16, ngrams=3, buckets=50),
        partial(LSTM, width=16, layers=2),
    ],
    ids=["encoder", "encoder-post", "encoder-repeats", "bag", "bag-3", "lstm"],
)
def test_padding_changes_no_label_logits(make: Any) -> None:
    split = random_pairs().train
    model, batch = with_room(make(random_pairs())), tensors(split, *range(8))
    logits = model(batch)
    assert torch.allclose(logits, model(padded(batch)), atol=1e-12)
    alone = torch.cat([model(tensors(split, row)) for row in range(8)])
    assert torch.allclose(logits, alone, atol=1e-12)
    assert torch.allclose(argmax()(model, batch).exp().sum(-1), torch.ones(8).double())


@pytest.mark.parametrize("make", [Encoder, LSTM])
def test_padding_changes_no_tags(make: Any) -> None:
    task = replace(random_pairs(), kind="tag")
    tagger, batch = with_room(make(task, width=16)), tensors(task.train, *range(8))
    length, used = batch.source.shape[1], batch.source != PAD
    logits = tagger(batch)
    assert logits.shape == (8, length, 3)
    assert torch.allclose(logits[used], tagger(padded(batch))[:, :length][used], atol=1e-12)
    assert argmax()(tagger, batch).shape == (8, length)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("classify", partial(Encoder, repeats=True)),
        ("classify", Bag),
        ("classify", LSTM),
        ("tag", Encoder),
        ("tag", LSTM),
        ("seq2seq", EncoderDecoder),
        ("seq2seq", partial(EncoderDecoder, copy=True, follow=True, repeats=True)),
        ("lm", CausalLM),
    ],
    ids=str,
)
def test_loss_and_gradients_do_not_depend_on_rounded_lengths(kind: Any, make: Any) -> None:
    """Batches of one length, which need no mask, become padded ones, and others become longer."""
    task = as_kind(random_pairs(longest=9), kind)
    torch.manual_seed(0)
    model = make(task, width=16).double().train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    lengths = task.train.lengths[0]
    most = np.bincount(lengths[lengths % 4 > 0]).argmax()
    for rows in (np.flatnonzero(lengths == most), np.arange(8)):
        found = []
        for round_to in (1, 4):
            batch = task.train.batch(rows, round_to).map(torch.from_numpy)
            assert batch.full == (round_to == 1 and len(set(lengths[rows])) == 1)
            total, count = cross_entropy()(model, batch)
            found.append((total, count, *torch.autograd.grad(total, list(model.parameters()))))
        assert batch.source.shape[1] in (4, 8, 9)
        for exact, rounded in zip(*found, strict=True):
            assert torch.allclose(exact, rounded, atol=1e-10)


def as_kind(task: Task, kind: Any) -> Task:
    """The pairs as another kind: targets are labels, tags of the tokens, or what is read."""
    split, draw = task.train, np.random.default_rng(1)
    if kind == "classify":
        split = replace(split, input=None, target=draw.integers(0, 3, len(split)))
    elif kind == "tag":
        tags = np.where(split.source == PAD, IGNORE, draw.integers(0, 3, split.source.shape))
        words = np.where(split.source == PAD, -1, np.arange(split.source.shape[1]))
        split = replace(split, input=None, target=tags, words=words)
    return replace(task, kind=kind, train=split, validation=split, test=split)


@pytest.mark.parametrize("make", [Encoder, LSTM, Bag])
def test_pairs_of_texts(make: Any) -> None:
    """Padding changes nothing; which text comes first, and where it ends, does."""
    task = replace(random_pairs(), segments=2)
    matcher = with_room(make(task, width=16))
    rows = [[4, 5, END, 6, END, PAD], [7, END, 8, 9, END, PAD], [4, 5, 6, END, END, PAD]]
    batch = replace(tensors(task.train, 0, 1, 2), source=torch.tensor(rows))
    swapped = replace(batch, source=torch.tensor([[6, END, 4, 5, END], *[r[:5] for r in rows[1:]]]))
    logits = matcher(batch)
    assert torch.allclose(logits, matcher(padded(batch)), atol=1e-12)
    assert not torch.allclose(logits[0], matcher(swapped)[0])
    assert not torch.allclose(logits[0], logits[2])
    assert logits.isfinite().all(), "a text that was left empty"


def test_repeated_tokens() -> None:
    """Alone, with a neighbour, not at all; padding repeats nothing."""
    tokens = torch.tensor([[5, 6, 7, 5, 8, 5, 6, END, PAD, PAD]])
    assert repeated(tokens)[0, :8].tolist() == [2, 2, 0, 1, 0, 2, 2, 0]


def test_rotation_depends_only_on_distance() -> None:
    """Products of rotated vectors depend on the distance; lengths stay."""
    torch.manual_seed(0)
    x, y = torch.randn(2, 1, 1, 1, 8).double().expand(-1, 1, 1, 500, 8)
    a, b = rotated(x)[0, 0], rotated(y)[0, 0]
    near = [float((a[at] * b[at + 3]).sum()) for at in (0, 5, 400)]
    assert near == pytest.approx([near[0]] * 3)
    assert float((a[0] * b[4]).sum()) != pytest.approx(near[0])
    assert torch.isclose(a[9].norm(), x[0, 0, 0].norm())


def test_complex_rotation_is_that_of_real_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every length and type; compilers are given the real numbers."""
    torch.manual_seed(0)
    for length, dtype in product((1, 2, 7, 33), (torch.float64, torch.float32, torch.bfloat16)):
        x = torch.randn(2, 3, length, 8).to(dtype).requires_grad_()
        weights = torch.randn(2, 3, length, 8).to(dtype)
        found = []
        for compiling in (False, True):
            monkeypatch.setattr(torch.compiler, "is_compiling", lambda now=compiling: now)
            turned = rotated(x)
            found.append((turned, *torch.autograd.grad((turned * weights).sum(), x)))
            assert turned.dtype == dtype
        for complex_numbers, real_numbers in zip(*found, strict=True):
            assert torch.allclose(complex_numbers, real_numbers, atol=1e-6)


def test_attention_is_that_of_its_textbook() -> None:
    """Against a slow twin with a product for each of the three, and a loop over the pairs."""
    torch.manual_seed(0)
    attention = Attention(8, 2).double()
    x = torch.randn(3, 5, 8).double()
    hide = torch.zeros(3, 1, 1, 5).double()
    hide[1, ..., 3:] = float("-inf")
    angles = rotation_angles(torch.arange(5), 2, torch.float64)

    def turned(heads: Tensor) -> Tensor:
        out = heads.clone()
        for place, pair in product(range(5), range(2)):
            angle = angles[place, pair]
            turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()]).view(2, 2)
            out[:, :, place, 2 * pair : 2 * pair + 2] @= turn
        return out

    keys, values = attention.key_value(x).chunk(2, dim=-1)
    split = [y.view(3, 5, 2, 4).transpose(1, 2) for y in (attention.query(x), keys, values)]
    scores = turned(split[0]) @ turned(split[1]).transpose(2, 3) / 4**0.5 + hide
    mixed = (scores.softmax(-1) @ split[2]).transpose(1, 2).flatten(2)
    assert torch.allclose(attention.within(x, hide, causal=False), attention.out(mixed))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_dropout_keeps_means_and_drops_its_share(p: float) -> None:
    torch.manual_seed(0)
    dropout, x = Dropout(p), torch.ones(7, 11, 1301, dtype=torch.float64, requires_grad=True)
    found = dropout(x)
    kept = (found != 0).double()
    assert float(kept.mean()) == pytest.approx(1 - p, abs=0.006)
    if p < 1:
        assert torch.allclose(found, kept / (1 - p), rtol=1e-4)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.equal(gradient, found)
    for lag in (1, 2, 3, 4):  # the four numbers that share a draw are independent
        line = kept.flatten() - kept.mean()
        assert abs(float((line[lag:] * line[:-lag]).mean())) < 0.003
    torch.manual_seed(0)
    assert torch.equal(dropout(x), found)
    assert torch.equal(dropout.eval()(x), x)


def test_the_pointer_adds_what_the_source_offers() -> None:
    """Against a slow twin: a sum over every place of the source, token by token."""
    torch.manual_seed(0)
    pointer = Pointer(8).double()
    x, memory = torch.randn(2, 3, 8).double(), torch.randn(2, 5, 8).double()
    logits = torch.randn(2, 3, 9).double()
    source = torch.tensor([[4, 5, 4, 4, 6], [7, 8, 7, PAD, PAD]])
    mixed = pointer(x, logits, pointer.read(memory, source))
    for row, place in product(range(2), range(3)):
        weights = logits[row, place].exp()
        for at in range(5):
            if source[row, at] != PAD:
                before = memory[row, at - 1] if at else torch.zeros(8).double()
                key = pointer.here(memory[row, at]) + pointer.before(before)
                score = pointer.query(x[row, place]) @ key / 8**0.5 + pointer.bias(x[row, place])
                weights = weights.index_add(0, source[row, at : at + 1], score.exp())
        assert torch.allclose(mixed[row, place], weights.log(), atol=1e-12)


def test_copying_clues() -> None:
    """Source a b c a, read BEGIN, then b, then a."""
    a, b, c = 4, 5, 6
    clues = copying_clues(torch.tensor([[a, b, c, a, PAD]]), torch.tensor([[BEGIN, b, a]]))[0]
    expected = {
        "behind": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]],
        "ahead": [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 1, 1]],
        "written": [[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 1]],
    }
    assert clues[:, :, :4].int().transpose(0, 1).tolist() == list(expected.values())


@torch.no_grad()
def test_a_causal_model_sees_nothing_to_come() -> None:
    task, model = make_lm()
    batch = tensors(task.train, *range(8))
    changed = replace(batch, input=batch.input.clone())
    changed.input[:, 3] = 5
    assert torch.allclose(model(batch)[:, :3], model(changed)[:, :3], atol=1e-12)
    assert not torch.allclose(model(batch)[:, 3], model(changed)[:, 3])


@torch.no_grad()
def test_continuing_a_prompt_is_the_whole_forward_pass() -> None:
    """Prompts of unequal length in one batch, through the cache and reordered, alone and not."""
    task, model = make_lm()
    batch = tensors(task.train)
    sizes = (batch.source != PAD).sum(1)
    last = batch.input.shape[1] - 1
    state, tokens, rows = model.start(batch), torch.full((24,), BEGIN), torch.arange(24)
    expected, order = model(batch), torch.arange(23, -1, -1)
    for ahead in range(model.max_length):
        logits, state = model.step(state, tokens)
        place = (sizes[rows] + ahead).clamp(max=last)
        real = (sizes[rows] + ahead <= last) & (batch.input[rows, place] != PAD)
        assert torch.allclose(logits[real], expected[rows, place][real], atol=1e-12)
        tokens = batch.input[rows, (sizes[rows] + ahead + 1).clamp(max=last)]
        if ahead == 0:
            state, tokens, rows = state.select(order), tokens[order], rows[order]
    for decoder in (greedy(), beam(width=2)):
        alone = [decoder(model, tensors(task.train, row))[0] for row in range(24)]
        assert decoder(model, batch) == alone


@torch.no_grad()
def test_likelihood_is_the_sum_over_the_text() -> None:
    task, model = make_lm()
    batch = tensors(task.train, *range(8))
    logs = likelihood()(model, batch)
    total, _ = cross_entropy()(model, batch)
    assert torch.isclose(logs.sum(), -total)
    up_to_the_limit = padded(batch, 0, 6 - batch.input.shape[1])
    assert torch.allclose(likelihood()(model, up_to_the_limit), logs, atol=1e-12)


@torch.no_grad()
def test_likelihoods_by_frequency_add_up_to_the_texts() -> None:
    """Each is of about a third of what training predicts, and no rare token is more frequent."""
    task, model = make_lm()
    batch = tensors(task.train, *range(8))
    parts = [likelihood_by_frequency(task, name)(model, batch) for name in GROUPS]  # type: ignore[arg-type]
    assert torch.allclose(torch.stack(parts).sum(0), likelihood()(model, batch), atol=1e-12)
    target = task.train.target[task.train.target >= 0]
    counts = np.bincount(target, minlength=task.vocabulary)
    found = groups(task)
    for group, after in ((0, 1), (1, 2)):
        assert counts[found == group].min() >= counts[found == after].max()
    shares = [counts[found == group].sum() / len(target) for group in range(3)]
    assert max(shares) - min(shares) <= 2 * counts.max() / len(target)
    assert set(found[counts == 0]) == {2}
    alone = functional.cross_entropy(model(batch).transpose(1, 2), batch.target, reduction="none")
    rare = torch.from_numpy(found == 2)[batch.target.clamp(min=0)] & (batch.target >= 0)
    assert torch.allclose(parts[2], -torch.where(rare, alone, 0).sum(1), atol=1e-12)


def test_the_loss_is_a_sum_and_a_count(model: EncoderDecoder) -> None:
    """Ragged parts add up to the whole; the mean of means does not."""
    split, loss = random_pairs().train, cross_entropy()
    whole, count = loss(model, tensors(split, *range(9)))
    parts = [loss(model, tensors(split, *rows)) for rows in (range(2), range(2, 9))]
    assert torch.isclose(whole, parts[0][0] + parts[1][0])
    assert count == parts[0][1] + parts[1][1]
    means = [total / number for total, number in parts]
    assert not torch.isclose(whole / count, (means[0] + means[1]) / 2)


@torch.no_grad()
def test_the_cache_changes_nothing(model: EncoderDecoder) -> None:
    """Steps through the state, rows reordered on the way, against the whole forward pass."""
    batch = tensors(random_pairs().train, *range(6))
    state, rows, expected = model.start(batch), torch.arange(6), model(batch)
    for place in range(batch.input.shape[1]):
        if place == 2:
            rows = torch.tensor([4, 1, 1, 5])
            state = state.select(rows)
        logits, state = model.step(state, batch.input[rows, place])
        assert torch.allclose(logits, expected[rows, place], atol=1e-12)


@pytest.mark.parametrize("options", VARIANTS)
def test_any_history_of_a_state_is_the_whole_forward_pass(options: dict[str, Any]) -> None:
    """Rows chosen at random, several tokens at once, some of them taken back, for long enough that
    the cache grows and is cleared."""
    task, model = make_model(3, longest=40, layers=2, **options)
    draw = np.random.default_rng(0)
    read: list[tuple[int, list[int]]] = [(row, []) for row in range(4)]
    state = model.start(tensors(task.train, 0, 1, 2, 3))
    for turn in range(60):
        n = int(draw.choice([1, 1, 3]))
        tokens = draw.integers(3, 11, (len(read), n))
        given = torch.from_numpy(tokens if n > 1 else tokens[:, 0])
        logits, state = model.step(state, given)
        read = [(row, [*old, *new]) for (row, old), new in zip(read, tokens.tolist(), strict=True)]
        for index in draw.integers(len(read), size=2).tolist():
            row, tokens_read = read[index]
            example = replace(tensors(task.train, row), input=torch.tensor([tokens_read]))
            with torch.no_grad():
                expected = model(example)[0, -n:]
            assert torch.allclose(logits.view(len(read), n, -1)[index], expected, atol=1e-10)
        if n > 1:
            counts = draw.integers(0, n + 1, len(read))
            state = state.keep(torch.from_numpy(counts))
            read = [
                (row, old[: len(old) - n + kept])
                for (row, old), kept in zip(read, counts.tolist(), strict=True)
            ]
        if turn % 3 == 2 or max(len(old) for _, old in read) > 30:
            short = [i for i, (_, old) in enumerate(read) if len(old) <= 30]
            if not short:
                break
            chosen = [int(i) for i in draw.choice(short, 6)]
            if turn % 2:  # hypotheses of one source side by side, as in a beam
                chosen = sorted(chosen, key=[row for row, _ in read].__getitem__)
            state, read = state.select(torch.tensor(chosen)), [read[i] for i in chosen]
    assert turn > 20


def test_tokens_read_one_by_one_are_taken_back() -> None:
    """Several steps, then `keep`, unequally, for so long that the cache grows and is cleared."""
    task, model = make_model(3, longest=60, copy=True, follow=True)
    draw = np.random.default_rng(1)
    read: list[list[int]] = [[] for _ in range(4)]
    state = model.start(tensors(task.train, 0, 1, 2, 3))
    for _ in range(18):
        for _ in range(5):
            tokens = draw.integers(3, 11, 4).tolist()
            _, state = model.step(state, torch.tensor(tokens))
            read = [[*old, new] for old, new in zip(read, tokens, strict=True)]
        counts = draw.integers(0, 6, 4)
        state = state.keep(torch.from_numpy(counts), 5)
        read = [old[: len(old) - 5 + c] for old, c in zip(read, counts.tolist(), strict=True)]
        if max(map(len, read)) > 53:
            break
    logits, _ = model.step(state, torch.tensor([5, 6, 7, 8]))
    for row, old in enumerate(read):
        example = replace(tensors(task.train, row), input=torch.tensor([[*old, 5 + row]]))
        with torch.no_grad():
            assert torch.allclose(logits[row], model(example)[0, -1], atol=1e-10)


def test_the_width_is_divided_among_the_heads() -> None:
    with pytest.raises(MsbenchError, match="width 10 is not a multiple of twice the heads, 8"):
        EncoderDecoder(random_pairs(), width=10)
