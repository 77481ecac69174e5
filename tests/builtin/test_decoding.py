"""Decoders write exactly what they claim, however fast they are."""

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from test_models import make_lm, make_task, tensors
from torch import Tensor

from msbench import BEGIN, END, PAD, Batch, Meter, MsbenchError, Split, evaluation_batches
from msbench.builtin.decoders.beam import beam, best_continuations, first_best, search
from msbench.builtin.decoders.pairwise_metrics import TABLES
from msbench.builtin.decoders.rerank import mbr, rerank
from msbench.builtin.decoders.second_model import Second
from msbench.builtin.decoders.speculative import Rule, Speculative, speculative, verify
from msbench.builtin.generation import Limits, Sample, greedy, probabilities, sample
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.models.lstm import LSTM
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.scoring import log_probabilities
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.run.decode import decode

VARIANTS: list[dict[str, Any]] = [
    {},
    {"copy": True},
    {"norm": "post"},
    {"copy": True, "follow": True},
]


def make_model(
    seed: int = 1, vocabulary: int = 11, longest: int = 8, gain: float = 1.7, **options: Any
) -> tuple[Any, EncoderDecoder]:
    """A task of random pairs, and a model in double precision that is far from uniform."""
    task = make_task(vocabulary, longest)
    torch.manual_seed(seed)
    model = EncoderDecoder(task, **{"width": 16, "heads": 2, "layers": 1, **options})
    model = model.double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(gain)
    return task, model


def some(task: Any, *rows: int) -> Batch:
    return tensors(task.train.batch(np.array(rows or range(24))))


