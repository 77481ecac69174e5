"""Decoding whose steps are captured writes what it would write step by step.

On a tape, which freezes what a CUDA graph freezes (`capture.py`).
"""

import math
import weakref
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from small_models import make_lm, make_model, tensors
from torch import Tensor

from msbench import Meter, MsbenchError, Task
from msbench.builtin.capture import Replay, Tape
from msbench.builtin.decoders.beam import Beam, beam
from msbench.builtin.decoders.beam_step import Worth
from msbench.builtin.generation import greedy, sample
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.models.fixed import Form
from msbench.builtin.replayed_decoding import EAGER, PATIENCE, Replays

DECODERS: dict[str, Any] = {
    "greedy": greedy(),
    "greedy, 5 to 7": greedy(min_length=5, max_length=7),
    "beam of 1": beam(1),
    "beam of 4": beam(4),
    "beam of 4, 5 to 9": beam(4, length_penalty=0.0, min_length=5, max_length=9),
    "beam of 3, rewarded": beam(3, length_penalty=0.6, length_reward=0.3),
}
MODELS: dict[str, Callable[[], tuple[Task, Any]]] = {
    "encoder-decoder": partial(make_model, 4, longest=12, layers=2),
    "post-norm": partial(make_model, 4, longest=12, norm="post"),
    "pointer": partial(make_model, 4, longest=12, copy=True, follow=True),
    "causal": make_lm,
}


def recorded(model: Any) -> list[Tape]:
    """Let this model's decoding steps be recorded from now on; the recordings."""
    tapes: list[Tape] = []

    def record(work: Callable[[], Any]) -> tuple[Any, Replay]:
        kept = Tape()
        tapes.append(kept)
        with kept:
            result = work()
        replays = iter([lambda: None])
        return result, lambda: next(replays, kept.replay)()

    model.replays = Replays(type(model).step, record)
    return tapes


def stepwise(model: Any) -> Any:
    """A copy whose steps are taken one by one."""
    plain = deepcopy(model)
    del plain.replays
    return plain


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("made", MODELS)
def test_replayed_steps_write_what_steps_write(made: str, name: str) -> None:
    """In batches of several sizes and lengths that share a form."""
    task, model = MODELS[made]()
    plain, tapes, decoder = stepwise(model), recorded(model), DECODERS[name]
    for rows in (range(24), range(8, 17), [3], range(20)):
        batch = tensors(task.train, *rows)
        assert decoder(model, batch) == decoder(plain, batch)
    assert tapes, "steps were captured"
    assert not [call.name for each in tapes for call in each.calls if call.reads]


def test_several_hypotheses_and_ties_are_those_of_the_search() -> None:
    task, model = make_model(2, longest=10)
    with torch.no_grad():
        model.source.tokens.weight[6] = model.source.tokens.weight[7]  # always equally likely
    plain, tapes = stepwise(model), recorded(model)
    for width, count in ((4, 3), (3, 5)):
        search = Beam(width, Worth(0.6))
        for _ in range(2):
            batch = tensors(task.train, *range(12))
            assert search.several(model, batch, count) == search.several(plain, batch, count)
    assert len(tapes) == 2


def test_replays_see_weights_that_change_and_that_move() -> None:
    task, model = make_model(4, longest=12)
    tapes, batch = recorded(model), tensors(task.train)
    before = beam()(model, batch)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    assert beam()(model, batch) == beam()(stepwise(model), batch) != before
    assert len(tapes) == 1
    for weight in model.parameters():
        weight.data = weight.detach() * 0.9
    assert beam()(model, batch) == beam()(stepwise(model), batch)
    assert len(tapes) == 2, "a graph would read the weights where they were"


def test_what_replays_do_is_counted() -> None:
    task, model = make_model(4, longest=20)
    recorded(model)
    batch = tensors(task.train, *range(5))
    for _ in range(2):
        meter = Meter()
        outputs = beam(3, min_length=12)(meter.watch(model), batch)
        assert meter.steps % PATIENCE == 0 or meter.steps == model.max_length
        assert meter.steps >= max(map(len, outputs))
        assert meter.positions == batch.source.numel() + meter.steps * 8 * 3, "5 rows have 8 places"
        assert meter.first_token() > 0


def test_steps_that_cannot_be_captured_are_taken() -> None:
    task, model = make_model(4, longest=12)
    plain, batch = stepwise(model), tensors(task.train)

    def refuse(work: Callable[[], Any]) -> tuple[Any, Replay]:
        raise RuntimeError("not permitted when stream is capturing")

    model.replays = Replays(EncoderDecoder.step, refuse)
    with pytest.warns(UserWarning, match="one by one: not permitted"):
        assert greedy()(model, batch) == greedy()(plain, batch)
    assert greedy()(model, batch) == greedy()(plain, batch)


def test_what_replays_would_get_wrong_is_not_replayed() -> None:
    task, model = make_model(4, longest=12)
    plain, tapes, batch = stepwise(model), recorded(model), tensors(task.train)

    class Counting(EncoderDecoder):
        steps = 0

        def step(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
            self.steps += 1
            return super().step(state, tokens)

    other = deepcopy(plain)
    other.__class__ = Counting
    other.replays = model.replays
    assert greedy()(other, batch) == greedy()(plain, batch)
    assert other.steps > EAGER
    with Tape() as watching:
        assert greedy()(model, batch) == greedy()(plain, batch)
    assert watching.calls
    for decoder in (greedy(no_repeat_ngram=2), beam(no_repeat_ngram=2)):
        assert decoder(model, batch) == decoder(plain, batch)
    sample()(model, batch)
    assert not tapes


def test_numbers_that_are_none_are_told() -> None:
    task, model = make_model(4, longest=12)
    recorded(model)
    batch = tensors(task.train)
    expected = [decoder(model, batch) for decoder in (greedy(), beam())]
    weight = model.target_norm.weight.data
    kept = weight.clone()
    weight[0] = math.nan
    for decoder in (greedy(), beam()):
        with pytest.raises(MsbenchError, match="not numbers"):
            decoder(model, batch)
    weight.copy_(kept)
    assert [decoder(model, batch) for decoder in (greedy(), beam())] == expected, "nothing is left"


def test_replays_go_with_their_model_and_are_not_copied() -> None:
    task, model = make_model(4, longest=12)
    recorded(model)
    greedy()(model, tensors(task.train))
    assert model.replays._kept
    assert not deepcopy(model).replays._kept
    gone = weakref.ref(model)
    del model
    assert gone() is None, "without a garbage collection"


def test_forms_are_few_and_not_large() -> None:
    assert Form.of(33, 17, 4, 30) == Form.of(64, 32, 4, 30) == Form(64, 32, 4, 30)
    assert not Form.of(256, 24, 4, 32).large
    assert Form.of(16, 24, 64, 512).large
