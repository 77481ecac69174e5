"""Decoding whose steps are captured writes what it would write step by step.

On a tape, which freezes what a CUDA graph freezes (`capture.py`).
"""

import gc
import weakref
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from small_models import VARIANTS, make_lm, make_model, tensors
from torch import Tensor, nn

from msbench import Batch, Meter, MsbenchError, Task
from msbench.builtin.capture import Replay, Tape, tape
from msbench.builtin.decoders.beam import Beam, beam
from msbench.builtin.decoders.beam_step import Worth
from msbench.builtin.generation import greedy, sample
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.models.fixed import Form
from msbench.builtin.replayed_decoding import EAGER, PATIENCE, Replays

DECODERS: dict[str, Any] = {
    "greedy": greedy(),
    "at least 5": greedy(min_length=5),
    "at most 7": greedy(max_length=7),
    "beam of 1": beam(1),
    "beam of 4": beam(4),
    "beam of 5 to 9": beam(4, min_length=5, max_length=9),
    "no normalization": beam(3, length_penalty=0.0),
    "reward": beam(4, length_penalty=0.6, length_reward=0.3),
}
MODELS: dict[str, Callable[[], tuple[Task, Any]]] = {
    str(options): partial(make_model, 4, longest=12, layers=2, **options) for options in VARIANTS
} | {"causal": make_lm}


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


def eager(model: Any) -> Any:
    """The same model, whose steps are taken one by one."""
    return deepcopy(model)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("made", MODELS)
def test_replayed_steps_write_what_steps_write(made: str, name: str) -> None:
    """In batches of several sizes and lengths, each decoded twice."""
    task, model = MODELS[made]()
    tapes, decoder, alone = recorded(model), DECODERS[name], EncoderDecoder
    plain = eager(model)
    plain.replays = Replays(type(model).step)
    for rows in (range(24), range(5), range(8, 17), [3], range(24)):
        batch = tensors(task.train, *rows)
        assert decoder(model, batch) == decoder(plain, batch)
    assert tapes, "steps were captured"
    assert not [call.name for each in tapes for call in each.calls if call.reads]
    del alone