class Table:
    """The next token depends on the last one alone: (V, V) logits."""

    def __init__(self, logits: Tensor, max_length: int = 3):
        self.logits, self.max_length = logits, max_length

    def start(self, batch: Batch) -> "Table":
        return self

    def select(self, rows: Tensor) -> "Table":
        return self

    def keep(self, counts: Tensor, n: int = 0) -> "Table":
        return self

    def step(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        return self.logits[tokens].clone(), state


def sources(rows: int, tokens: tuple[int, ...] = (4, 5)) -> Batch:
    array = np.tile(np.array([tokens]), (rows, 1))
    split = Split(array, array, [""] * rows, array)
    return tensors(split.batch(np.arange(rows)))


@torch.no_grad()
def whole(model: Any, batch: Batch, tokens: list[int]) -> Tensor:
    """(V,) log-probabilities behind BEGIN and `tokens`, by one uncached pass."""
    read = torch.tensor([[BEGIN, *tokens]])
    logits: Tensor = model(replace(batch, input=read))[0, -1].clone()
    logits[[PAD, BEGIN]] = -math.inf
    return logits


def plain_beam(
    model: Any,
    batch: Batch,
    width: int,
    penalty: float,
    reward: float,
    least: int,
    ngram: int,
) -> list[int]:
    """Beam search of one source, to the limit, without cache, batch and early end."""
    limit = model.max_length
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    best, output = -math.inf, []
    for length in range(1, limit + 1):
        continued = []
        for rank, (score, tokens) in enumerate(beams):
            logits = whole(model, batch, tokens)
            if len(tokens) < least:
                logits[END] = -math.inf
            grams = {tuple(tokens[i : i + ngram]) for i in range(len(tokens) - ngram + 1)}
            for token in range(len(logits)):
                if ngram and (*tokens[len(tokens) - ngram + 1 :], token) in grams:
                    logits[token] = -math.inf
            if bool((logits == -math.inf).all()):
                logits[END] = 0.0
            for token, log in enumerate(logits.log_softmax(-1).tolist()):
                if log > -math.inf:
                    continued.append((-(score + log), rank, token, [*tokens, token]))
        beams = []
        for negative, _, token, tokens in sorted(continued)[:width]:
            if token == END or length == limit:
                worth = -negative / length**penalty + reward * length
                if worth > best:
                    best, output = worth, [t for t in tokens if t != END]
            else:
                beams.append((-negative, tokens))
        if not beams:
            break
    return output


@pytest.mark.parametrize("part", range(10))
def test_the_fast_beam_is_the_plain_one(part: int) -> None:
    """On 1,000 random models and inputs, with every option, decoded in batches."""
    for seed in range(20):
        draw = np.random.default_rng([part, seed])
        vocabulary, longest = int(draw.integers(6, 40)), int(draw.integers(2, 7))
        options = VARIANTS[seed % 4]
        task, model = make_model(
            100 * part + seed, vocabulary, longest, draw.uniform(1, 2.5), **options
        )
        rows = draw.integers(24, size=5).tolist()
        width = int(draw.integers(1, 7))
        penalty, reward = (
            float(draw.choice([0.0, 0.6, 1.0, 2.0])),
            float(draw.choice([0.0, 0.4, -0.3])),
        )
        least, ngram = int(draw.integers(0, 3)), int(draw.choice([0, 0, 1, 2]))
        fast = beam(width, penalty, reward, least, 0, ngram)(model, some(task, *rows))
        for row, output in zip(rows, fast, strict=True):
            one = some(task, row)
            assert output == plain_beam(model, one, width, penalty, reward, least, ngram)


@pytest.mark.parametrize("options", VARIANTS)
def test_any_history_of_a_state_is_the_whole_forward_pass(options: dict[str, Any]) -> None:
    """Rows chosen at random, several tokens at once, some of them taken back, for long enough that
    the cache grows and is cleared."""
    task, model = make_model(3, longest=40, layers=2, **options)
    batch = some(task, 0, 1, 2, 3)
    draw = np.random.default_rng(0)
    read: list[tuple[int, list[int]]] = [(row, []) for row in range(4)]
    state = model.start(batch)
    for turn in range(60):
        n = int(draw.choice([1, 1, 3]))
        tokens = draw.integers(3, 11, (len(read), n))
        given = torch.from_numpy(tokens if n > 1 else tokens[:, 0])
        logits, state = model.step(state, given)
        read = [(row, [*old, *new]) for (row, old), new in zip(read, tokens.tolist(), strict=True)]
        for index in draw.integers(len(read), size=2).tolist():
            row, tokens_read = read[index]
            found = logits.view(len(read), n, -1)[index]
            one = replace(some(task, row), input=torch.tensor([tokens_read]))
            with torch.no_grad():
                expected = model(one)[0, -n:]
            assert torch.allclose(found, expected, atol=1e-10)
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


@torch.no_grad()
def test_long_beams_grow_and_clear_the_cache() -> None:
    task, model = make_model(5, longest=60, vocabulary=13)
    batch = some(task, 0, 5)
    wide = beam(width=12, length_penalty=0.0, min_length=50)
    alone = [wide(model, some(task, row))[0] for row in (0, 5)]
    assert wide(model, batch) == alone
    assert all(len(output) >= 50 for output in alone)


def test_ties_go_to_the_first() -> None:
    """Equal logits: the smallest id, and the hypothesis that ranks first; also in a batch."""
    flat = Table(torch.zeros(40, 40), max_length=4)
    assert greedy()(flat, sources(3)) == [[]] * 3  # END is the smallest id that is allowed
    assert greedy(min_length=4)(flat, sources(3)) == [[3] * 4] * 3
    assert beam(3, min_length=4)(flat, sources(3)) == [[3] * 4] * 3
    (best,) = search(flat, sources(1), 4, limits=beam(4, min_length=2).limits, count=4)
    assert [each.tokens for each in best][:2] == [[3, 3], [3, 3, 3]]  # the earlier is the better
    values = torch.tensor([[1.0, 3.0, 2.0, 3.0, 3.0]])
    for count, places in ((1, [1]), (2, [1, 3]), (4, [1, 3, 4, 2]), (9, [1, 3, 4, 2, 0])):
        assert first_best(values, count)[1].tolist() == [places]


def markov(vocabulary: int = 7, max_length: int = 3, seed: int = 0) -> Table:
    torch.manual_seed(seed)
    return Table(torch.randn(vocabulary, vocabulary), max_length)


def expected_outputs(
    table: Table, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> dict[tuple[int, ...], float]:
    """The probability of every output, by enumeration."""
    logits = table.logits.clone()
    logits[:, [PAD, BEGIN]] = -math.inf
    shares = probabilities(logits, temperature, top_k, top_p)
    found: dict[tuple[int, ...], float] = {}

    def go_on(tokens: tuple[int, ...], last: int, chance: float) -> None:
        if len(tokens) == table.max_length or last == END:
            key = tokens[:-1] if last == END else tokens
            found[key] = found.get(key, 0.0) + chance
            return
        for token, share in enumerate(shares[last].tolist()):
            if share > 0:
                go_on((*tokens, token), token, chance * share)

    go_on((), BEGIN, 1.0)
    return found


def is_drawn_from(outputs: list[list[int]], expected: dict[tuple[int, ...], float]) -> bool:
    counts = Counter(map(tuple, outputs))
    assert set(counts) <= set(expected)
    likely = [key for key, chance in expected.items() if chance * len(outputs) >= 5]
    seen = [counts[key] for key in likely]
    hoped = [expected[key] * len(outputs) for key in likely]
    rest = len(outputs) - sum(seen)
    if len(outputs) - sum(hoped) > 1:
        seen, hoped = [*seen, rest], [*hoped, len(outputs) - sum(hoped)]
    hoped = [each * len(outputs) / sum(hoped) for each in hoped]
    return bool(chisquare(seen, hoped).pvalue > 1e-3)


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.7}, {"top_k": 4, "top_p": 0.8}],
)
def test_samples_match_their_distribution(options: dict[str, Any]) -> None:
    table = markov()
    torch.manual_seed(0)
    outputs = sample(**options)(table, sources(20_000))
    assert is_drawn_from(outputs, expected_outputs(table, **options))
    wrong = expected_outputs(table, temperature=1.3)
    assert options != {} or not is_drawn_from(outputs, wrong)


