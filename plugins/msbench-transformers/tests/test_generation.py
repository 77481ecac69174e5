"""Decoders of msbench on models of transformers, against transformers' own `generate`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SIZES, made_up, sentences

import msbench
from msbench import MsbenchError
from msbench.builtin.decoders.beam import beam
from msbench.builtin.decoders.rerank import rerank
from msbench.builtin.decoders.speculative import speculative
from msbench.builtin.generation import greedy
from msbench.builtin.scoring import log_probabilities
from msbench_transformers.decoders import full_beam, generate
from msbench_transformers.models import causal_lm, encoder_decoder
from msbench_transformers.tasks import tokenized

MODELS = {
    "gpt2": (causal_lm, "lm"),
    "llama": (causal_lm, "seq2seq"),
    "qwen2": (causal_lm, "lm"),
    "t5": (encoder_decoder, "seq2seq"),
    "bart": (encoder_decoder, "seq2seq"),
    "marian": (encoder_decoder, "seq2seq"),
}


def random_model(name: str) -> tuple[Any, Any, Any]:
    """A model of an architecture with random weights, a task of 80 examples, and these."""
    make, kind = MODELS[name]
    task = made_up(kind)
    torch.manual_seed(3)
    model = make(task, config={"model_type": name, **SIZES[name]}).eval()
    return task, model, task.test.batch(np.arange(80)).map(torch.from_numpy)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_generate(name: str) -> None:
    task, model, batch = random_model(name)
    written = greedy()(model, batch)
    assert written == generate()(model, batch)
    assert len(set(map(tuple, written))) > 20 or name == "marian"
    assert speculative(task, tokens=3)(model, batch) == written
    assert full_beam(4)(model, batch) == generate(4)(model, batch)
    assert full_beam(4, 0.5, max_length=6)(model, batch) == generate(4, 0.5, max_length=6)(
        model, batch
    )
    if name in ("gpt2", "t5", "bart"):  # where nothing ends early, both kinds of beams are one
        assert beam(4)(model, batch) == generate(4)(model, batch)