def test_several_samples_of_a_source_are_drawn_apart() -> None:
    table = markov()
    torch.manual_seed(0)
    groups = sample().several(table, sources(2_000), 10)
    assert {len(group) for group in groups} == {10}
    assert is_drawn_from([each for group in groups for each in group], expected_outputs(table))
    same = np.mean([group[0] == group[1] for group in groups])
    chances = np.array(list(expected_outputs(table).values()))
    assert abs(same - (chances**2).sum()) < 0.04


def test_top_p_keeps_the_fewest_tokens() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    for top_p, kept in ((0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.94, 3), (1.0, 4)):
        shares = probabilities(logits, 1.0, 0, top_p)
        assert int((shares > 0).sum()) == kept
        assert torch.isclose(shares.sum(), torch.tensor(1.0))
    assert int((probabilities(logits, 1.0, 3, 1.0) > 0).sum()) == 3
    assert int((probabilities(torch.zeros(1, 8), 1.0, 2, 1.0) > 0).sum()) == 2


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("tokens", [1, 3, 7])
def test_speculative_is_greedy(options: dict[str, Any], tokens: int) -> None:
    """By n-grams and by a small model, good or bad, in batches, in fewer steps."""
    task, model = make_model(2, longest=12, **options)
    _, other = make_model(9, longest=12, width=8, **options)
    batch = some(task)
    expected = greedy()(model, batch)
    assert speculative(task, tokens)(model, batch) == expected
    assert speculative(task, tokens, max_length=3)(model, batch) == greedy(max_length=3)(
        model, batch
    )
    for draft in (other, model):
        made = speculative(task, tokens, model=lambda task: other)
        assert isinstance(made, Speculative)
        assert made.second is not None
        made.second._model = draft
        meter = Meter()
        assert made(meter.watch(model), batch) == expected
        if draft is model:  # which is always right
            longest = max(map(len, expected)) + 1
            assert meter.steps <= math.ceil(min(longest, model.max_length) / (tokens + 1))


def test_speculative_is_greedy_for_language_models() -> None:
    task, model = make_lm()
    batch = tensors(task.train.batch(np.arange(24)))
    expected = greedy()(model, batch)
    assert speculative(task, 3)(model, batch) == expected
    small = speculative(task, 2, model=lambda task: model)
    assert isinstance(small, Speculative)
    assert small.second is not None
    small.second._model = model
    assert small(model, batch) == expected


def test_a_source_that_says_it_all_is_copied_in_few_steps() -> None:
    """A model that counts upwards, and a source that counts, too."""
    logits = torch.full((40, 40), -9.0)
    logits[torch.arange(39), torch.arange(1, 40)] = 9.0
    logits[BEGIN, 5], logits[30, END] = 9.9, 19.0
    counting = Table(logits, max_length=40)
    batch = sources(2, tuple(range(4, 36)))
    meter = Meter()
    assert speculative(make_task(), 8)(meter.watch(counting), batch) == [list(range(5, 31))] * 2
    assert meter.steps <= 5


@pytest.mark.parametrize("options", [{}, {"temperature": 0.6}, {"top_k": 3}, {"top_p": 0.8}])
@pytest.mark.parametrize("kind", ["lookup", "small"])
def test_speculative_samples_match_the_distribution(options: dict[str, Any], kind: str) -> None:
    table, draft = markov(), markov(seed=4)
    rule = {"temperature": 1.0, **options}
    made = speculative(make_task(), 2, 2, None if kind == "lookup" else (lambda t: t), **rule)
    assert isinstance(made, Speculative)
    if made.second is not None:
        made.second._model = draft  # type: ignore[assignment]
    torch.manual_seed(1)
    outputs = made(table, sources(20_000, (4, 5, 6, 3, 4, 6, 5)))
    assert is_drawn_from(outputs, expected_outputs(table, **options))


def test_verification_by_hand() -> None:
    """What p has more than q, and nothing else, is drawn where a proposal is refused."""
    p = torch.tensor([0.0, 0.0, 0.1, 0.6, 0.3]).log().repeat(50_000, 2, 1)
    q = torch.tensor([0.0, 0.0, 0.5, 0.2, 0.3]).repeat(50_000, 1, 1)
    torch.manual_seed(0)
    proposed = q[:, 0].multinomial(1)
    counts, token = verify(p, proposed, q, Rule(1.0, 0, 1.0))
    written = torch.where(counts > 0, proposed[:, 0], token)
    seen = written.bincount(minlength=5)[2:].double()
    assert chisquare(seen, 50_000 * np.array([0.1, 0.6, 0.3])).pvalue > 1e-3
    assert abs(float(counts.double().mean()) - (0.1 + 0.2 + 0.3)) < 0.02


def test_limits_hold_for_all() -> None:
    task, model = make_model(4, longest=12, vocabulary=7)
    batch = some(task)
    for decoder in (greedy, partial(beam, 3), partial(sample, 1.5)):
        torch.manual_seed(0)
        lengths = {len(output) for output in decoder(min_length=5, max_length=7)(model, batch)}
        assert lengths <= {5, 6, 7}
        for output in decoder(no_repeat_ngram=2)(model, batch):
            grams = list(pairwise(output))
            assert len(grams) == len(set(grams))
    # Where nothing else is allowed, an output ends.
    assert all(len(set(o)) == len(o) for o in greedy(no_repeat_ngram=1)(model, batch))


@torch.no_grad()
def test_rerank_by_score_and_by_loss() -> None:
    task, model = make_model(6)
    batch = some(task)
    groups = beam(6, length_penalty=0.0).several(model, batch, 6)
    for penalty in (0.0, 1.0):
        found = rerank(task, partial(beam, 6, length_penalty=0.0), 6, length_penalty=penalty)
        for row, output in enumerate(found(model, batch)):
            worth = [
                float(log_probabilities(model, some(task, row), [each])[0])
                / min(len(each) + 1, model.max_length) ** penalty
                for each in groups[row]
            ]
            assert output == groups[row][int(np.argmax(worth))]
    # What beam search would have taken, too.
    assert rerank(task, partial(beam, 6), 6)(model, batch) == beam(6)(model, batch)
    # The mean cross-entropy of an output is its score but for the tokens that are never written.
    found = rerank(task, partial(beam, 6, length_penalty=0.0), 6, by="loss")
    for row, output in enumerate(found(model, batch)):
        losses = []
        for each in groups[row]:
            one = some(task, row)
            read = torch.tensor([[BEGIN, *each]])[:, : model.max_length]
            target = torch.tensor([[*each, END]])[:, : model.max_length]
            total, units = cross_entropy()(model, replace(one, input=read, target=target))
            losses.append(float(total / units))
        assert output == groups[row][int(np.argmin(losses))]


def test_rerank_by_a_second_model() -> None:
    """All its weight: its own favourite among the candidates; none: the first model's."""
    task, model = make_model(6)
    _, other = make_model(11)
    batch = some(task)
    candidates = partial(beam, 6, length_penalty=0.0)

    def ranked(weight: float) -> list[list[int]]:
        made: Any = rerank(task, candidates, 6, by="model", model=lambda task: other, weight=weight)
        made.second._model = other
        outputs: list[list[int]] = made(model, batch)
        return outputs

    assert ranked(0.0) == rerank(task, candidates, 6)(model, batch)
    groups = candidates().several(model, batch, 6)
    for row, output in enumerate(ranked(1.0)):
        with torch.no_grad():
            worth = [
                float(log_probabilities(other, some(task, row), [each])[0])
                / min(len(each) + 1, other.max_length)
                for each in groups[row]
            ]
        assert output == groups[row][int(np.argmax(worth))]


def test_a_second_model_is_trained_and_disturbs_nothing() -> None:
    task, model = make_model(6)
    second = Second(task, partial(EncoderDecoder, width=16, heads=2, layers=1), 30)
    with pytest.raises(MsbenchError, match="calibrate"):
        _ = second.model
    torch.manual_seed(5)
    state = torch.get_rng_state()
    second.calibrate(model)
    assert torch.equal(torch.get_rng_state(), state)
    batch = some(task)

    def loss(which: Any) -> float:
        with torch.no_grad():
            total, count = cross_entropy()(which, batch)
        return float(total / count)

    fresh = EncoderDecoder(task, width=16, heads=2, layers=1).eval()
    assert loss(second.model) < 0.95 * loss(fresh)
    again = Second(task, partial(EncoderDecoder, width=16, heads=2, layers=1), 30)
    torch.manual_seed(5)
    again.calibrate(model)
    assert loss(again.model) == loss(second.model)


def test_agreement_is_sacrebleus() -> None:
    """On all pairs, with repeats, empty and very short texts, spaces and other scripts."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    texts = [
        "the cat sat on the mat",
        "the cat sat",
        "a  dog ran",
        "",
        "a",
        "\u00e9t\u00e9 \u4f60\u597d",
        "aaaa aaa",
        " the cat sat ",
    ]
    for name, metric in (("chrf", CHRF()), ("bleu", BLEU(effective_order=True))):
        expected = [[metric.sentence_score(a, [b]).score for b in texts] for a in texts]
        assert np.allclose(TABLES[name](texts), expected, atol=1e-9)


def test_mbr_takes_what_the_others_agree_with() -> None:
    """Against all pairs by sacrebleu; what was drawn twice counts twice."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    task, model = make_model(7, vocabulary=20)
    words = ["a", "b", "the", "cat", "sat", "on", "mat", "dog", "ran", "far"]
    task = replace(
        task,
        spell=lambda outputs, references: [
            " ".join(words[token % len(words)] for token in output) for output in outputs
        ],
    )
    batch = some(task)
    for name, metric in (("chrf", CHRF()), ("bleu", BLEU(effective_order=True))):
        torch.manual_seed(3)
        found = mbr(task, count=12, utility=name)(model, batch)  # type: ignore[arg-type]
        torch.manual_seed(3)
        for output, group in zip(found, sample().several(model, batch, 12), strict=True):
            texts = task.spell(group, [])
            worth = [
                sum(metric.sentence_score(text, [other]).score for other in texts) for text in texts
            ]
            chosen = max(range(12), key=lambda i: (round(worth[i], 6), -i))
            assert texts[chosen] == task.spell([output], [])[0]


def test_steps_and_positions_are_counted_from_outside() -> None:
    task, model = make_model(8)
    batch = some(task)
    longest = batch.source.numel()
    meter = Meter()
    outputs = greedy()(meter.watch(model), batch)
    assert meter.steps == min(model.max_length, 1 + max(map(len, outputs)))
    assert longest < meter.positions <= longest + meter.steps * len(outputs)
    assert meter.first_token() > 0
    wide = Meter()
    beam(4)(wide.watch(model), batch)
    assert wide.positions > 2 * (meter.positions - longest)
    labels = Meter()
    labels.watch(lambda batch: None)(batch)
    assert (labels.steps, labels.positions) == (1, longest + batch.input.numel())
    lm, model_of_text = make_lm()
    texts = tensors(lm.train.batch(np.arange(4)))
    read = Meter()
    read.watch(model_of_text)(texts)
    assert read.positions == texts.input.numel(), "a prompt is part of what is read"


def test_what_cannot_be_decoded() -> None:
    task, model = make_model()
    batch = some(task)
    everything = [greedy(), sample(), beam(), speculative(task), rerank(task)]
    for decoder in everything:
        with pytest.raises(MsbenchError, match="a model that generates, and LSTM has no start"):
            decoder(Meter().watch(LSTM(replace(task, kind="tag"), width=8)), batch)
        with pytest.raises(MsbenchError, match="an empty source"):
            decoder(model, replace(batch, source=batch.source.clone().fill_(PAD)))
        with pytest.raises(MsbenchError, match="20 tokens: the model reads 8 at most"):
            decoder(model, replace(batch, source=torch.full((24, 20), 5)))
        for value in (math.nan, math.inf):
            broken = Table(torch.full((11, 11), value), max_length=5)
            with pytest.raises(MsbenchError, match="not numbers"):
                decoder(broken, batch)
    with pytest.raises(MsbenchError, match="width of 1 or more, not 0"):
        beam(width=0)
    with pytest.raises(MsbenchError, match="min_length 5 is above max_length 4"):
        greedy(min_length=5, max_length=4)
    with pytest.raises(MsbenchError, match="from beam or sample"):
        rerank(task, greedy)
    with pytest.raises(MsbenchError, match="needs a second one"):
        rerank(task, by="model")
    with pytest.raises(MsbenchError, match="top_k and top_p need a temperature"):
        speculative(task, top_k=5)
    with pytest.raises(MsbenchError, match="no spell"):
        mbr(task)


def test_enumeration_is_exhaustive() -> None:
    """The enumeration above adds up to one, so that it can be trusted."""
    assert sum(expected_outputs(markov()).values()) == pytest.approx(1, abs=1e-5)


class Strict(Table):
    """A table whose state copies, and that counts: it is never asked for more than it can."""

    def start(self, batch: Batch) -> Any:
        return Rows([0] * len(batch.rows))

    def step(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        n = tokens.shape[1] if tokens.ndim == 2 else 1
        read = Rows(each + n for each in state)
        assert max(read) <= self.max_length, "asked for more tokens than it can"
        return self.logits[tokens].clone(), read


class Rows(list[int]):
    """How much each row has read."""

    def select(self, rows: Tensor) -> "Rows":
        return Rows(self[row] for row in rows.tolist())

    def keep(self, counts: Tensor, n: int) -> "Rows":
        return Rows(e - n + kept for e, kept in zip(self, counts.tolist(), strict=True))


@pytest.mark.parametrize("tokens", [1, 2, 5, 9])
def test_no_model_is_asked_for_more_than_it_can(tokens: int) -> None:
    """Also a draft whose limit is shorter; by the contract of docs/plugins.md alone."""
    torch.manual_seed(2)
    table, draft = Strict(torch.randn(9, 9), 7), Strict(torch.randn(9, 9), 4)
    table.logits[:, END] -= 9
    batch = sources(6, (4, 5, 6, 3, 8, 4, 6, 5, 7))
    expected = greedy()(Table(table.logits, 7), batch)
    assert [len(output) for output in expected] == [7] * 6
    assert speculative(make_task(), tokens)(table, batch) == expected
    for small in (draft, table):
        made: Any = speculative(make_task(), tokens, model=lambda task: task)
        made.second._model = small
        assert made(table, batch) == expected


def test_an_early_end_overlooks_nothing_that_is_paid_for_length() -> None:
    """What ends at once is likelier, but ten tokens are worth more, if length is rewarded."""
    logits = torch.full((6, 6), -1e9)
    logits[BEGIN, END], logits[BEGIN, 4], logits[BEGIN, 5] = (math.log(x) for x in (0.6, 0.1, 0.3))
    logits[4, 4] = logits[5, END] = 0.0
    assert beam(3, 0.0, 0.7)(Table(logits, 10), sources(1)) == [[4] * 10]
    meter = Meter()
    assert beam(3, 1.0)(meter.watch(Table(logits, 10)), sources(1)) == [[4] * 10]
    assert meter.steps == 10
    meter = Meter()
    assert beam(3, 0.0)(meter.watch(Table(logits, 10)), sources(1)) == [[]]
    assert meter.steps == 1, "nothing that goes on can overtake"


def test_the_best_continuations_are_those_of_a_stable_sort() -> None:
    """On whole numbers, which are full of ties, of any size."""
    draw = np.random.default_rng(0)
    for _ in range(300):
        size, width, vocabulary = draw.integers(1, 5), draw.integers(1, 7), draw.integers(3, 140)
        count = int(draw.integers(1, 9))
        logs = torch.from_numpy(draw.integers(-3, 1, (size * width, vocabulary))).float()
        scores = torch.from_numpy(draw.integers(-2, 1, (size, width))).float()
        sums = (logs.view(size, width, -1) + scores[:, :, None]).flatten(1)
        order = sums.sort(dim=1, descending=True, stable=True).indices[:, :count]
        best, owners, tokens = best_continuations(logs, scores, count)
        there = best > -math.inf
        assert int(there.sum(1)[0]) == order.shape[1]
        found = (owners * vocabulary + tokens)[:, : order.shape[1]]
        assert torch.equal(found, order)
        assert torch.equal(best[:, : order.shape[1]], sums.gather(1, order))


def test_tokens_read_one_by_one_are_taken_back() -> None:
    """Several steps, then `keep`, unequally, for so long that the cache grows and is cleared."""
    task, model = make_model(3, longest=60, copy=True, follow=True)
    batch = some(task, 0, 1, 2, 3)
    draw = np.random.default_rng(1)
    read: list[list[int]] = [[] for _ in range(4)]
    state = model.start(batch)
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
        one = replace(some(task, row), input=torch.tensor([[*old, 5 + row]]))
        with torch.no_grad():
            assert torch.allclose(logits[row], model(one)[0, -1], atol=1e-10)


def test_width_one_is_greedy_where_sums_would_round() -> None:
    logits = torch.zeros(7, 7)
    logits[:, 5] = 1e-8
    assert beam(1, min_length=3)(Table(logits), sources(1)) == [[5] * 3]


def test_what_is_recorded_of_outputs() -> None:
    """Lengths, log-probability and the rest, against their definitions."""
    task = numbers_fr(below=200, examples=120)
    make = partial(EncoderDecoder, width=16, layers=1, heads=2)
    learner = TorchLearner(
        task, model=make, loss=cross_entropy, optimizer=partial(adamw, lr=0.01), seed=0
    )
    batches = evaluation_batches(task.test, 8)
    decoder: Any = Sample(1.5, limits=Limits(max_length=4))
    learner.reseed("decoding")
    found = decode(learner, decoder, task, task.test, batches, streams=True)
    learner.reseed("decoding")
    outputs = [o for b in batches for o in learner.predict(b, decoder)]
    lengths = [len(output) for output in outputs]
    texts = [int((row != PAD).sum()) - 1 for b in batches for row in b.input]
    assert found.tokens == sum(lengths)
    assert found.length_ratio == sum(lengths) / sum(texts)
    assert found.empty == lengths.count(0) / len(lengths)
    assert 0 < found.first_token_seconds < found.seconds
    assert found.steps == sum(
        min(4, 1 + max(len(o) for o in outputs[i : i + 8])) for i in range(0, len(outputs), 8)
    )
    logs = []
    rows = [row for b in batches for row in b.rows]
    for row, output in zip(rows, outputs, strict=True):
        one = tensors(task.test.batch(np.array([row])))
        with torch.no_grad():
            logs.append(float(log_probabilities(learner.model, one, [output])[0]))
    assert found.log_probability == pytest.approx(np.mean(logs), rel=1e-5)
    still = decode(learner, greedy(), task, task.test, batches)
    assert math.isnan(still.first_token_seconds)
    assert still.examples == len(task.test)
